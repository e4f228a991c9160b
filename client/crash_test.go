package client_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"parley/client"
	"parley/client/store"
	"parley/groups"
)

// errDead is what a process gets that has been killed.
var errDead = errors.New("the process is dead")

// A mortal store dies with its n-th Update: either nothing of it was written,
// or all of it was and nobody was told. From then on nothing works, until
// another process opens the store.
type mortal struct {
	client.Store
	mu        sync.Mutex
	left      int
	persisted bool
	dead      bool
	updates   int
}

func (m *mortal) View(fn func(client.Tx) error) error {
	m.mu.Lock()
	dead := m.dead
	m.mu.Unlock()
	if dead {
		return errDead
	}
	return m.Store.View(fn)
}

func (m *mortal) Update(fn func(client.Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	m.updates++
	m.left--
	if m.left != 0 {
		return m.Store.Update(fn)
	}
	m.dead = true
	if m.persisted {
		if err := m.Store.Update(fn); err != nil {
			return err
		}
	}
	return errDead
}

// count is how many Updates there were.
func (m *mortal) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.updates
}

// A story is what a person wants, again and again until it is so, with
// restarts whenever the process has died.
type story struct {
	*phone
	memory client.Store
	mortal *mortal
}

func (s *story) dead() bool {
	s.mortal.mu.Lock()
	defer s.mortal.mu.Unlock()
	return s.mortal.dead
}

// revive starts another process, if this one is dead.
func (s *story) revive() {
	if !s.dead() {
		return
	}
	s.stop()
	s.mortal = &mortal{Store: s.memory}
	s.phone.store = s.mortal
	s.start()
}

// do tries an act until it is done.
func (s *story) do(what string, done func() bool, act func() error) {
	s.t.Helper()
	for range 5 {
		s.revive()
		if done() {
			return
		}
		if err := act(); err != nil && !s.dead() {
			s.t.Fatalf("%s: %v", what, err)
		}
		settle()
	}
	s.t.Fatalf("%s: not done", what)
}

// said says whether the history holds a text; a dead process does not know.
func (s *story) said(text string) bool {
	list, err := s.History(ops, client.HistoryQuery{})
	return err == nil && slices.ContainsFunc(list, func(m client.Message) bool { return m.Content.Text == text })
}

// tell runs the story in which the device that dies makes a room, adds bob,
// sends, makes a key, edits and sends a file.
func (s *story) tell(bob *phone) {
	ctx := s.t.Context()
	live := func() bool {
		info, err := s.Room(ops)
		return err == nil && info.State == client.RoomLive
	}
	s.do("create", live, func() error {
		if _, err := s.Room(ops); err == nil {
			return nil // it is on its way
		}
		_, err := s.CreateRoom(ctx, client.RoomSpec{Room: ops})
		return err
	})
	in := func() bool {
		info, err := s.Room(ops)
		return err == nil && info.Devices == 2
	}
	s.do("add", in, func() error { _, err := s.Add(ctx, ops, bob.User()); return err })
	for i := range 4 {
		text := fmt.Sprint("message ", i)
		said := func() bool { return s.said(text) }
		s.do("send", said, func() error { _, err := s.Send(ops, client.Text(text)); return err })
	}
	epoch := must(bob.Room(ops)).Epoch
	s.do("rekey", func() bool { info, err := s.Room(ops); return err == nil && info.Epoch > epoch }, func() error { return s.Rekey(ctx, ops) })
	s.do("send", func() bool { return s.said("last") }, func() error {
		_, err := s.Send(ops, client.Text("last"))
		return err
	})
	bob.say("answer")
	settle()
	for range 20 {
		settle()
		s.revive()
	}
}

// dying runs a story in which the n-th Update kills the process. It returns
// how many there were.
func dying(t *testing.T, n int, persisted bool) (updates int) {
	sim(t, func(t *testing.T, h *hub) {
		bob := h.device("bob/laptop")
		s := &story{memory: store.NewMemory()}
		h.enrol("alice/laptop", s.memory)
		s.mortal = &mortal{Store: s.memory, left: n, persisted: persisted}
		s.phone = &phone{t: t, h: h, store: s.mortal}
		s.open()
		s.runUnlessDead(s)
		s.tell(bob)
		want := []string{"message 0", "message 1", "message 2", "message 3", "last", "answer"}
		bob.shows(want...)
		s.shows(want...)
		agree(s.phone, bob)
		updates = s.mortal.count()
	})
	return updates
}

// runUnlessDead takes the device online, which may be what kills it.
func (p *phone) runUnlessDead(s *story) {
	p.runQuietly(s.dead)
	settle()
	s.revive()
}

func TestKilledAtAnyUpdateLosesAndRepeatsNothing(t *testing.T) {
	updates := dying(t, 0, false)
	if updates < 15 {
		t.Fatalf("the story has only %d updates", updates)
	}
	for n := 1; n <= updates; n++ {
		for _, persisted := range []bool{false, true} {
			t.Run(fmt.Sprintf("update %d persisted %v", n, persisted), func(t *testing.T) { dying(t, n, persisted) })
		}
	}
}

// receiving runs a story in which the receiver's n-th Update kills it.
func receiving(t *testing.T, n int, persisted bool) (updates int) {
	sim(t, func(t *testing.T, h *hub) {
		alice := h.device("alice/laptop")
		alice.createRoom()
		s := &story{memory: store.NewMemory()}
		h.enrol("bob/laptop", s.memory)
		s.mortal = &mortal{Store: s.memory, left: n, persisted: persisted}
		s.phone = &phone{t: t, h: h, store: s.mortal}
		s.open()
		s.runUnlessDead(s)
		var want []string
		in := func() bool { info, err := alice.Room(ops); return err == nil && info.Devices == 2 }
		s.do("add", in, func() error {
			_, err := alice.Add(t.Context(), ops, groups.UserID("mimi://alpha.example/u/bob"))
			return err
		})
		for i := range 5 {
			text := fmt.Sprint("message ", i)
			want = append(want, text)
			alice.say(text)
			if i == 3 {
				if err := alice.Rekey(t.Context(), ops); err != nil {
					t.Fatal(err)
				}
			}
			settle()
			s.revive()
		}
		for range 12 {
			settle()
			s.revive()
		}
		s.shows(want...)
		agree(alice, s.phone)
		updates = s.mortal.count()
	})
	return updates
}

func TestReceiverKilledAtAnyUpdateAppliesEachEntryOnce(t *testing.T) {
	updates := receiving(t, 0, false)
	if updates < 8 {
		t.Fatalf("the story has only %d updates", updates)
	}
	for n := 1; n <= updates; n++ {
		for _, persisted := range []bool{false, true} {
			t.Run(fmt.Sprintf("update %d persisted %v", n, persisted), func(t *testing.T) { receiving(t, n, persisted) })
		}
	}
}
