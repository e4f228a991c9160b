package client_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/coi/wrap"
	"parley/groups"
	"parley/mls/suite"
)

// rewritten is a log with other bodies from an entry on, chained anew and with a
// head that the hub has signed: what only the room's own hub could show.
func (h *hub) rewritten(entries [][]byte, edit func(e *groups.Entry)) ([][]byte, []byte) {
	var out [][]byte
	var prev groups.Hash
	var last *groups.Entry
	for i, b := range entries {
		e := must(groups.ParseEntry(b))
		edit(e)
		e.BodyHash = sha256.Sum256(e.Body)
		if i > 0 {
			e.Prev = prev
		}
		prev, last = e.Hash(), e
		out = append(out, e.Marshal())
	}
	head := h.rooms[ops].head.Head
	head.Seq, head.Hash = last.Seq, prev
	return out, must(groups.SignHeads([]groups.Head{head}, h.signer))[0].Marshal()
}

// mangled changes the key record of each commit that is submitted.
func mangled(edit func(k *groups.KeyRecord) []byte) func(*groups.Submission) {
	return func(s *groups.Submission) {
		if s.Kind != groups.KindCommit {
			return
		}
		bundle := must(groups.ParseCommitBundle(s.Body))
		bundle.KeyRecord = edit(must(groups.ParseKeyRecord(bundle.KeyRecord)))
		s.Body = bundle.Marshal()
	}
}

// quiet fails if the device sends anything, or has raised no alarm over a key.
func (p *phone) refusesKey() {
	p.t.Helper()
	if !slices.Contains(p.alarms(), client.AlarmKey) {
		p.t.Errorf("%s has raised %v", p.ID(), p.alarms())
	}
	if info := must(p.Room(ops)); info.KeyProblem == "" {
		p.t.Errorf("%s finds nothing wrong with the key", p.ID())
	}
	before := len(p.h.log(ops))
	p.h.set(func() {
		p.h.refuse = func(sub *devicev1.Submission) *devicev1.Refusal {
			if sub.Kind == uint32(groups.KindMessage) {
				p.t.Errorf("a message leaves under such a key")
			}
			return &devicev1.Refusal{Kind: "unavailable", Text: "later"}
		}
	})
	p.held("waits")
	if after := len(p.h.log(ops)); after != before {
		p.t.Errorf("%d entries were added", after-before)
	}
}

// A hub that swaps or strips the record of a commit is seen by who joins and by
// who is there, and neither sends under it.
func TestE8A1A2_AHubThatSwapsKeyRecordsIsSeen(t *testing.T) {
	for name, edit := range map[string]func(k, before *groups.KeyRecord) []byte{
		"stripped": func(*groups.KeyRecord, *groups.KeyRecord) []byte { return nil },
		"replayed": func(_, before *groups.KeyRecord) []byte { return before.Marshal() },
		"envelope of another epoch": func(k, before *groups.KeyRecord) []byte {
			k.Envelope = before.Envelope
			return k.Marshal()
		},
		"signature cut": func(k, _ *groups.KeyRecord) []byte { k.Signature = nil; return k.Marshal() },
		"back-dated":    func(k, _ *groups.KeyRecord) []byte { k.CreatedAt--; return k.Marshal() },
		"longer life":   func(k, _ *groups.KeyRecord) []byte { k.NotAfter += 1000; return k.Marshal() },
		"another serial": func(k, _ *groups.KeyRecord) []byte {
			k.Recipients = slices.Clone(k.Recipients)
			k.Recipients[0].Serial = []byte{1}
			return k.Marshal()
		},
	} {
		t.Run(name, func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice, bob := h.device("alice/laptop"), h.device("bob/phone")
				c.room(alice, nil)
				alice.add("bob")
				before := must(groups.ParseKeyRecord(must(alice.ExportKeys(ops))[1].Record))
				bob.stop()
				carol := h.device("carol/phone")
				carol.stop()
				alice.add("carol")
				h.set(func() {
					r := h.rooms[ops]
					var head []byte
					r.entries, head = h.rewritten(r.entries, func(e *groups.Entry) {
						if e.Seq != 3 {
							return
						}
						bundle := must(groups.ParseCommitBundle(e.Body))
						bundle.KeyRecord = edit(must(groups.ParseKeyRecord(bundle.KeyRecord)), before)
						e.Body = bundle.Marshal()
					})
					r.head = must(groups.ParseSignedHead(head))
					for _, w := range h.welcomes[carol.ID()] {
						w.Head, w.EntryHash = head, r.head.Head.Hash[:]
						if w.KeyRecord = edit(must(groups.ParseKeyRecord(w.KeyRecord)), before); w.KeyRecord == nil {
							w.KeyRecord = []byte{}
						}
					}
				})
				bob.start()
				bob.refusesKey()
				h.set(func() { h.refuse = nil })
				bob.stop()
				carol.start()
				carol.refusesKey()
			})
		})
	}
}

// rekeysWith has a member make a new key whose record it has changed and signed
// anew. The hub takes it: it has no way to know.
func (p *phone) rekeysWith(edit func(k *groups.KeyRecord)) {
	p.t.Helper()
	before := len(p.h.log(ops))
	p.h.set(func() {
		p.h.mangle = mangled(func(k *groups.KeyRecord) []byte {
			edit(k)
			s := must(suite.Lookup(suite.X25519AES128SHA256Ed25519))
			if err := k.Sign(must(s.SignatureKeyOf(p.h.keys[p.ID()]))); err != nil {
				p.t.Error(err)
			}
			return k.Marshal()
		})
	})
	p.Rekey(p.t.Context(), ops)
	settle()
	p.h.set(func() { p.h.mangle = nil })
	if len(p.h.log(ops)) != before+1 {
		p.t.Fatal("the hub has not taken it: this proves nothing")
	}
}

// sealedTo makes an envelope bound to a record.
func sealedTo(k *groups.KeyRecord, secret []byte, to []wrap.Recipient) []byte {
	binding := wrap.Binding{Room: string(k.Room), Epoch: uint64(k.Epoch), KeyID: k.KeyID, Recipients: k.BindingHash()}
	return must(wrap.Seal(secret, to, binding, wrap.SealOptions{Mode: wrap.Any}))
}

// A member who wraps another key than the room's, or for others than it says, is
// found by every member, though the record is well signed and the hub took it.
func TestE8_AMemberThatWrapsAnotherKeyIsSeen(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, nil)
		alice.add("bob")
		alice.rekeysWith(func(k *groups.KeyRecord) {
			s := must(suite.Lookup(suite.X25519AES128SHA256Ed25519))
			other := groups.RoomKey{Suite: groups.CipherSuite(s.ID()), SenderDataSecret: suite.Random(32), EncryptionSecret: suite.Random(32)}
			k.KeyID = groups.KeyID(s, other, k.ContextHash)
			to := []wrap.Recipient{{Name: string(finance), Certificate: c.list[finance].keys[0].cert}}
			k.Envelope = sealedTo(k, groups.RoomKeyBytes(other), to)
		})
		bob.refusesKey()
		if info := must(bob.Room(ops)); !strings.Contains(info.KeyProblem, "another key") {
			t.Errorf("bob is told %q", info.KeyProblem)
		}
		h.set(func() { h.refuse = nil })
		rounds()
		if k := bob.key(); k.Bad != "" || k.Epoch != 3 {
			t.Errorf("bob goes on under %+v", k)
		}
		bob.shows("waits")
	})
}

// A member who leaves a community out of the envelope, or makes one that a single
// community can open where it takes all, is found by every member: the record
// itself names them all, and is well signed.
func TestA4_AMemberThatLeavesACommunityOutIsSeen(t *testing.T) {
	for name, mode := range map[string]groups.CoIMode{"left out": groups.CoIAny, "any where it takes all": groups.CoIAll} {
		t.Run(name, func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice, bob := h.device("alice/laptop"), h.device("bob/phone")
				c.room(alice, func(p *groups.Policy) { p.Mode = mode }, finance, legal)
				alice.add("bob")
				var to []wrap.Recipient
				for _, who := range []groups.CoIID{finance, legal} {
					to = append(to, wrap.Recipient{Name: string(who), Certificate: c.list[who].keys[0].cert})
				}
				if mode == groups.CoIAny {
					to = to[:1]
				}
				alice.rekeysWith(func(k *groups.KeyRecord) { k.Envelope = sealedTo(k, suite.Random(64), to) })
				bob.refusesKey()
				if info := must(bob.Room(ops)); !strings.Contains(info.KeyProblem, "the envelope is") {
					t.Errorf("bob is told %q", info.KeyProblem)
				}
			}, finance, legal)
		})
	}
}

// In an epoch without a record nothing is sent, also if the hub drops every
// record that is published.
func TestNothingIsSentWhileTheHubDropsRecords(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		carol := h.device("carol/phone")
		c.room(alice, nil)
		alice.add("bob", "carol")
		c.set(func() { c.down["*"] = true })
		time.Sleep(2 * statusLife)
		if err := alice.Remove(t.Context(), ops, carol.User()); err != nil {
			t.Fatal(err)
		}
		settle()
		h.set(func() {
			h.refuse = func(sub *devicev1.Submission) *devicev1.Refusal {
				switch groups.EntryKind(sub.Kind) {
				case groups.KindMessage:
					t.Error("a message leaves under a key that is wrapped to nobody")
				case groups.KindKeyRecord, groups.KindCommit:
					return &devicev1.Refusal{Kind: "unavailable", Text: "dropped"}
				}
				return nil
			}
		})
		c.set(func() { c.down["*"] = false })
		bob.held("waits")
		rounds()
		if n, why := bob.outbox(); n != 1 || why == "" {
			t.Errorf("%d wait, for %q", n, why)
		}
		h.set(func() { h.refuse = nil })
		rounds()
		alice.shows("waits")
	})
}

// What a hub does to the log that a history fetch gets is found, and nothing of
// it stays.
func TestAFalsifiedPastIsFoundAndLeavesNothing(t *testing.T) {
	type unveil = func(h *hub) func(groups.DeviceID, *devicev1.RoomEntries)
	for name, lie := range map[string]unveil{
		"without its beginning": func(*hub) func(groups.DeviceID, *devicev1.RoomEntries) {
			return func(_ groups.DeviceID, p *devicev1.RoomEntries) { p.Entries = p.Entries[2:] }
		},
		"without an entry": func(*hub) func(groups.DeviceID, *devicev1.RoomEntries) {
			return func(_ groups.DeviceID, p *devicev1.RoomEntries) { p.Entries = slices.Delete(p.Entries, 2, 3) }
		},
		"cut short": func(*hub) func(groups.DeviceID, *devicev1.RoomEntries) {
			return func(_ groups.DeviceID, p *devicev1.RoomEntries) { p.Entries, p.Head = p.Entries[:3], nil }
		},
		"another body": func(*hub) func(groups.DeviceID, *devicev1.RoomEntries) {
			return func(_ groups.DeviceID, p *devicev1.RoomEntries) {
				p.Entries[2] = slices.Clone(p.Entries[2])
				flip(p.Entries[2], -1)
			}
		},
		"another history": func(h *hub) func(groups.DeviceID, *devicev1.RoomEntries) {
			return func(_ groups.DeviceID, p *devicev1.RoomEntries) {
				said := must(groups.ParseEntry(p.Entries[1])).Body
				p.Entries, p.Head = h.rewritten(p.Entries, func(e *groups.Entry) {
					if e.Seq == 3 { // the second message is the first again
						e.Body = said
					}
				})
			}
		},
		"another history, unsigned": func(h *hub) func(groups.DeviceID, *devicev1.RoomEntries) {
			return func(_ groups.DeviceID, p *devicev1.RoomEntries) {
				p.Entries, _ = h.rewritten(p.Entries, func(e *groups.Entry) { e.AcceptedAt++ })
				p.Head = nil
			}
		},
		"closed": func(h *hub) func(groups.DeviceID, *devicev1.RoomEntries) {
			h.noHistory = "no longer"
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice, bob := h.device("alice/laptop"), h.device("bob/phone")
				c.room(alice, everything)
				alice.tell(client.Text("one"))
				alice.tell(client.Text("two"))
				alice.rekey()
				alice.tell(client.Text("three"))
				alice.add("bob")
				keys, log := len(must(bob.Keys(ops))), len(must(bob.Log(ops, 0, 100)))
				h.set(func() { h.unveil = lie(h) })
				if report, err := bob.FetchPast(t.Context(), ops, nil); err == nil {
					t.Errorf("it passes: %+v", report)
				}
				bob.shows()
				if k, l := len(must(bob.Keys(ops))), len(must(bob.Log(ops, 0, 100))); k != keys || l != log {
					t.Errorf("%d keys and %d lines of the log stay", k-keys, l-log)
				}
				h.set(func() { h.unveil, h.noHistory = nil, "" })
				bob.reads(3, 0)
				bob.shows("one", "two", "three")
				// A reader has never seen the room: the hub's signature has to do.
				policy := c.policy(finance)
				policy.Readers = []groups.CoIID{finance}
				if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
					t.Fatal(err)
				}
				rita := h.device("rita/phone")
				h.set(func() { h.unveil = lie(h) })
				must(rita.Attach(t.Context(), ops)) // it is read from now on
				if report, err := rita.FetchPast(t.Context(), ops, nil); err == nil && name != "another history" {
					t.Errorf("a reader finds nothing wrong: %+v", report)
				}
			})
		})
	}
}

// frozen keeps from a device that anything has happened since.
func (h *hub) frozen(p *phone) {
	h.set(func() {
		h.hostile = true
		h.tamper = func(d groups.DeviceID, page *devicev1.RoomEntries) {
			if d == p.ID() {
				page.Entries, page.Head = nil, nil
			}
		}
	})
}

// The gateway is the removed person's friend: it hides the removal from the
// device, and gives it every byte of the room.
func TestWhoWasRemovedOpensNothingWhateverTheGatewayGives(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, everything)
		alice.say("before bob")
		settle()
		alice.add("bob")
		h.frozen(bob)
		if err := alice.Remove(t.Context(), ops, bob.User()); err != nil {
			t.Fatal(err)
		}
		settle()
		alice.say("after bob")
		settle()
		if must(bob.Room(ops)).State != client.RoomLive {
			t.Fatal("bob's device knows that it was removed: this proves nothing")
		}
		report := bob.reads(0, 1)
		if report.Keys != 0 {
			t.Errorf("%+v", report)
		}
		bob.shows()
	})
}

// The services are away when somebody is removed: it waits for nothing, and they
// are told when they are back.
func TestARemovalIsAnnouncedWhenServicesAreBack(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, everything)
		alice.say("before bob")
		settle()
		alice.add("bob")
		h.frozen(bob)
		urls := c.list[finance].Unwrap
		c.set(func() { c.down[urls[0]], c.down[urls[1]] = true, true })
		if err := alice.Remove(t.Context(), ops, bob.User()); err != nil {
			t.Fatal(err)
		}
		alice.say("after bob")
		settle()
		c.set(func() { clear(c.down) })
		time.Sleep(time.Minute) // a round or two
		settle()
		if report := bob.reads(0, 1); report.Keys != 0 {
			t.Errorf("%+v", report)
		}
	})
}

func TestWhoWasRevokedOpensNothingWhateverTheGatewayGives(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, everything)
		alice.say("before bob")
		settle()
		alice.add("bob")
		h.frozen(bob)
		h.set(func() { h.revoked[bob.ID()] = true })
		if report := bob.reads(0, 1); !strings.Contains(report.Reasons()[0], "nothing") {
			t.Errorf("bob is told %q", report.Reasons())
		}
		h.set(func() { delete(h.revoked, bob.ID()) })
		bob.reads(1, 0) // it was that, and nothing else
	})
}

// A certificate that has ended, or is under another root, is nobody's, however
// the lookup service praises it.
func TestAnOldCertificateIsNotUsed(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.life = time.Hour
		k := c.addKey(finance)
		c.life = 0
		c.room(alice, func(p *groups.Policy) { p.MaxKeyAge = 0 })
		alice.stop()
		time.Sleep(time.Until(k.cert.NotAfter))
		alice.start()
		if err := alice.Rekey(t.Context(), ops); groups.KindOf(err) != groups.CoIUnavailable {
			t.Errorf("wrapped to a certificate that has ended: %v", err)
		}
		stranger := newHub(t, "alpha.example").communities(finance).list[finance].keys[0]
		stranger.shown, stranger.held = true, true
		c.set(func() { c.list[finance].keys = append(c.list[finance].keys, stranger) })
		if err := alice.Rekey(t.Context(), ops); groups.KindOf(err) != groups.CoIUnavailable {
			t.Errorf("wrapped to a certificate of another root: %v", err)
		}
		c.addKey(finance)
		alice.rekey()
	})
}
