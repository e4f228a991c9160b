package main

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"parley/client"
	"parley/groups"
)

// putBack ends the node and starts it from an older copy of its data.
func (s *simSite) putBack(copied string, down time.Duration) {
	s.stop()
	s.config.Data = copied
	time.Sleep(down)
	s.start()
}

// restored is a room of alice's laptop and phone, at the hub, and bob, whose hub
// has been copied before it went on.
type restored struct {
	*story
	hub    *simSite
	copied string
	said   int
}

func newRestored(t *testing.T) *restored {
	w, laptop, bob := newSimRoom(t)
	phone := w.sites[simAlpha].device("alice/phone")
	r := &restored{hub: w.sites[simAlpha], copied: t.TempDir(), story: &story{simWorld: w, laptop: laptop, phone: phone, bob: bob,
		carol: w.sites[simBeta].device("carol/tablet"), members: []*simDevice{laptop, phone, bob}}}
	w.online(phone, r.carol)
	_, err := laptop.Add(t.Context(), simOps, phone.User())
	w.must(err)
	for _, d := range r.members {
		w.within(time.Minute, d.String()+" is in", func() error { return in(d, simOps) })
	}
	r.settled(r.hub.head(simOps)) // nobody seals for the phone's absence any more
	r.talk(5)
	r.settled(r.hub.head(simOps))
	r.hub.stop()
	copyTree(t, r.copied, r.hub.config.path(r.hub.config.Data))
	r.hub.start()
	return r
}

// talk lets everybody say n things, and makes new keys.
func (r *restored) talk(n int) {
	r.Helper()
	for i := range n {
		for _, d := range r.members {
			_, err := d.Send(simOps, client.Text(fmt.Sprint(d, " says thing ", r.said)))
			r.must(err)
			r.said++
		}
		if i == n/2 {
			r.within(time.Minute, "a new key", func() error { return r.laptop.Rekey(r.Context(), simOps) })
		}
	}
	for _, d := range r.members {
		r.must(d.Flush(r.Context()))
	}
}

// settled waits until both sites and all devices stand where the hub stands, at
// head or after it.
func (r *restored) settled(least groups.Head) {
	r.Helper()
	r.within(5*time.Minute, "all have the same", func() error {
		head := r.hub.head(simOps)
		if head.Seq < least.Seq {
			return fmt.Errorf("the hub is at entry %d, it was at %d", head.Seq, least.Seq)
		}
		time.Sleep(5 * time.Second)
		return r.still(head)
	})
}

// everything looks at what is promised.
func (r *restored) everything() {
	r.Helper()
	log := r.sameLog(simOps)
	r.chained(log)
	r.receiptsHold(log)
	r.agree(log)
	for _, d := range r.members {
		shown, err := d.History(simOps, client.HistoryQuery{})
		r.must(err)
		texts := make(map[string]int)
		for _, m := range shown {
			if m.Change == nil && m.Problem != "" {
				r.Errorf("%s can not read entry %d: %s", d, m.Seq, m.Problem)
			}
			texts[m.Content.Text]++
		}
		for i := range r.said {
			who := r.members[i%len(r.members)]
			if n := texts[fmt.Sprint(who, " says thing ", i)]; n != 1 {
				r.Errorf("%s shows %d times what %s said as %d", d, n, who, i)
			}
		}
	}
}

// "A hub that was put back to an older, self-consistent copy finds itself fenced,
// and is refilled": nothing that had a receipt is lost, no receipt is
// contradicted, and the room goes on under a higher term.
func TestSimHubPutBackToAnOlderCopyIsRefilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRestored(t)
		r.talk(10)
		r.settled(r.hub.head(simOps))
		was := r.hub.head(simOps)
		r.hub.putBack(r.copied, 2*time.Second)
		if r.hub.head(simOps).Seq >= was.Seq {
			t.Fatal("the copy is not older: this test proves nothing")
		}
		for _, d := range r.members { // at once, while the hub still asks
			_, err := d.Send(simOps, client.Text(fmt.Sprint(d, " says thing ", r.said)))
			r.must(err)
			r.said++
		}
		for _, d := range r.members {
			r.must(d.Flush(t.Context()))
		}
		r.talk(3)
		r.settled(was)
		r.everything()
		if now := r.hub.head(simOps); now.Term <= was.Term {
			t.Errorf("the room went on under term %d, after %d", now.Term, was.Term)
		}
	})
}

// A hub that has just started asks before it orders: a device that is as far
// behind as the copy would be given a place that somebody has a receipt for.
func TestSimHubAsksItsPeersBeforeItOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRestored(t)
		r.phone.stop()
		for i := range 5 {
			_, err := r.laptop.Send(simOps, client.Text(fmt.Sprint("without the phone ", i)))
			r.must(err)
		}
		r.must(r.laptop.Flush(t.Context()))
		was := r.hub.head(simOps)
		r.within(time.Minute, "beta has it", func() error {
			if head := r.sites[simBeta].head(simOps); head != was {
				return fmt.Errorf("it is at entry %d", head.Seq)
			}
			return nil
		})
		r.laptop.stop()
		r.weather.set(r.sites[simBeta].udp, true)
		r.hub.putBack(r.copied, time.Second)
		r.phone.start()
		sent, err := r.phone.Send(simOps, client.Text("I know of nothing"))
		r.must(err)
		time.Sleep(time.Second)
		if m, err := r.phone.Message(simOps, sent[0].ID); err != nil || m.State == client.Accepted {
			t.Errorf("it has a place before beta was heard: %v, %v", m.State, err)
		}
		r.weather.set(r.sites[simBeta].udp, false)
		r.laptop.start()
		r.must(r.phone.Flush(t.Context()))
		r.settled(was)
		r.everything()
	})
}

// A hub that can not ask anybody goes on after a while; when it finds that it has
// made a second history the room stays parked, and an operator's word lets it go on:
// the follower then refuses it and says so.
func TestSimLossThatIsAcceptedIsRefusedByItsFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRestored(t)
		r.talk(4)
		r.settled(r.hub.head(simOps))
		was := r.hub.head(simOps)
		r.weather.set(r.sites[simBeta].udp, true)
		r.hub.putBack(r.copied, time.Second)
		info, err := r.hub.node.store.Room(simOps)
		r.must(err)
		lost := r.hub.node
		if _, err := lost.acceptLoss(simOps); err == nil {
			t.Fatal("a loss was accepted of a room that is not parked")
		}
		follower := r.sites[simBeta].node
		page, err := follower.store.Read(simOps, was.Seq, 1)
		r.must(err)
		r.must(lost.store.Fence(page.Head)) // what beta would have shown
		said, err := lost.acceptLoss(simOps)
		r.must(err)
		if loss := said.(lossRow); loss.Held != info.Head.Seq || loss.Lost != was.Seq || loss.Term <= was.Term {
			t.Fatalf("%+v", loss)
		}
		r.weather.set(r.sites[simBeta].udp, false)
		r.within(5*time.Minute, "the follower says so", func() error {
			for _, row := range follower.roomRows().([]roomRow) {
				if row.Room == simOps && row.Parked != "" {
					return nil
				}
			}
			return errors.New("it is not parked")
		})
		rows := lost.roomRows().([]roomRow)
		if len(rows) != 1 || rows[0].Parked != "" || follower.store.Ready() != nil {
			t.Errorf("%+v", rows)
		}
	})
}
