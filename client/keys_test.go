package client_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/client/store"
	"parley/coi/wrap"
	"parley/groups"
)

// room makes a room under communities, with the fixture's policy changed.
func (c *communities) room(p *phone, edit func(*groups.Policy), names ...groups.CoIID) {
	p.t.Helper()
	if len(names) == 0 {
		names = []groups.CoIID{finance}
	}
	policy := c.policy(names...)
	if edit != nil {
		edit(policy)
	}
	if _, err := p.CreateRoom(p.t.Context(), client.RoomSpec{Room: ops, Policy: policy}); err != nil {
		p.t.Fatal(err)
	}
	settle()
	p.accept()
}

// accept has the person accept how the room is encrypted.
func (p *phone) accept() {
	p.t.Helper()
	if err := p.Accept(must(p.Inspect(p.t.Context(), ops))); err != nil {
		p.t.Fatal(err)
	}
}

// key is the key in use, as a device shows it.
func (p *phone) key() client.KeyInfo {
	p.t.Helper()
	k, err := p.Key(ops)
	if err != nil {
		p.t.Fatal(err)
	}
	return k
}

func TestE15_TheKeyInUseIsShown(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		began := time.Now()
		c.room(alice, nil, finance, legal)
		alice.add("bob")
		for _, p := range []*phone{alice, bob} {
			k := p.key()
			if k.Author != alice.ID() || k.Room != ops || k.Epoch != 1 || k.ID == (groups.Hash{}) || k.Reason != groups.KeyJoined || k.Bad != "" {
				t.Errorf("%s shows %+v", p.ID(), k)
			}
			if k.Made.Before(began) || k.Made.After(time.Now()) || k.Ends.Sub(k.Made) != 30*24*time.Hour {
				t.Errorf("%s: made at %v, ends at %v", p.ID(), k.Made, k.Ends)
			}
			if len(k.Recipients) != 2 {
				t.Fatalf("wrapped to %d communities", len(k.Recipients))
			}
			for i, name := range []groups.CoIID{finance, legal} {
				r, cert := k.Recipients[i], c.list[name].keys[0].cert
				if r.Name != name || r.Certificate != sha256.Sum256(cert.Raw) || string(r.Serial) != string(cert.SerialNumber.Bytes()) || r.StatusAt == 0 {
					t.Errorf("recipient %d is %+v", i, r)
				}
			}
		}
		if a, b := alice.key(), bob.key(); a.Record != b.Record {
			t.Error("two devices show two records")
		}
	}, finance, legal)
}

// A device made keys that lasted as long as the policy allows at most, whatever
// its default said.
func TestE12_AKeyLastsAsLongAsThePolicysDefaultSays(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, func(p *groups.Policy) { p.MaxKeyAge, p.DefaultKeyAge = 2*time.Hour, time.Hour })
		if k := alice.key(); k.Ends.Sub(k.Made) != time.Hour {
			t.Errorf("a key was made to last %v", k.Ends.Sub(k.Made))
		}
	})
}

// outbox is how many messages wait, and why.
func (p *phone) outbox() (int, string) {
	p.t.Helper()
	info := must(p.Room(ops))
	return info.Outbox, info.Waiting
}

func (p *phone) rekey() {
	p.t.Helper()
	p.accept()
	if err := p.Rekey(p.t.Context(), ops); err != nil {
		p.t.Fatal(err)
	}
	settle()
}

func TestE9_AnyMemberMakesANewKey(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob, carol := h.device("alice/laptop"), h.device("bob/phone"), h.device("carol/phone")
		c.room(alice, nil)
		alice.add("bob", "carol")
		carol.stop()
		for _, maker := range []*phone{bob, alice, bob} {
			before := alice.key()
			maker.rekey()
			after := alice.key()
			if after.Author != maker.ID() || after.Reason != groups.KeyRotatedByUser || after.ID == before.ID || after.Prev != before.Record {
				t.Fatalf("%s made a key, it is %+v", maker.ID(), after)
			}
			for _, p := range []*phone{alice, bob} {
				p.say("under " + string(maker.ID()))
				settle()
				list := must(p.History(ops, client.HistoryQuery{}))
				if last := list[len(list)-1]; last.Epoch != after.Epoch {
					t.Errorf("%s goes on under epoch %d, the key is that of %d", p.ID(), last.Epoch, after.Epoch)
				}
			}
		}
		// Who was away uses it from the first message on.
		carol.open()
		if _, err := carol.Send(ops, client.Text("back")); err != nil {
			t.Fatal(err)
		}
		carol.run()
		settle()
		agree(alice, bob, carol)
		list := must(alice.History(ops, client.HistoryQuery{}))
		if last := list[len(list)-1]; last.Content.Text != "back" || last.Epoch != alice.key().Epoch {
			t.Errorf("carol's is %q in epoch %d", last.Content.Text, last.Epoch)
		}
	})
}

// aging is a policy whose keys last an hour and are made by people only.
func aging(p *groups.Policy) { p.MaxKeyAge = time.Hour }

// kindOfSend tries to get one message out and says what it waits for.
func (p *phone) held(text string) {
	p.t.Helper()
	p.say(text)
	time.Sleep(10 * time.Second)
	settle()
	if n, why := p.outbox(); n == 0 || why == "" {
		p.t.Fatalf("%s: %d messages wait, for %q", p.ID(), n, why)
	}
}

func TestE10_TheDeviceSendsNothingUnderAKeyThatHasEnded(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, aging)
		alice.add("bob")
		alice.say("in time")
		settle()
		time.Sleep(time.Until(alice.key().Ends))
		entries := len(h.log(ops))
		h.set(func() {
			h.refuse = func(sub *devicev1.Submission) *devicev1.Refusal {
				if sub.Kind == uint32(groups.KindMessage) {
					t.Error("a message left the device")
				}
				return nil
			}
		})
		for _, p := range []*phone{alice, bob} {
			p.held("too late")
			if _, why := p.outbox(); !strings.Contains(why, "has ended") || !strings.Contains(why, "parley keys new") {
				t.Errorf("%s is told %q", p.ID(), why)
			}
			if len(h.log(ops)) != entries || p.key().Epoch != 1 {
				t.Error("somebody has made a key that nobody asked for")
			}
		}
		h.set(func() { h.refuse = nil })
		bob.rekey()
		settle()
		for _, p := range []*phone{alice, bob} {
			if texts := p.texts(); len(texts) != 3 {
				t.Errorf("%s shows %q", p.ID(), texts)
			}
		}
	})
}

func TestE11_TheRoomGoesOnWithoutTheMakerOfItsKey(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob, carol := h.device("alice/laptop"), h.device("bob/phone"), h.device("carol/phone")
		c.room(alice, aging)
		alice.add("bob", "carol")
		alice.stop()
		time.Sleep(2 * time.Hour)
		bob.held("waits")
		carol.held("waits too")
		carol.rekey()
		settle()
		if k := bob.key(); k.Author != carol.ID() {
			t.Fatalf("the key is %s's", k.Author)
		}
		if n, _ := bob.outbox(); n != 0 {
			t.Error("bob's message still waits")
		}
		alice.start()
		settle()
		for _, p := range []*phone{alice, bob, carol} {
			if n := len(p.texts()); n != 2 {
				t.Errorf("%s shows %q", p.ID(), p.texts())
			}
		}
		agree(alice, bob, carol)
	})
}

func TestDevicesRenewAKeyBeforeItEndsIfThePolicyLetsThem(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, func(p *groups.Policy) { p.MaxKeyAge, p.AutoRenew = time.Hour, 10*time.Minute })
		alice.add("bob")
		first := alice.key()
		time.Sleep(48 * time.Minute)
		if k := alice.key(); k.ID != first.ID {
			t.Fatal("renewed too early")
		}
		time.Sleep(6 * time.Minute)
		settle()
		k := bob.key()
		if k.ID == first.ID || k.Reason != groups.KeyRotatedByPolicy {
			t.Fatalf("the key is %+v", k)
		}
		if k.Epoch > 3 {
			t.Errorf("%d keys were made where one was due", k.Epoch-1)
		}
		agree(alice, bob)
	})
}

// Clocks that differ by less than five minutes are as good as right; who is
// farther off sends nothing that is not allowed, and is told.
func TestA13_StalenessWithClocksThatAreWrong(t *testing.T) {
	for _, skew := range []time.Duration{-10 * time.Minute, -4 * time.Minute, 4 * time.Minute, 10 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice := h.device("alice/laptop")
				s := store.NewMemory()
				h.enrol("bob/phone", s)
				bob := &phone{t: t, h: h, store: s, skew: skew}
				bob.start()
				c.room(alice, aging)
				alice.add("bob")
				bob.accept()
				bob.say("hello")
				settle()
				bob.shows("hello")
				far := skew.Abs() > groups.ClockSkew
				end := alice.key().Ends
				// Before its end by all clocks, after it by all clocks.
				time.Sleep(time.Until(end.Add(-skew.Abs() - time.Minute)))
				bob.say("in time")
				settle()
				bob.shows("hello", "in time")
				time.Sleep(time.Until(end.Add(max(-skew, 0) + 30*time.Second)))
				bob.held("too late")
				alice.shows("hello", "in time")
				err := bob.Rekey(t.Context(), ops)
				if far != (err != nil) {
					t.Errorf("a new key: %v", err)
				}
				if far && skew > 0 && !strings.Contains(err.Error(), "clock") {
					t.Errorf("bob is told %v", err)
				}
				if far {
					alice.rekey()
				}
				time.Sleep(time.Minute)
				settle()
				alice.shows("hello", "in time", "too late")
				agree(alice, bob)
			})
		})
	}
}

// A patched device goes on under a key that has ended: the hub does not take
// it, however wrong the device's clock is.
func TestE10_TheHubRefusesWhatADeviceSendsLate(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, aging)
		alice.add("bob")
		time.Sleep(40 * time.Minute)
		bob.stop()
		bob.skew = -30 * time.Minute
		bob.start()
		time.Sleep(time.Until(alice.key().Ends.Add(groups.ClockSkew + time.Minute)))
		refused := 0
		h.set(func() {
			h.refuse = func(sub *devicev1.Submission) *devicev1.Refusal {
				if sub.Kind == uint32(groups.KindMessage) {
					refused++
				}
				return nil
			}
		})
		bob.held("late")
		if refused == 0 {
			t.Fatal("the device sent nothing: the hub was not asked")
		}
		if _, why := bob.outbox(); !strings.Contains(why, "has ended") {
			t.Errorf("bob is told %q", why)
		}
		alice.shows()
	})
}

func TestE13_TheMakerOfAKeySeesWhatItIsFor(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, func(p *groups.Policy) {
			p.Readers = []groups.CoIID{finance}
			p.Cases = groups.CaseRule{Threshold: 1, Approvers: []groups.Approver{{Name: "the board", Key: groups.Hash{1}}}}
		})
		alice.add("bob")
		e := must(bob.Inspect(t.Context(), ops))
		cert := c.list[finance].keys[0].cert
		one := e.Communities[0]
		if !e.First || e.Accepted || e.Key == nil || e.Key.Record != alice.key().Record || e.Suite == "" {
			t.Errorf("bob sees %+v", e)
		}
		if one.Name != finance || one.Root != sha256.Sum256(c.authority.Cert.Raw) || one.Certificate != sha256.Sum256(cert.Raw) ||
			one.Serial != fmt.Sprintf("%x", cert.SerialNumber) || one.StatusAt.IsZero() || one.Problem != "" ||
			one.Lookup == "" || len(one.Unwrap) != 2 || one.Status == "" || one.Officer == "" {
			t.Errorf("the community is %+v", one)
		}
		if p := e.Policy; p.Mode != groups.CoIAny || len(p.Readers) != 1 || p.Cases.Threshold != 1 || p.MaxKeyAge == 0 {
			t.Errorf("the policy is %+v", p)
		}
		if err := bob.Accept(e); err != nil {
			t.Fatal(err)
		}
		if e := must(bob.Inspect(t.Context(), ops)); !e.Accepted || e.First || len(e.Changes) > 0 {
			t.Errorf("what was accepted is not: %q", e.Changes)
		}
		c.addKey(finance)
		time.Sleep(2 * time.Minute)
		policy := c.policy(finance, legal)
		policy.MaxKeyAge, policy.Mode, policy.History = time.Hour, groups.CoIAll, groups.HistoryAll
		if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
			t.Fatal(err)
		}
		settle()
		e = must(bob.Inspect(t.Context(), ops))
		changes := strings.Join(e.Changes, "\n")
		for _, want := range []string{
			"another certificate", string(legal) + " can open", "was any", "a key lasts 1h", "history: all", "without being a member", "opened for a case",
		} {
			if !strings.Contains(changes, want) {
				t.Errorf("the changes do not say %q:\n%s", want, changes)
			}
		}
		if e.Accepted || e.First {
			t.Error("a changed configuration is accepted")
		}
		bob.stop()
		bob.open()
		if e := must(bob.Inspect(t.Context(), ops)); e.Accepted || len(e.Changes) == 0 {
			t.Errorf("after a restart: %+v", e)
		}
	}, finance, legal)
}

func TestE14_AFlagCanNotBeDroppedUnseen(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, nil)
		alice.add("bob")
		seq, err := bob.Flag(t.Context(), ops, "who is legal?")
		if err != nil {
			t.Fatal(err)
		}
		settle()
		for _, p := range []*phone{alice, bob} {
			line := must(p.Log(ops, seq-1, 1))[0]
			if line.Kind != groups.KindFlag || line.Device != bob.ID() || !strings.Contains(line.Note, "olga") {
				t.Errorf("%s shows %+v", p.ID(), line)
			}
		}
		flag := must(groups.ParseFlag(h.log(ops)[seq-1].Body))
		binding := wrap.Binding{Room: string(ops), Epoch: 1, KeyID: flag.ConfigHash, Recipients: flag.ConfigHash}
		k := c.list[finance].keys[0]
		text, err := wrap.Open(flag.Text, wrap.Key{Certificate: k.cert, Private: k.private}, binding)
		if err != nil || string(text) != "who is legal?" {
			t.Errorf("the officer reads %q, %v", text, err)
		}
		if strings.Contains(string(h.log(ops)[seq-1].Body), "who is") {
			t.Error("the gateway reads it as well")
		}
		// Refused: the person sees it.
		h.set(func() {
			h.refuse = func(sub *devicev1.Submission) *devicev1.Refusal {
				if sub.Kind == uint32(groups.KindFlag) {
					return &devicev1.Refusal{Kind: "denied", Text: "no"}
				}
				return nil
			}
		})
		if _, err := bob.Flag(t.Context(), ops, "again"); err == nil {
			t.Error("a flag was refused and the device is content")
		}
		// Swallowed: a receipt comes, the entry does not, or another one does.
		h.set(func() { h.refuse, h.swallow = nil, true })
		if seq, err := bob.Flag(t.Context(), ops, "again"); err == nil {
			t.Errorf("a flag was swallowed and is entry %d", seq)
		}
		var done sync.WaitGroup
		done.Go(func() {
			if seq, err := bob.Flag(t.Context(), ops, "and again"); err == nil {
				t.Errorf("somebody else's entry %d passes for a flag", seq)
			}
		})
		settle()
		alice.say("in its place")
		done.Wait()
		h.set(func() { h.swallow = false })
		// Taken out of the log for somebody: the chain does not hold.
		carol := h.device("carol/phone")
		reader := carol.ID()
		alice.add("carol")
		carol.stop()
		if _, err := bob.Flag(t.Context(), ops, "once more"); err != nil {
			t.Fatal(err)
		}
		h.set(func() {
			h.tamper = func(d groups.DeviceID, page *devicev1.RoomEntries) {
				page.Entries = slices.DeleteFunc(page.Entries, func(b []byte) bool {
					return d == reader && must(groups.ParseEntry(b)).Kind == groups.KindFlag
				})
			}
		})
		bob.say("after it")
		carol.open()
		carol.runQuietly(nil)
		time.Sleep(time.Minute)
		settle()
		if texts := carol.texts(); len(texts) != 0 {
			t.Errorf("without the flag carol reads on: %q", texts)
		}
	})
}

func TestE16_AnExportedHistoryOfKeysIsVerified(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, func(p *groups.Policy) { p.History = groups.HistoryAll })
		alice.add("bob")
		for _, p := range []*phone{bob, alice, bob} {
			p.rekey()
		}
		list := must(alice.ExportKeys(ops))
		if len(list) != 5 {
			t.Fatalf("%d keys are exported, 5 were made", len(list))
		}
		last, err := bob.VerifyKeys(list)
		if err != nil || last != alice.key().Record {
			t.Fatalf("verified up to %v: %v", last, err)
		}
		// Whose part it is that has come later, has the end of it.
		if _, err := bob.VerifyKeys(must(bob.ExportKeys(ops))); err == nil {
			t.Error("a history without its beginning verifies")
		}
		if _, err := bob.FetchPast(t.Context(), ops, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := alice.VerifyKeys(must(bob.ExportKeys(ops))); err != nil || got != last {
			t.Errorf("after bob has fetched it: %v", err)
		}
		backDated := slices.Clone(list)
		k := must(groups.ParseKeyRecord(list[2].Record))
		k.CreatedAt -= 1000
		backDated[2].Record = k.Marshal()
		moved := slices.Clone(list)
		moved[1], moved[2] = moved[2], moved[1]
		named := slices.Clone(list)
		named[3].Author = bob.ID()
		for name, bad := range map[string][]groups.ExportedRecord{
			"nothing": nil, "first missing": list[1:], "one missing": slices.Delete(slices.Clone(list), 2, 3),
			"last missing": list[:4], "back-dated": backDated, "moved": moved, "another author": named,
		} {
			if _, err := bob.VerifyKeys(bad); err == nil {
				t.Errorf("%s: verifies", name)
			}
		}
	})
}

func TestE18_NothingLeavesTheDeviceUnwrapped(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		var seen [][]byte
		h.set(func() {
			h.refuse = func(sub *devicev1.Submission) *devicev1.Refusal {
				seen = append(append(seen, sub.Body), sub.Attachments...)
				return nil
			}
		})
		c.set(func() { c.saw = func(b []byte) { seen = append(seen, b) } })
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, func(p *groups.Policy) { p.History = groups.HistoryAll })
		alice.add("bob")
		bob.rekey()
		alice.say("the canary sings")
		settle()
		if _, err := bob.FetchPast(t.Context(), ops, nil); err != nil {
			t.Fatal(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, e := range h.rooms[ops].entries {
			seen = append(seen, e)
		}
		secrets := [][]byte{[]byte("canary")}
		for _, row := range must(alice.ExportKeys(ops)) {
			key := c.openRecord(finance, must(groups.ParseKeyRecord(row.Record)))
			secrets = append(secrets, key.SenderDataSecret, key.EncryptionSecret)
		}
		if len(secrets) != 7 || len(seen) < 8 {
			t.Fatalf("%d secrets, %d things left: this would prove nothing", len(secrets), len(seen))
		}
		for _, b := range seen {
			for _, s := range secrets {
				if bytes.Contains(b, s) {
					t.Errorf("%d bytes that left the device hold a secret", len(b))
				}
			}
		}
	})
}

// Every key comes from the device and from the system's random source: no
// package that takes part in making one knows another source, no service is
// sent anything that it could come from, and no two are the same.
func TestE7_KeysAreMadeOnTheDeviceFromTheSystemsRandomness(t *testing.T) {
	sources := 0
	for _, dir := range []string{"mls", "mls/suite", "mls/tree", "mls/wire", "coi/wrap", "groups"} {
		for _, name := range must(filepath.Glob("../" + dir + "/*.go")) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			for _, spec := range must(parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)).Imports {
				switch strings.Trim(spec.Path.Value, `"`) {
				case "math/rand", "math/rand/v2":
					t.Errorf("%s imports %s", name, spec.Path.Value)
				case "crypto/rand":
					sources++
				}
			}
		}
	}
	if sources == 0 {
		t.Fatal("no random source was found: this would prove nothing")
	}
	seen := map[groups.Hash]bool{}
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		h.set(func() {
			h.refuse = func(*devicev1.Submission) *devicev1.Refusal { // here the key is made already
				c.set(func() { c.saw = nil })
				return nil
			}
		})
		c.set(func() { c.saw = func([]byte) { t.Error("a service was sent something before the key was made") } })
		c.room(alice, nil)
		for range 3 {
			alice.rekey()
		}
		for _, row := range must(alice.ExportKeys(ops)) {
			key := c.openRecord(finance, must(groups.ParseKeyRecord(row.Record)))
			seen[sha256.Sum256(key.EncryptionSecret)] = true
			seen[sha256.Sum256(key.SenderDataSecret)] = true
		}
	})
	if len(seen) != 8 {
		t.Errorf("%d different secrets in 4 keys", len(seen))
	}
}
