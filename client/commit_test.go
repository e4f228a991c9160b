package client_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/groups"
)

func TestRacingCommitsAllSucceed(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob, carol := h.device("alice/laptop"), h.device("bob/laptop"), h.device("carol/laptop")
		for i := range 9 {
			h.device(fmt.Sprintf("guest%d/laptop", i))
		}
		policy := groups.DefaultPolicy(alice.User())
		policy.MembersMayAdd = true
		if _, err := alice.CreateRoom(t.Context(), client.RoomSpec{Room: ops, Policy: &policy}); err != nil {
			t.Fatal(err)
		}
		alice.add("bob", "carol")
		var all sync.WaitGroup
		for i, p := range []*phone{alice, bob, carol} {
			all.Go(func() {
				for j := range 3 {
					user := must(p.FindUser(fmt.Sprintf("guest%d", 3*i+j)))
					waiting, err := p.Add(t.Context(), ops, user)
					if err != nil || len(waiting) > 0 {
						t.Errorf("%s adds %s: %v, %+v", p.ID(), user, err, waiting)
					}
				}
			})
		}
		all.Wait()
		settle()
		agree(alice, bob, carol)
		if info := must(alice.Room(ops)); info.Devices != 12 || info.Users != 12 || info.Epoch != 10 {
			t.Errorf("%d devices of %d users at epoch %d", info.Devices, info.Users, info.Epoch)
		}
		if h.submitted[ops] <= 10 {
			t.Error("nobody had to make a commit again: there was no race")
		}
		carol.say("hello")
		settle()
		alice.shows("hello")
		bob.shows("hello")
	})
}

func TestCommitWhoseAnswerIsLostIsAdopted(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		h.set(func() {
			h.lose = func(s *devicev1.Submission) bool { return s.Kind == uint32(groups.KindCommit) }
		})
		waiting, err := alice.Add(t.Context(), ops, bob.User())
		if err == nil {
			t.Error("no error, though the answer was lost")
		}
		_ = waiting
		h.set(func() { h.lose = nil })
		for range 20 {
			settle()
		}
		agree(alice, bob)
		if list := must(alice.Wishes(ops)); len(list) != 0 {
			t.Errorf("bob is in, and still waits: %+v", list)
		}
		bob.say("in")
		settle()
		alice.shows("in")
	})
}

func TestUnreachablePeopleWaitAndNeverBlockTheRoom(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob, carol := h.device("alice/laptop"), h.device("bob/laptop"), h.device("carol/laptop")
		alice.createRoom()
		h.set(func() { h.failClaims = map[groups.UserID]string{carol.User(): "beta.example is not reachable"} })
		waiting, err := alice.Add(t.Context(), ops, bob.User(), carol.User())
		if err != nil || len(waiting) != 1 || waiting[0].User != carol.User() || waiting[0].Why != "beta.example is not reachable" {
			t.Fatalf("%v, waiting %+v", err, waiting)
		}
		alice.say("without carol")
		settle()
		bob.shows("without carol")
		h.set(func() { h.failClaims = nil })
		for range 20 {
			settle()
		}
		agree(alice, bob, carol)
		alice.say("with carol")
		settle()
		carol.shows("with carol")
	})
}

func TestDeviceEnrolledLaterIsAdded(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		phone, tablet := h.device("alice/phone"), h.device("bob/tablet")
		for range 20 {
			settle()
		}
		agree(alice, bob, phone, tablet)
		bob.say("everywhere")
		settle()
		phone.shows("everywhere")
		tablet.shows("everywhere")
		if info := must(bob.Room(ops)); info.Devices != 4 || info.Users != 2 {
			t.Errorf("%d devices of %d users", info.Devices, info.Users)
		}
	})
}

// A command that comes online for a moment ended before it had done what others
// were told it would do: who had left stayed in.
func TestSettledWaitsForWhatOthersWaitFor(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		alice.stop()
		if err := bob.Leave(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
		bob.stop()
		h.device("alice/phone").stop()

		alice.open()
		alice.runQuietly(nil)
		if err := errors.Join(alice.CaughtUp(t.Context()), alice.Settled(t.Context())); err != nil {
			t.Fatal(err)
		}
		var in []string
		for _, m := range must(alice.Members(ops)) {
			in = append(in, m.Device.Name())
		}
		if !slices.Equal(in, []string{"laptop", "phone"}) {
			t.Errorf("in the room are %v, want alice's laptop and phone", in)
		}
	})
}

func TestLeaveIsCommittedByAnybodyOnline(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob, carol := h.device("alice/laptop"), h.device("bob/laptop"), h.device("carol/laptop")
		alice.createRoom()
		alice.add("bob", "carol")
		alice.stop()
		if err := bob.Leave(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		// What was said by one who leaves waited for nothing.
		if _, err := bob.Send(ops, client.Text("x")); groups.KindOf(err) != groups.Denied {
			t.Errorf("a device that leaves may send: %v", err)
		}
		carol.say("bye") // has to commit first
		for range 3 {
			settle()
		}
		if info := must(bob.Room(ops)); info.State != client.RoomClosed || info.Why != "this device has left" {
			t.Errorf("%s: %q", info.State, info.Why)
		}
		alice.start()
		agree(alice, carol)
		alice.shows("bye")
		bob.shows()
		alice.stop()
		carol.stop()
		alice.start()
		if err := alice.Leave(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
		carol.start()
		for range 3 {
			settle()
		}
		if err := carol.Leave(t.Context(), ops); err != nil { // the last one
			t.Fatal(err)
		}
		if info := must(carol.Room(ops)); info.State != client.RoomClosed {
			t.Errorf("carol is the last one out: %s", info.State)
		}
	})
}

func TestOnlyAdminsChangeOthers(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob, carol := h.device("alice/laptop"), h.device("bob/laptop"), h.device("carol/laptop")
		alice.createRoom()
		alice.add("bob")
		if _, err := bob.Add(t.Context(), ops, carol.User()); groups.KindOf(err) != groups.Denied {
			t.Errorf("bob adds carol: %v", err)
		}
		if list := must(bob.Wishes(ops)); len(list) > 0 {
			t.Errorf("and goes on wishing: %+v", list)
		}
		if err := bob.Remove(t.Context(), ops, alice.User()); groups.KindOf(err) != groups.Denied {
			t.Errorf("bob removes alice: %v", err)
		}
		policy := must(alice.Room(ops)).Policy
		policy.Admins = append(policy.Admins, bob.User())
		if err := bob.SetPolicy(t.Context(), ops, policy); groups.KindOf(err) != groups.Denied {
			t.Errorf("bob makes himself an admin: %v", err)
		}
		if err := alice.SetPolicy(t.Context(), ops, policy); err != nil {
			t.Fatal(err)
		}
		settle()
		bob.add("carol")
		agree(alice, bob, carol)
		if err := bob.Rekey(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
		settle()
		agree(alice, bob, carol)
	})
}

func TestNameOfARoomIsTakenOnce(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		_, err := bob.CreateRoom(t.Context(), client.RoomSpec{Room: ops})
		if err == nil {
			t.Fatal("bob made the room again")
		}
		if list := must(bob.Rooms()); len(list) != 0 {
			t.Errorf("bob keeps %+v", list)
		}
		alice.add("bob")
		agree(alice, bob)
	})
}

func TestRoomWhoseReceiptIsLostAppears(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice := h.device("alice/laptop")
		h.set(func() { h.lose = func(s *devicev1.Submission) bool { return s.Kind == uint32(groups.KindCreate) } })
		if _, err := alice.CreateRoom(t.Context(), client.RoomSpec{Room: ops}); err == nil {
			t.Fatal("no error, though the answer was lost")
		}
		h.set(func() { h.lose = nil })
		alice.say("first")
		for range 20 {
			settle()
		}
		if info := must(alice.Room(ops)); info.State != client.RoomLive {
			t.Errorf("the room is %s", info.State)
		}
		alice.shows("first")
	})
}

func TestManyPeopleAreAddedInBatches(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice := h.device("alice/laptop")
		alice.createRoom()
		var users []groups.UserID
		for i := range 230 {
			name := fmt.Sprintf("p%d", i)
			users = append(users, must(alice.FindUser(name)))
			h.mu.Lock()
			h.packages[groups.DeviceID("mimi://alpha.example/d/"+name+"/laptop")] = h.keyPackages(name+"/laptop", 1)
			h.mu.Unlock()
		}
		start := time.Now()
		waiting, err := alice.Add(t.Context(), ops, users...)
		if err != nil || len(waiting) > 0 {
			t.Fatalf("%v after %v, %d waiting", err, time.Since(start), len(waiting))
		}
		info := must(alice.Room(ops))
		if info.Devices != 231 || info.Epoch < 2 || info.Epoch > 8 {
			t.Errorf("%d devices at epoch %d", info.Devices, info.Epoch)
		}
		if list := must(alice.Members(ops)); !slices.IsSortedFunc(list, func(a, b client.Member) int { return cmpString(a.Device, b.Device) }) {
			t.Error("members are not sorted")
		}
	})
}

// A hub that was not there for a while left so many commits without an outcome
// that no other one could be made.
func TestCommitsGoOnAfterTheHubWasAwayForLong(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		h.set(func() {
			h.refuse = func(*devicev1.Submission) *devicev1.Refusal {
				return &devicev1.Refusal{Kind: "unavailable", Text: "away"}
			}
		})
		for range 20 {
			if err := alice.Rekey(t.Context(), ops); err == nil {
				t.Fatal("a key was made without a hub")
			}
		}
		h.set(func() { h.refuse = nil })
		alice.add("bob")
		agree(alice, bob)
		alice.say("hello")
		settle()
		bob.shows("hello")
	})
}
