package client_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/coi/wrap"
	"parley/groups"
)

// "retired cert offered as active": marked so again by lookup, held by the unwrap
// services as all that ever was, in force, and good by its status.
func TestA5_ARetiredCertificateOfferedAsActiveIsNotUsed(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, nil)
		old := c.list[finance].keys[0]
		time.Sleep(time.Hour)
		fresh := c.addKey(finance)
		rounds()
		alice.wrappedTo(fresh)
		alice.accept()
		for _, hidden := range []bool{true, false} {
			name := map[bool]string{true: "the new one hidden", false: "their parts swapped"}[hidden]
			c.set(func() { fresh.shown, fresh.retired, old.retired = !hidden, !hidden, false })
			time.Sleep(2 * statusLife)
			err := alice.Rekey(t.Context(), ops)
			if groups.KindOf(err) != groups.CoIUnavailable || !strings.Contains(err.Error(), "retired") {
				t.Errorf("%s: %v", name, err)
			}
			alice.wrappedTo(fresh)
			alice.say("goes on under the key there is")
			settle()
			if n, why := alice.outbox(); n != 0 {
				t.Errorf("%s: %d messages wait, for %q", name, n, why)
			}
			// A device that has just started sees it where both are shown.
			alice.stop()
			c.set(func() { fresh.shown = true })
			alice.start()
			err = alice.Rekey(t.Context(), ops)
			if (err == nil) != !fresh.retired {
				t.Errorf("%s, after a restart: %v", name, err)
			}
			alice.wrappedTo(fresh)
		}
		c.set(func() { fresh.shown, fresh.retired, old.retired = true, false, true })
		if err := alice.Rekey(t.Context(), ops); err != nil {
			t.Error(err)
		}
		alice.wrappedTo(fresh)
	})
}

// "hostile gateway hides a new generation from one client".
func TestA12_AHiddenKeyIsMissed(t *testing.T) {
	t.Run("all of it hidden", func(t *testing.T) {
		simKeys(t, func(t *testing.T, h *hub, c *communities) {
			alice, bob := h.device("alice/laptop"), h.device("bob/phone")
			c.room(alice, aging)
			alice.add("bob")
			h.frozen(bob)
			alice.rekey()
			if bob.key().Epoch != 1 || alice.key().Epoch != 2 {
				t.Fatal("bob has seen the new key: this proves nothing")
			}
			time.Sleep(time.Until(bob.key().Ends))
			h.set(func() {
				h.refuse = func(sub *devicev1.Submission) *devicev1.Refusal {
					if sub.Kind == uint32(groups.KindMessage) {
						t.Error("a message leaves under a key that has ended")
					}
					return nil
				}
			})
			bob.held("waits")
			h.set(func() { h.tamper, h.refuse = nil, nil })
			bob.stop()
			bob.start()
			alice.rekey()
			alice.shows("waits")
		})
	})
	t.Run("left out", func(t *testing.T) {
		simKeys(t, func(t *testing.T, h *hub, c *communities) {
			alice, bob := h.device("alice/laptop"), h.device("bob/phone")
			c.room(alice, nil)
			alice.add("bob")
			h.set(func() {
				h.tamper = func(d groups.DeviceID, page *devicev1.RoomEntries) {
					page.Entries = slices.DeleteFunc(slices.Clone(page.Entries), func(b []byte) bool {
						return d == bob.ID() && must(groups.ParseEntry(b)).Seq == 3
					})
				}
			})
			alice.rekey()
			alice.say("under the new key")
			settle()
			if !slices.Contains(bob.alarms(), client.AlarmChain) || !must(bob.Room(ops)).Parked {
				t.Errorf("bob has alarms %v", bob.alarms())
			}
			bob.shows()
			h.set(func() { h.tamper = nil })
			bob.stop()
			bob.start()
			settle()
			bob.shows("under the new key")
		})
	})
	t.Run("another history in its place", func(t *testing.T) {
		simKeys(t, func(t *testing.T, h *hub, c *communities) {
			alice, bob := h.device("alice/laptop"), h.device("bob/phone")
			c.room(alice, nil)
			alice.add("bob")
			bob.stop()
			before := h.fork(ops)
			alice.rekey()
			alice.stop()
			after := h.fork(ops)
			h.set(func() {
				old := before.old
				old.members, old.receipts = h.rooms[ops].members, h.rooms[ops].receipts
				h.rooms[ops] = &old
			})
			bob.start()
			bob.tell(client.Text("in the history without it"))
			bob.tell(client.Text("and once more"))
			h.set(func() { h.crossOver(after, bob.ID()) })
			alice.start()
			settle()
			if !slices.Contains(alice.alarms(), client.AlarmFork) {
				t.Errorf("alice has alarms %v", alice.alarms())
			}
		})
	})
}

// "decryption node returns garbage share (DLEQ or blame by subset retry)".
func TestA14_WhoGivesGarbageIsPassedOverAndNamed(t *testing.T) {
	for _, mode := range []groups.CoIMode{groups.CoIAny, groups.CoIAll} {
		t.Run(mode.String(), func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice := h.device("alice/laptop")
				c.room(alice, func(p *groups.Policy) { p.Mode, p.History = mode, groups.HistoryAll }, finance, legal)
				alice.tell(client.Text("one"))
				alice.rekey()
				alice.tell(client.Text("two"))
				bob, carol := h.device("bob/phone"), h.device("carol/phone")
				alice.add("bob", "carol")
				urls := slices.Concat(c.list[finance].Unwrap, c.list[legal].Unwrap)
				// One of a community's two lies, each in turn and both of them.
				lie := func(list ...string) {
					c.set(func() {
						c.lies = make(map[string]bool)
						for _, url := range list {
							c.lies[url] = true
						}
					})
				}
				lie(urls...)
				report := bob.reads(0, 2)
				if want := slices.Sorted(slices.Values(urls)); mode == groups.CoIAny && !slices.Equal(report.Lied, want) {
					t.Errorf("%v are named, want %v", report.Lied, want)
				}
				if !strings.Contains(report.Reasons()[0], "not its key") {
					t.Errorf("bob is told %q", report.Reasons())
				}
				// One lies, and is the first that is asked: the other one is away
				// until then.
				lie(urls[0])
				c.set(func() {
					c.down[urls[1]] = true
					c.saw = func([]byte) { delete(c.down, urls[1]) }
				})
				report = bob.reads(2, 0)
				if !slices.Equal(report.Lied, urls[:1]) {
					t.Errorf("%v are named, want %v", report.Lied, urls[:1])
				}
				// One lies, and the other one stays away: in mode any another
				// community has the key as well.
				any := map[groups.CoIMode]int{groups.CoIAny: 2}[mode]
				c.set(func() { c.saw, c.down[urls[1]] = nil, true })
				carol.reads(any, 2-any)
				c.set(func() { clear(c.down) })
				lie()
				carol.reads(2-any, 0)
				bob.shows("one", "two")
				carol.shows("one", "two")
			}, finance, legal)
		})
	}
}

// A status that somebody has signed who may not is told as what it is.
func TestS5_ABadSignatureIsTold(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, nil)
		c.set(func() {
			c.down["http://crl.alpha.example"] = true
			forge := func(good []byte) []byte { // the signature stands before the responder's certificate
				b := slices.Clone(good)
				b[len(b)-len(c.responder.Cert.Raw)-30] ^= 1
				return b
			}
			c.staple = forge
			c.status = func(_, good []byte) ([]byte, error) { return forge(good), nil }
		})
		time.Sleep(2 * statusLife)
		err := alice.Rekey(t.Context(), ops)
		if groups.KindOf(err) != groups.CoIUnavailable || strings.Count(err.Error(), "signature") < 2 {
			t.Errorf("a key with a forged status: %v", err)
		}
		e := must(alice.Inspect(t.Context(), ops))
		if !strings.Contains(e.Communities[0].Problem, "signature") {
			t.Errorf("before a key is made it says %q", e.Communities[0].Problem)
		}
	})
}

// "stapled OCSP in the lookup bundle (no privacy leak)": whoever wraps asks no
// responder, and its record names the status it went by.
func TestS1S14_AStapledStatusIsEnough(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, nil)
		alice.add("bob")
		for range 3 {
			time.Sleep(2 * statusLife)
			bob.rekey()
		}
		before := c.calls(c.list[finance].Status)
		for range 3 {
			time.Sleep(10 * time.Second)
			bob.rekey()
		}
		if n := c.calls(c.list[finance].Status) - before; n != 0 {
			t.Errorf("the responder was asked %d times", n)
		}
		if r := bob.key().Recipients[0]; r.Status == (groups.Hash{}) || r.StatusAt == 0 {
			t.Errorf("the record says nothing of the status: %+v", r)
		}
	})
}

// "Compromise of a CoI key is not rotation: all generations wrapped to it are
// exposed; the UI must say which", and a new one is forced.
func TestS20_WhatAStolenKeyOpensIsListed(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, nil, finance, legal)
		alice.rekey()
		stolen := c.list[finance].keys[0]
		c.revoke(finance)
		fresh := c.addKey(finance)
		rounds()
		if k := alice.key(); k.Epoch != 2 || k.Reason != groups.KeyCertificateReplaced {
			t.Errorf("after the theft the key is %+v", k)
		}
		serials := func(k *coiKey) (epochs []groups.Epoch) {
			for _, key := range must(alice.Keys(ops)) {
				opens := c.opens(k, must(groups.ParseKeyRecord(must(alice.ExportKeys(ops))[key.Epoch].Record)))
				if key.WrappedTo(k.cert.SerialNumber.Bytes()) != opens {
					t.Errorf("epoch %d: listed %v, opens %v", key.Epoch, !opens, opens)
				}
				if opens {
					epochs = append(epochs, key.Epoch)
				}
			}
			return epochs
		}
		if got := serials(stolen); !slices.Equal(got, []groups.Epoch{0, 1}) {
			t.Errorf("the stolen key opens epochs %v", got)
		}
		if got := serials(fresh); !slices.Equal(got, []groups.Epoch{2}) {
			t.Errorf("the new key opens epochs %v", got)
		}
		if got := serials(c.list[legal].keys[0]); len(got) != 3 {
			t.Errorf("the other community opens epochs %v", got)
		}
	}, finance, legal)
}

// opens says whether a community's private key opens a record's envelope.
func (c *communities) opens(k *coiKey, r *groups.KeyRecord) bool {
	binding := wrap.Binding{Room: string(r.Room), Epoch: uint64(r.Epoch), KeyID: r.KeyID, Recipients: r.BindingHash()}
	_, err := wrap.Open(r.Envelope, wrap.Key{Certificate: k.cert, Private: k.private, PQ: k.quantum}, binding)
	return err == nil
}
