package client_test

import (
	"testing"

	"parley/client"
	"parley/client/store"
)

func TestSlowSubscriberIsToldToRefresh(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice := h.device("alice/laptop")
		alice.createRoom()
		slow, quick := alice.Subscribe(5), alice.Subscribe(1000)
		defer slow.Close()
		defer quick.Close()
		alice.say(numbered(50)...)
		settle()
		kinds := func(s *client.Subscription) map[client.EventKind]int {
			n := make(map[client.EventKind]int)
			for len(s.C) > 0 {
				n[(<-s.C).Kind]++
			}
			return n
		}
		if n := kinds(quick); n[client.EventRefresh] != 0 || n[client.EventMessage] < 100 || n[client.EventDelivery] < 50 {
			t.Errorf("the quick one got %v", n)
		}
		got := kinds(slow)
		if got[client.EventRefresh] != 1 || got[client.EventMessage]+got[client.EventDelivery] != 5 {
			t.Errorf("the slow one got %v", got)
		}
		alice.say("again")
		settle()
		if got := kinds(slow); got[client.EventMessage] == 0 || got[client.EventRefresh] != 0 {
			t.Errorf("then the slow one got %v", got)
		}
	})
}

func TestConnectionIsTold(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice := h.device("alice/laptop")
		events := alice.Subscribe(100)
		defer events.Close()
		h.set(func() { h.down = true })
		h.cut()
		settle()
		if c := alice.Connection(); c != client.Connecting {
			t.Errorf("without a gateway the device is %s", c)
		}
		h.set(func() { h.down = false })
		if err := alice.CaughtUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		var seen []client.Connection
		for len(events.C) > 0 {
			if e := <-events.C; e.Kind == client.EventConnection {
				seen = append(seen, e.Connection)
			}
		}
		if n := len(seen); n < 3 || seen[0] != client.Connecting || seen[n-2] != client.Syncing || seen[n-1] != client.Online {
			t.Errorf("told %v", seen)
		}
	})
}

func TestDeviceLivesInAnEncryptedFile(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		dir := t.TempDir()
		file, err := store.Open(store.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		h.enrol("alice/laptop", file)
		bob := h.device("bob/laptop")
		alice := &phone{t: t, h: h, store: file}
		alice.start()
		alice.createRoom()
		alice.add("bob")
		want := numbered(20)
		for i, text := range want {
			(map[bool]*phone{true: alice, false: bob}[i%2 == 0]).say(text)
			settle()
			if i%5 == 4 {
				alice.stop()
				if err := file.Close(); err != nil {
					t.Fatal(err)
				}
				if file, err = store.Open(store.Config{Dir: dir}); err != nil {
					t.Fatal(err)
				}
				alice.store = file
				alice.start()
			}
		}
		alice.shows(want...)
		bob.shows(want...)
		agree(alice, bob)
		if list := must(alice.Log(ops, 0, 1000)); len(list) != 22 || list[21].Hash != must(alice.Room(ops)).Hash {
			t.Errorf("%d entries", len(list))
		}
		alice.stop()
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUnreadIsCounted(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		alice.say("one", "two", "three")
		settle()
		if n := must(bob.Room(ops)).Unread; n != 3 {
			t.Errorf("%d unread", n)
		}
		list := must(bob.History(ops, client.HistoryQuery{}))
		if err := bob.MarkRead(ops, list[len(list)-2].Seq); err != nil {
			t.Fatal(err)
		}
		if n := must(bob.Room(ops)).Unread; n != 1 {
			t.Errorf("%d unread", n)
		}
		if n := must(alice.Room(ops)).Unread; n != 0 {
			t.Errorf("%d of one's own unread", n)
		}
	})
}

// To open a tail again, as for a room just made, could end the whole session: to
// close the old one failed its reader, whose error came first.
func TestATailOpenedAgainDoesNotEndTheSession(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice := h.device("alice/laptop")
		events := alice.Subscribe(100)
		defer events.Close()
		h.set(func() { h.lingers = true })
		alice.createRoom()
		settle()
		for len(events.C) > 0 {
			if e := <-events.C; e.Kind == client.EventConnection {
				t.Errorf("the connection is %s: %v", e.Connection, e.Err)
			}
		}
		alice.say("in one session")
		settle()
		alice.shows("in one session")
	})
}
