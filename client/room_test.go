package client_test

import (
	"slices"
	"testing"

	"parley/client"
)

func TestTwoDevicesTalk(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		alice.say("hello", "bob")
		settle()
		bob.say("hello alice")
		settle()
		alice.shows("hello", "bob", "hello alice")
		bob.shows("hello", "bob", "hello alice")
		agree(alice, bob)
		for _, m := range must(alice.History(ops, client.HistoryQuery{})) {
			if m.Change == nil && m.Device == alice.ID() && m.State != client.Accepted {
				t.Errorf("own message is %s", m.State)
			}
		}
	})
}

func TestRemovedDeviceReadsNothingThatFollows(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, phone, bob := h.device("alice/laptop"), h.device("alice/phone"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("alice", "bob")
		alice.say("before")
		settle()
		if err := alice.RemoveDevices(t.Context(), ops, phone.ID()); err != nil {
			t.Fatal(err)
		}
		alice.say("after")
		settle()
		phone.shows("before")
		bob.shows("before", "after")
		info := must(phone.Room(ops))
		if info.State != client.RoomClosed || info.Why == "" {
			t.Errorf("the phone's room is %s: %q", info.State, info.Why)
		}
		if _, err := phone.Send(ops, client.Text("x")); err == nil {
			t.Error("a closed room takes messages")
		}
		// Nobody adds it again by themselves, even after a long time.
		for range 50 {
			settle()
		}
		if slices.ContainsFunc(must(alice.Members(ops)), func(m client.Member) bool { return m.Device == phone.ID() }) {
			t.Error("the phone is back")
		}
		alice.add("alice") // but when asked
		phone.say("back")
		settle()
		bob.shows("before", "after", "back")
		phone.shows("before", "back")
		agree(alice, phone, bob)
	})
}
