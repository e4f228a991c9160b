package client_test

import (
	"crypto"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"parley/client"
	"parley/coi"
	"parley/groups"
)

// wrappedTo fails unless the key in use is wrapped to a key of a community.
func (p *phone) wrappedTo(k *coiKey) {
	p.t.Helper()
	if got := p.key().Recipients[0].Certificate; got != sha256.Sum256(k.cert.Raw) {
		p.t.Fatalf("%s: the key is wrapped to %v", p.ID(), got)
	}
}

// rounds lets enough time pass for every device to look at the communities.
func rounds() {
	time.Sleep(3 * time.Minute)
	settle()
}

func TestE22_AReplacedCertificateIsUsedFromThenOn(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, func(p *groups.Policy) { p.History = groups.HistoryAll })
		alice.say("under the first")
		settle()
		old := c.list[finance].keys[0]
		alice.wrappedTo(old)
		fresh := c.addKey(finance)
		rounds()
		alice.wrappedTo(fresh)
		if k := alice.key(); k.Reason != groups.KeyCertificateReplaced || k.Epoch != 1 {
			t.Errorf("the key is %+v", k)
		}
		alice.add("bob")
		bob.wrappedTo(fresh)
		alice.say("under the second")
		rounds()
		if k := bob.key(); k.Epoch != 2 {
			t.Errorf("keys go on being made: epoch %d", k.Epoch)
		}
		report := must(bob.FetchPast(t.Context(), ops, nil))
		if report.Unreadable != 0 {
			t.Errorf("%+v", report)
		}
		bob.shows("under the first", "under the second")
	})
}

func TestE23A6_ACertificateReplacedInOneServiceOnlyIsNotUsed(t *testing.T) {
	for _, where := range []string{"lookup", "unwrap", "unwrap, which keeps the old key"} {
		t.Run(where, func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice, bob := h.device("alice/laptop"), h.device("bob/phone")
				c.room(alice, nil)
				old := c.list[finance].keys[0]
				fresh := c.newKey(finance)
				c.set(func() {
					fresh.shown, old.retired = where == "lookup", where == "lookup"
					fresh.held, old.held = where != "lookup", where != "unwrap"
					fresh.certified, old.certified = old.held && fresh.held, old.held && fresh.held
					c.list[finance].keys = append(c.list[finance].keys, fresh)
				})
				rounds()
				// The key there is stays good, and messages go on.
				alice.say("goes on")
				settle()
				alice.shows("goes on")
				alice.wrappedTo(old)
				time.Sleep(statusLife) // what was known has come to its end
				settle()
				waiting, err := alice.Add(t.Context(), ops, bob.User())
				if err == nil && len(waiting) == 0 {
					t.Error("somebody was added: the key was wrapped to what only one service knows")
				}
				if err := alice.Rekey(t.Context(), ops); groups.KindOf(err) != groups.CoIUnavailable || !strings.Contains(err.Error(), "different keys") {
					t.Errorf("a new key: %v", err)
				}
				alice.wrappedTo(old)
				alice.say("and on")
				settle()
				c.set(func() { fresh.shown, fresh.held, old.held, old.retired = true, true, true, true })
				rounds()
				bob.wrappedTo(fresh)
				alice.say("all is well")
				settle()
				alice.shows("goes on", "and on", "all is well")
				bob.shows("all is well")
			})
		})
	}
}

func TestE24S1_AStatusIsAskedForBeforeAWrapOrIsStillGood(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, nil)
		made := alice.key()
		now := time.Now()
		if at := time.UnixMilli(int64(made.Recipients[0].StatusAt)); now.Sub(at) > time.Minute {
			t.Errorf("the first wrap goes by a status of %v", at)
		}
		for range 8 {
			time.Sleep(7 * time.Minute)
			alice.rekey()
			k := alice.key()
			at := time.UnixMilli(int64(k.Recipients[0].StatusAt))
			if k.Made.Sub(at) > statusLife || k.Recipients[0].Status == (groups.Hash{}) {
				t.Fatalf("a key of %v goes by a status of %v", k.Made, at)
			}
		}
		// Nobody vouches any more: what was said holds to its end, and not after.
		c.set(func() { c.down["*"] = true })
		alice.rekey()
		time.Sleep(statusLife)
		if err := alice.Rekey(t.Context(), ops); groups.KindOf(err) != groups.CoIUnavailable {
			t.Errorf("a key was made after the end of the status: %v", err)
		}
	})
}

func TestE24S15_AStrictPolicyAsksWithANonceAtEveryWrap(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, func(p *groups.Policy) { p.StrictStatus = true })
		url := c.list[finance].Status
		for range 3 {
			time.Sleep(2 * time.Minute)
			before := c.calls(url)
			alice.rekey()
			if c.calls(url) == before {
				t.Error("a key was made without asking")
			}
		}
		old := []byte(nil)
		c.set(func() {
			c.status = func(_, good []byte) ([]byte, error) {
				if old == nil {
					old = good
				}
				return old, nil // a replay: without this question's nonce
			}
		})
		time.Sleep(2 * time.Minute)
		settle()
		if err := alice.Rekey(t.Context(), ops); groups.KindOf(err) != groups.CoIUnavailable {
			t.Errorf("a replayed status passes: %v", err)
		}
		c.set(func() { c.down[url] = true })
		if err := alice.Rekey(t.Context(), ops); groups.KindOf(err) != groups.CoIUnavailable {
			t.Errorf("without a responder: %v", err)
		}
	})
}

func TestE25S2_ARevokedCertificateIsReplacedWithoutAPerson(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, nil)
		alice.add("bob")
		// Replaced while a device asks: it asks again at once.
		old := c.list[finance].keys[0]
		fresh := c.newKey(finance)
		c.revoke(finance)
		c.set(func() {
			looks := 0
			c.lookup = func(list []client.CoICertificate) []client.CoICertificate {
				if looks++; looks == 1 {
					fresh.shown, fresh.held, old.retired = true, true, true
					c.list[finance].keys = append(c.list[finance].keys, fresh)
				}
				return list
			}
		})
		time.Sleep(90 * time.Second)
		bob.rekey()
		bob.wrappedTo(fresh)
		if info := must(bob.Room(ops)); info.KeyDenied != "" {
			t.Errorf("sending is denied: %s", info.KeyDenied)
		}
		alice.say("goes on")
		settle()
		rounds()
		bob.shows("goes on")
		alice.wrappedTo(fresh)
		agree(alice, bob)
	})
}

func TestE26S2_WithoutAGoodCertificateSendingIsDeniedUntilThereIsOne(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, nil)
		alice.add("bob")
		bob.accept()
		alice.say("before")
		settle()
		c.revoke(finance)
		rounds()
		for _, p := range []*phone{alice, bob} {
			p.held("waits at " + string(p.ID()))
			if _, why := p.outbox(); !strings.Contains(why, "revoked") {
				t.Errorf("%s is told %q", p.ID(), why)
			}
			if info := must(p.Room(ops)); !strings.Contains(info.KeyDenied, "revoked") {
				t.Errorf("the room of %s says %q", p.ID(), info.KeyDenied)
			}
			if err := p.Rekey(t.Context(), ops); groups.KindOf(err) != groups.CoIRevoked {
				t.Errorf("a new key: %v", err)
			}
		}
		// Services that are down do not undo what is known; nor does a restart.
		c.set(func() { c.down["*"] = true })
		bob.stop()
		bob.start()
		rounds()
		if n, _ := bob.outbox(); n != 1 {
			t.Error("bob has sent under a revoked certificate")
		}
		c.set(func() { c.down["*"] = false })
		// Somebody who has just come is denied too.
		fresh := c.addKey(finance)
		rounds()
		for _, p := range []*phone{alice, bob} {
			if n, why := p.outbox(); n != 0 {
				t.Errorf("%s: %d messages wait, for %q", p.ID(), n, why)
			}
			p.wrappedTo(fresh)
			if texts := p.texts(); len(texts) != 3 {
				t.Errorf("%s shows %q", p.ID(), texts)
			}
		}
		agree(alice, bob)
	})
}

// One community that can not be reached does not hide that another one's
// certificate is revoked.
func TestE26_ARevocationIsSeenWhileAnotherCommunityIsDown(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, nil, finance, legal)
		c.set(func() { c.down[c.list[finance].Lookup] = true })
		time.Sleep(statusLife)
		c.revoke(legal)
		rounds()
		if info := must(alice.Room(ops)); !strings.Contains(info.KeyDenied, "legal") {
			t.Errorf("sending is denied for %q", info.KeyDenied)
		}
	}, finance, legal)
}

func TestE27S3S5_NoStatusPassesThatIsNotGood(t *testing.T) {
	type bad struct {
		name string
		make func(c *communities, k *coiKey) []byte
	}
	now := func() coi.Validity { return coi.Validity{This: time.Now(), Next: time.Now().Add(statusLife)} }
	id := func(k *coiKey, ca *coi.CA) coi.CertID {
		return must(coi.NewCertID(k.cert.SerialNumber, ca.Cert, crypto.SHA256))
	}
	answer := func(r *coi.Responder, a coi.Answer, v coi.Validity) []byte {
		return must(r.SignStatus([]coi.Answer{a}, v, nil))
	}
	for _, b := range []bad{
		{"missing", func(*communities, *coiKey) []byte { return nil }},
		{"nonsense", func(*communities, *coiKey) []byte { return []byte("good") }},
		{"unknown", func(c *communities, k *coiKey) []byte {
			return answer(c.responder, coi.Answer{ID: id(k, c.authority), State: coi.Unknown}, now())
		}},
		{"revoked", func(c *communities, k *coiKey) []byte {
			return answer(c.responder, coi.Answer{ID: id(k, c.authority), State: coi.Revoked, RevokedAt: time.Now()}, now())
		}},
		{"stale", func(c *communities, k *coiKey) []byte {
			return answer(c.responder, coi.Answer{ID: id(k, c.authority), State: coi.Good}, coi.Validity{This: time.Now().Add(-2 * statusLife), Next: time.Now().Add(-statusLife)})
		}},
		{"from the future", func(c *communities, k *coiKey) []byte {
			return answer(c.responder, coi.Answer{ID: id(k, c.authority), State: coi.Good}, coi.Validity{This: time.Now().Add(statusLife), Next: time.Now().Add(2 * statusLife)})
		}},
		{"older than a day", func(c *communities, k *coiKey) []byte {
			return answer(c.responder, coi.Answer{ID: id(k, c.authority), State: coi.Good}, coi.Validity{This: time.Now().Add(-25 * time.Hour), Next: time.Now().Add(time.Hour)})
		}},
		{"of another certificate", func(c *communities, k *coiKey) []byte {
			return answer(c.responder, coi.Answer{ID: id(c.newKey(finance), c.authority), State: coi.Good}, now())
		}},
		{"of another issuer", func(c *communities, k *coiKey) []byte {
			return answer(c.devices, coi.Answer{ID: id(k, c.h.devices), State: coi.Good}, now())
		}},
		{"signed by another CA's responder", func(c *communities, k *coiKey) []byte {
			return answer(c.devices, coi.Answer{ID: id(k, c.authority), State: coi.Good}, now())
		}},
		{"forged", func(c *communities, k *coiKey) []byte {
			b := answer(c.responder, coi.Answer{ID: id(k, c.authority), State: coi.Good}, now())
			b[len(b)/2] ^= 1
			return b
		}},
		{"try later", func(*communities, *coiKey) []byte { return coi.StatusTryLater.Refusal() }},
	} {
		t.Run(b.name, func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice := h.device("alice/laptop")
				c.room(alice, nil)
				k := c.list[finance].keys[0]
				c.set(func() {
					c.down["http://crl.alpha.example"] = true
					c.staple = func([]byte) []byte { return b.make(c, k) }
					c.status = func(_, _ []byte) ([]byte, error) { return b.make(c, k), nil }
				})
				rounds()
				if info := must(alice.Room(ops)); b.name != "revoked" && info.KeyDenied != "" {
					t.Errorf("what is not known for certain denies sending: %s", info.KeyDenied)
				}
				time.Sleep(statusLife)
				err := alice.Rekey(t.Context(), ops)
				want := groups.CoIUnavailable
				if b.name == "revoked" {
					want = groups.CoIRevoked
				}
				if groups.KindOf(err) != want {
					t.Errorf("a key was made: %v", err)
				}
				if err := alice.RemoveDevices(t.Context(), ops, "mimi://alpha.example/d/nobody/x"); groups.KindOf(err) != groups.NotFound {
					t.Error(err)
				}
				c.set(func() { c.staple, c.status = nil, nil })
				if err := alice.Rekey(t.Context(), ops); err != nil {
					t.Errorf("with a good status again: %v", err)
				}
			})
		})
	}
}

// The list of revocations is the last resort: it is good enough, and what it
// says is believed.
func TestS16_TheListOfRevocationsIsTheFallBack(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.set(func() {
			c.staple = func([]byte) []byte { return nil }
			c.down[c.list[finance].Status] = true
		})
		c.room(alice, nil)
		c.revoke(finance)
		rounds()
		if info := must(alice.Room(ops)); info.KeyDenied == "" {
			t.Error("the list says revoked, the device goes on")
		}
	})
}

func TestE28_WithOneUnwrapServiceDownEveryKeyOpens(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		urls := c.list[finance].Unwrap
		c.room(alice, func(p *groups.Policy) { p.History = groups.HistoryAll })
		for range 3 {
			alice.say("one")
			settle()
			alice.rekey()
		}
		alice.add("bob")
		c.set(func() { c.down[urls[0]], c.down[urls[1]] = true, true })
		report, err := bob.FetchPast(t.Context(), ops, nil)
		if err != nil || report.Unreadable != 3 || !strings.Contains(strings.Join(report.Reasons(), " "), "no unwrap service of") {
			t.Errorf("with none: %+v, %v", report, err)
		}
		for i := range urls {
			c.set(func() { c.down[urls[i]], c.down[urls[1-i]] = true, false })
			carol := h.device("carol/phone" + string(rune('1'+i)))
			alice.add("carol")
			settle()
			report := must(carol.FetchPast(t.Context(), ops, nil))
			if report.Messages != 3 || report.Unreadable != 0 {
				t.Errorf("with %s down: %+v", urls[i], report)
			}
			alice.rekey()
		}
	})
}

// Services that are down or slow never hold up messages under a key that is
// good, also not after a restart; nobody is let in, and somebody can leave.
func TestS4_ServicesThatAreDownOrSlowBlockNoMessages(t *testing.T) {
	for name, fault := range map[string]func(c *communities){
		"down": func(c *communities) { c.down["*"] = true },
		"slow": func(c *communities) { c.slow = time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice, bob, carol := h.device("alice/laptop"), h.device("bob/phone"), h.device("carol/phone")
				c.room(alice, nil)
				alice.add("bob", "carol")
				c.set(func() { fault(c) })
				time.Sleep(2 * statusLife)
				for i := range 3 {
					began := time.Now()
					alice.say("goes on")
					if err := alice.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > 5*time.Second {
						t.Errorf("message %d took %v", i, took)
					}
					alice.stop()
					alice.start()
				}
				bob.shows("goes on", "goes on", "goes on")
				// Removing somebody does not wait for them; sending then does.
				began := time.Now()
				if err := alice.Remove(t.Context(), ops, carol.User()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("removing somebody took %v", took)
				}
				settle()
				if must(carol.Room(ops)).State != client.RoomClosed {
					t.Error("carol is still in")
				}
				alice.held("after her")
				c.set(func() { c.down["*"], c.slow = false, 0 })
				rounds()
				bob.shows("goes on", "goes on", "goes on", "after her")
				agree(alice, bob)
			})
		})
	}
}
