package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/client"
	"parley/groups"
)

// Bugs that the simulation has found, each as a story of its own.

// newSimRoom makes two sites, devices that are online, and a room at alpha with
// alice's laptop and bob.
func newSimRoom(t *testing.T) (w *simWorld, laptop, bob *simDevice) {
	w = newSimWorld(t, 1, simAlpha, simBeta)
	laptop, bob = w.sites[simAlpha].device("alice/laptop"), w.sites[simBeta].device("bob/desk")
	w.online(laptop, bob)
	_, err := laptop.CreateRoom(t.Context(), client.RoomSpec{Room: simOps})
	w.must(err)
	_, err = laptop.Add(t.Context(), simOps, bob.User())
	w.must(err)
	return w, laptop, bob
}

// A device that had logged in less than a minute before its site heard of a
// hub's ordering certificate threw the invitation away.
func TestSimInvitationFromASiteFirstHeardOfIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, bob := newSimRoom(t)
		w.within(5*time.Second, "bob is in", func() error { return in(bob, simOps) })
	})
}

// A message that was sealed before a device was added, and was ordered after
// that, was shown to it as one that can not be read.
func TestSimMessageSealedBeforeADeviceCameIsNotShownToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, laptop, bob := newSimRoom(t)
		w.within(5*time.Second, "bob is in", func() error { return in(bob, simOps) })
		w.weather.set(w.sites[simBeta].udp, true)
		sent, err := bob.Send(simOps, client.Text("sealed before"))
		w.must(err)
		time.Sleep(time.Second)
		phone := w.sites[simAlpha].device("alice/phone")
		w.online(phone)
		_, err = laptop.Add(t.Context(), simOps, phone.User())
		w.must(err)
		w.weather.set(w.sites[simBeta].udp, false)
		w.must(bob.Flush(t.Context()))
		var late client.Message
		w.within(time.Minute, "bob's message arrives", func() error {
			late, err = laptop.Message(simOps, sent[0].ID)
			return err
		})
		w.must(phone.Reach(t.Context(), simOps, late.Seq))
		joined, err := phone.Room(simOps)
		w.must(err)
		if late.Seq < joined.Joined || late.Epoch >= joined.Epoch {
			t.Fatalf("the message is entry %d of epoch %d, the phone came with %d of %d: this test proves nothing", late.Seq, late.Epoch, joined.Joined, joined.Epoch)
		}
		shown, err := phone.History(simOps, client.HistoryQuery{})
		w.must(err)
		for _, m := range shown {
			if m.Change == nil {
				t.Errorf("the phone shows entry %d: %s", m.Seq, m.Problem)
			}
		}
	})
}

// A device that was removed and added again before it had read its first stay in
// a room never got the rest of it.
func TestSimDeviceAddedAgainWhileBehindReadsItsFirstStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, laptop, bob := newSimRoom(t)
		w.within(5*time.Second, "bob is in", func() error { return in(bob, simOps) })
		say := func(text string) {
			_, err := laptop.Send(simOps, client.Text(text))
			w.must(err)
			w.must(laptop.Flush(t.Context()))
		}
		bob.line.set(true)
		for i := range 3 {
			say(fmt.Sprint("stay ", i))
			w.must(laptop.Remove(t.Context(), simOps, bob.User()))
			say("between")
			_, err := laptop.Add(t.Context(), simOps, bob.User())
			w.must(err)
		}
		say("stay 3")
		bob.line.set(false)
		log, _ := w.sites[simAlpha].entries(simOps)
		w.within(time.Minute, "bob has read all", func() error {
			if info, err := bob.Room(simOps); err != nil || info.Seq != groups.Seq(len(log)) {
				return errors.Join(err, fmt.Errorf("bob is at %d of %d", info.Seq, len(log)))
			}
			return nil
		})
		shown, err := bob.History(simOps, client.HistoryQuery{})
		w.must(err)
		var got []string
		for _, m := range shown {
			if m.Change == nil {
				got = append(got, m.Content.Text+m.Problem)
			}
		}
		if want := []string{"stay 0", "stay 1", "stay 2", "stay 3"}; !slices.Equal(got, want) {
			t.Errorf("bob shows %q, want %q", got, want)
		}
	})
}

// online waits until devices have caught up and can be added.
func (w *simWorld) online(devices ...*simDevice) {
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	for _, d := range devices {
		w.must(d.CaughtUp(ctx))
		w.within(10*time.Second, d.String()+" has published", func() error {
			if c, err := d.KeyPackages(ctx); err != nil || c.Published == 0 {
				return errors.Join(err, errors.New("no key packages"))
			}
			return nil
		})
	}
}

// in says why a device is not in a room.
func in(d *simDevice, room groups.RoomID) error {
	if info, err := d.Room(room); err != nil || info.State != client.RoomLive {
		return errors.Join(err, fmt.Errorf("it is %v", info.State))
	}
	return nil
}
