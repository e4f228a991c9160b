package client_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/client"
	"parley/client/store"
	"parley/groups"
)

// A device that was started again believed a lookup service that hid the newer
// certificate from it, until the old one ended.
func TestA5_ARestartedDeviceRemembersTheNewestCertificateThatItWasShown(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		dir := t.TempDir()
		file := must(store.Open(store.Config{Dir: dir}))
		h.enrol("alice/laptop", file)
		alice := &phone{t: t, h: h, store: file}
		alice.start()
		restart := func(meanwhile func()) {
			t.Helper()
			alice.stop()
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			c.set(meanwhile)
			file = must(store.Open(store.Config{Dir: dir}))
			alice.store = file
			alice.start()
		}
		defer func() {
			alice.stop()
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		}()
		c.room(alice, nil)
		old := c.list[finance].keys[0]
		time.Sleep(time.Hour)
		fresh := c.addKey(finance)
		rounds()
		alice.wrappedTo(fresh)
		restart(func() { fresh.shown, old.retired = false, false })
		for range 2 {
			err := alice.Rekey(t.Context(), ops)
			if groups.KindOf(err) != groups.CoIUnavailable || !strings.Contains(err.Error(), "retired") {
				t.Errorf("the new one hidden: %v", err)
			}
			alice.wrappedTo(fresh)
			restart(func() {}) // not forgotten by having been shown the old one
		}
		// What is newer still is believed, and remembered in its place.
		time.Sleep(time.Hour)
		c.set(func() { fresh.shown = true })
		third := c.addKey(finance)
		restart(func() {})
		alice.rekey()
		alice.wrappedTo(third)
		restart(func() { third.shown, fresh.retired = false, false })
		if err := alice.Rekey(t.Context(), ops); groups.KindOf(err) != groups.CoIUnavailable {
			t.Errorf("the third hidden: %v", err)
		}
		alice.wrappedTo(third)
	})
}

// full is a store that writes nothing about certificates while it is.
type full struct {
	client.Store
	is atomic.Bool
}

var errFull = errors.New("no space left")

func (f *full) Update(fn func(client.Tx) error) error {
	return f.Store.Update(func(tx client.Tx) error { return fn(&fullTx{tx, f.is.Load()}) })
}

type fullTx struct {
	client.Tx
	is bool
}

func (tx *fullTx) Put(t client.Table, key, value []byte) error {
	if tx.is && t == client.TableCertificates {
		return errFull
	}
	return tx.Tx.Put(t, key, value)
}

// What could not be remembered is not gone by: the device would forget it.
func TestA5_NothingIsWrappedToACertificateThatCouldNotBeRemembered(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		s := &full{Store: store.NewMemory()}
		h.enrol("alice/laptop", s)
		alice := &phone{t: t, h: h, store: s}
		alice.start()
		c.room(alice, nil)
		old := c.list[finance].keys[0]
		time.Sleep(time.Hour)
		s.is.Store(true)
		fresh := c.addKey(finance)
		time.Sleep(2 * statusLife)
		if err := alice.Rekey(t.Context(), ops); groups.KindOf(err) != groups.CoIUnavailable || !strings.Contains(err.Error(), errFull.Error()) {
			t.Errorf("%v", err)
		}
		alice.wrappedTo(old)
		s.is.Store(false)
		alice.rekey()
		alice.wrappedTo(fresh)
	})
}
