package client_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"parley/client"
	"parley/client/store"
	"parley/coi/service"
)

// knows is the newest epoch of the room that an unwrap service has heard of, as
// its log has it; -1 for none.
func (c *communities) knows(url string) int {
	c.t.Helper()
	v := c.list[finance].vault[url]
	room := must(service.HashRoom(v.log, ops))
	newest := -1
	must(service.ReadAudit(v.log, nil, func(_ int64, e *service.AuditEntry) error {
		if e.Room == room && e.NewestContext != ([32]byte{}) {
			newest = int(e.Newest)
		}
		return nil
	}))
	return newest
}

// deaf makes unwrap services deaf, and all others hear.
func (c *communities) deaf(urls ...string) {
	c.set(func() {
		clear(c.down)
		for _, url := range urls {
			c.down[url] = true
		}
	})
}

// rows counts what a device keeps to announce keys.
func (p *phone) rows(t client.Table) (n int) {
	p.t.Helper()
	err := p.store.View(func(tx client.Tx) error {
		return tx.Scan(t, client.Range{}, func(_, _ []byte) bool { n++; return true })
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// A device that had removed somebody forgot, with a restart, to tell the
// services that were down meanwhile: the removed device was held by the end of
// its key only.
func TestAnAnnouncementSurvivesARestart(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		urls := c.list[finance].Unwrap
		alice, bob, carol := h.device("alice/laptop"), h.device("bob/phone"), h.device("carol/phone")
		c.room(alice, everything)
		alice.add("bob", "carol")
		for _, url := range urls {
			if got, want := c.knows(url), int(alice.key().Epoch); got != want {
				t.Fatalf("%s knows epoch %d of %d", url, got, want)
			}
		}
		c.deaf(urls...)
		if err := alice.Remove(t.Context(), ops, bob.User()); err != nil {
			t.Fatal(err)
		}
		settle()
		removed := alice.key().Epoch
		if removed == 0 || int(removed) != c.knows(urls[0])+1 {
			t.Fatalf("the removal has made epoch %d, %s knows %d", removed, urls[0], c.knows(urls[0]))
		}
		alice.stop()
		c.deaf(urls[1])
		time.Sleep(time.Hour)
		alice.start()
		time.Sleep(time.Minute)
		settle()
		if got := c.knows(urls[0]); got != int(removed) {
			t.Errorf("after a restart %s knows epoch %d of %d", urls[0], got, removed)
		}
		// The other one is told by itself, after one more restart.
		if n := alice.rows(client.TableAnnouncements); n != 1 {
			t.Errorf("%d services wait to be told", n)
		}
		alice.stop()
		alice.start()
		c.deaf()
		time.Sleep(5 * time.Minute)
		settle()
		if got := c.knows(urls[1]); got != int(removed) {
			t.Errorf("%s knows epoch %d of %d", urls[1], got, removed)
		}
		if n := alice.rows(client.TableAnnouncements); n != 0 {
			t.Errorf("%d services wait to be told", n)
		}
		agree(alice, carol)
	})
}

// An instance that was down for longer than a trail goes back is shown the way
// all the same, whoever of the members made the keys meanwhile.
func TestAServiceIsToldOfWhatItMissedHoweverLongItWasDown(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		urls := c.list[finance].Unwrap
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, nil)
		alice.add("bob")
		c.deaf(urls[1])
		for range 40 {
			alice.rekey()
			bob.rekey()
		}
		newest := int(alice.key().Epoch)
		if got := c.knows(urls[1]); got > 1 || newest < 80 {
			t.Fatalf("%s knows epoch %d of %d", urls[1], got, newest)
		}
		for _, p := range []*phone{alice, bob} {
			if n := p.rows(client.TableTrail); n > 64+8 {
				t.Errorf("%s keeps %d epochs", p.ID(), n)
			}
			if n := p.rows(client.TableAnnouncements); n != 1 {
				t.Errorf("%s has %d announcements to make: a later one takes the place of an earlier", p.ID(), n)
			}
		}
		c.deaf()
		time.Sleep(5 * time.Minute)
		settle()
		for _, url := range urls {
			if got := c.knows(url); got != newest {
				t.Errorf("%s knows epoch %d of %d", url, got, newest)
			}
		}
		for _, p := range []*phone{alice, bob} {
			if n := p.rows(client.TableTrail); n > 64 {
				t.Errorf("%s keeps %d epochs for nobody", p.ID(), n)
			}
			if n := p.rows(client.TableAnnouncements); n != 0 {
				t.Errorf("%s still has %d announcements to make", p.ID(), n)
			}
		}
	})
}

// removing removes bob with a device that is killed at its n-th Update, while no
// service hears; it returns how many Updates there were.
func removing(t *testing.T, n int, persisted bool) (updates int) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		urls := c.list[finance].Unwrap
		bob := h.device("bob/phone")
		s := &story{memory: store.NewMemory()}
		h.enrol("alice/laptop", s.memory)
		s.mortal = &mortal{Store: s.memory}
		s.phone = &phone{t: t, h: h, store: s.mortal}
		s.start()
		c.room(s.phone, nil)
		s.add("bob")
		before := c.knows(urls[0])
		c.deaf(urls...)
		s.mortal.mu.Lock()
		s.mortal.left, s.mortal.persisted, s.mortal.updates = n, persisted, 0
		s.mortal.mu.Unlock()
		gone := func() bool {
			info, err := s.Room(ops)
			return err == nil && info.Devices == 1
		}
		s.do("remove", gone, func() error { return s.Remove(t.Context(), ops, bob.User()) })
		updates = s.mortal.count()
		c.deaf()
		settle()
		s.revive()
		s.do("send", func() bool { return s.said("on") }, func() error { // after a crash the key may have no record yet
			_, err := s.Send(ops, client.Text("on"))
			return err
		})
		time.Sleep(5 * time.Minute)
		settle()
		for _, url := range urls {
			if got, want := c.knows(url), int(s.key().Epoch); got != want || want <= before {
				t.Errorf("%s knows epoch %d of %d", url, got, want)
			}
		}
		if n := s.rows(client.TableAnnouncements); n != 0 {
			t.Errorf("%d services wait to be told", n)
		}
	})
	return updates
}

func TestKilledAtAnyUpdateARemovalIsAnnounced(t *testing.T) {
	updates := removing(t, 0, false)
	if updates < 3 {
		t.Fatalf("the removal has only %d updates", updates)
	}
	for n := 1; n <= updates; n++ {
		for _, persisted := range []bool{false, true} {
			t.Run(fmt.Sprintf("update %d persisted %v", n, persisted), func(t *testing.T) { removing(t, n, persisted) })
		}
	}
}

// shut is a store that takes nothing while it is.
type shut struct {
	client.Store
	is atomic.Bool
}

func (s *shut) Update(fn func(client.Tx) error) error {
	if s.is.Load() {
		return errFull
	}
	return s.Store.Update(fn)
}

// A service that had heard of a key was told of it again and again, without a
// pause, as long as the store could not take that it had.
func TestAServiceIsToldWithPausesWhileTheStoreTakesNothing(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		s := &shut{Store: store.NewMemory()}
		h.enrol("alice/laptop", s)
		alice := &phone{t: t, h: h, store: s}
		alice.start()
		c.room(alice, nil)
		c.deaf(c.list[finance].Unwrap[1])
		alice.rekey()
		settle()
		told := 0
		c.set(func() {
			c.saw = func([]byte) {
				if told++; told == 1000 {
					s.is.Store(false) // or this would not end
				}
			}
		})
		s.is.Store(true)
		c.deaf()
		time.Sleep(5 * time.Minute)
		settle()
		c.set(func() {
			if told == 0 || told > 20 {
				t.Errorf("the service was told %d times in 5 minutes", told)
			}
		})
		s.is.Store(false)
		time.Sleep(10 * time.Minute)
		settle()
		if n := alice.rows(client.TableAnnouncements); n != 0 {
			t.Errorf("%d services wait to be told", n)
		}
	})
}
