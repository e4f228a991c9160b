package groups

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/mls"
	"parley/mls/wire"
)

func TestE16_TheRecordsOfARoomAreAChain(t *testing.T) {
	w, a, ph, b := coiRoom(t, coiPolicy())
	first, second := w.steps[0].KeyRecord, w.steps[1].KeyRecord
	if first == nil || first.Prev != (Hash{}) || second == nil || second.Prev != first.Hash() {
		t.Fatalf("the chain begins %v, %v", first, second)
	}
	if w.hub.KeyRecord() != second || w.hub.LastRecord() != second.Hash() {
		t.Fatal("the ledger has another record than the last")
	}
	for name, change := range map[string]func(*KeyRecord){
		"left out":    func(r *KeyRecord) { r.Prev = first.Hash() },
		"begun anew":  func(r *KeyRecord) { r.Prev = Hash{} },
		"forked":      func(r *KeyRecord) { r.Prev[0] ^= 1 },
		"back-dated":  func(r *KeyRecord) { r.CreatedAt, r.NotAfter = second.CreatedAt-1, second.NotAfter-1 },
		"in a while":  func(r *KeyRecord) { r.CreatedAt += uint64(2 * ClockSkew / time.Millisecond) },
		"ends before": func(r *KeyRecord) { r.NotAfter = r.CreatedAt },
	} {
		sub, _ := a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser, change)
		w.refuse(sub, Invalid, name)
	}
	w.now = w.now.Add(time.Hour)
	sub, _ := a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser)
	w.refuse(sub, Invalid, "long ago, and after the last")
	w.now = w.now.Add(-time.Hour)
	sub, p := a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser)
	step := w.advance(a, sub, p, ph, b)
	if step.KeyRecord.Prev != second.Hash() {
		t.Fatal("the chain does not go on")
	}
	w.take(b.message(w.hub, "hello"))
}

// "A key is bound to its group: replaying a wrapped key into another group,
// generation or CoI is refused" by the hub, too.
func TestE8_ARecordFitsNoOtherEpochRoomOrCommunity(t *testing.T) {
	w, a, ph, b := coiRoom(t, coiPolicy())
	old := w.hub.KeyRecord()
	sub, p := a.commit(w.hub, mls.CommitOptions{})
	w.refuse(a.with(sub, old), Invalid, "the record of the epoch before")
	for name, change := range map[string]func(*KeyRecord){
		"other room":         func(r *KeyRecord) { r.Room = "mimi://alpha.example/r/other" },
		"other epoch":        func(r *KeyRecord) { r.Epoch++ },
		"other context":      func(r *KeyRecord) { r.ContextHash[0] ^= 1 },
		"no key":             func(r *KeyRecord) { r.KeyID = Hash{} },
		"other author":       func(r *KeyRecord) { r.AuthorLeaf++ },
		"other certificate":  func(r *KeyRecord) { r.AuthorCert[0] ^= 1 },
		"no envelope":        func(r *KeyRecord) { r.Envelope = nil },
		"fewer communities":  func(r *KeyRecord) { r.Recipients = r.Recipients[:1] },
		"no communities":     func(r *KeyRecord) { r.Recipients = nil },
		"other order":        func(r *KeyRecord) { r.Recipients[0], r.Recipients[1] = r.Recipients[1], r.Recipients[0] },
		"other community":    func(r *KeyRecord) { r.Recipients[0].Name = "mimi://alpha.example/c/other" },
		"one more community": func(r *KeyRecord) { r.Recipients = append(r.Recipients, r.Recipients[1]) },
		"no certificate":     func(r *KeyRecord) { r.Recipients[0].Certificate = Hash{} },
		"no serial":          func(r *KeyRecord) { r.Recipients[0].Serial = nil },
	} {
		w.refuse(a.with(sub, a.record(w.hub, p.Next, KeyRotatedByUser, change)), Invalid, name)
	}
	stripped := a.record(w.hub, p.Next, KeyRotatedByUser)
	stripped.Signature = nil
	w.refuse(a.with(sub, stripped), Invalid, "no signature")
	foreign := b.record(w.hub, b.group, KeyRotatedByUser)
	w.refuse(a.with(sub, foreign), Invalid, "another member's record")
	swapped := a.record(w.hub, p.Next, KeyRotatedByUser)
	if err := swapped.Sign(b.id.Signer); err != nil {
		t.Fatal(err)
	}
	w.refuse(a.with(sub, swapped), Invalid, "another member's signature")
	bad := a.with(sub, old)
	bad.Body = bytes.Replace(bad.Body, []byte("envelope"), []byte("ENVELOPE"), 1)
	w.refuse(bad, Invalid, "a changed envelope")
	w.advance(a, a.with(sub, a.record(w.hub, p.Next, KeyRotatedByUser)), p, ph, b)
}

// "recipients' names exactly the policy's CoIs" with evidence of status where
// there is a service: OCSP unknown is never silently good.
func TestARecordWithoutStatusIsRefused(t *testing.T) {
	w, a, _, _ := coiRoom(t, coiPolicy())
	sub, _ := a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser, func(r *KeyRecord) { r.Recipients[1].Status = Hash{} })
	w.refuse(sub, Invalid, "no status of a community that has a status service")
	sub, _ = a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser, func(r *KeyRecord) {
		r.Recipients[1].StatusAt = r.CreatedAt + uint64(time.Hour/time.Millisecond)
	})
	w.refuse(sub, Invalid, "a status from the future")
	sub, _ = a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser, func(r *KeyRecord) { r.Recipients[0].Status = Hash{} })
	w.take(sub)
}

// A reason that can not be true is refused.
func TestReasonsAreWhatHappened(t *testing.T) {
	w, a, ph, _ := coiRoom(t, coiPolicy())
	for _, why := range []KeyReason{KeyCreated, KeyJoined, KeyRejoined, KeyLeft, KeyRemoved} {
		sub, _ := a.commitKey(w.hub, mls.CommitOptions{}, why)
		w.refuse(sub, Invalid, why.String())
	}
	sub, _ := a.commitKey(w.hub, mls.CommitOptions{Removes: []wire.LeafIndex{ph.group.OwnLeaf()}}, KeyJoined)
	w.refuse(sub, Invalid, "nobody joined")
	sub, _ = a.commitKey(w.hub, mls.CommitOptions{Removes: []wire.LeafIndex{ph.group.OwnLeaf()}}, KeyRemoved)
	w.take(sub)
}

// "where the new epoch's policy names CoIs, a commit carries a valid record"
func TestNobodyIsAddedUnderAKeyThatIsNotWrapped(t *testing.T) {
	w, a, _, _ := coiRoom(t, coiPolicy())
	c := newDevice(t, carol)
	sub, _ := a.commit(w.hub, mls.CommitOptions{Adds: []*wire.KeyPackage{&c.kp.Public}})
	w.refuse(sub, Invalid, "a device is added without a record")
	hub, d := NewLedger(ops, names{}), newDevice(t, laptop)
	genesis := d.create(hub, coiPolicy())
	g, err := ParseGenesis(genesis.Body)
	if err != nil {
		t.Fatal(err)
	}
	g.KeyRecord = nil
	genesis.Body = g.Marshal()
	if _, err := hub.Accept(genesis, 1, start); KindOf(err) != Invalid {
		t.Fatalf("a room begins without a record: %v", err)
	}
}

// "removing somebody must never wait for a PKI": the epoch is bare, and its
// messages are refused until any member publishes a record.
func TestRemovingDoesNotWaitForThePKI(t *testing.T) {
	w, a, ph, b := coiRoom(t, coiPolicy())
	last := w.hub.LastRecord()
	late := a.message(w.hub, "under the key before")
	sub, p := a.commit(w.hub, mls.CommitOptions{Removes: []wire.LeafIndex{ph.group.OwnLeaf()}})
	w.advance(a, sub, p, b)
	if w.hub.KeyRecord() != nil || w.hub.LastRecord() != last {
		t.Fatal("a bare epoch has a record")
	}
	w.take(late)
	record, seconds := b.record(w.hub, b.group, KeyRemoved), a.record(w.hub, a.group, KeyRemoved)
	w.refuse(a.message(w.hub, "too early"), KeyStale, "a message of a bare epoch")
	w.refuse(ph.publish(w.hub, record), Denied, "a record of somebody who was removed")
	w.refuse(a.publish(w.hub, record), Invalid, "bob's record, submitted by alice")
	w.refuse(b.publish(w.hub, b.record(w.hub, b.group, KeyCreated)), Invalid, "created")
	w.refuse(b.publish(w.hub, b.record(w.hub, b.group, KeyRemoved, func(r *KeyRecord) { r.Prev = Hash{} })), Invalid, "not chained")
	w.refuse(b.publish(w.hub, b.record(w.hub, b.group, KeyRemoved, func(r *KeyRecord) { r.Epoch += 2 })), Invalid, "not yet")
	sub, _ = a.commit(w.hub, mls.CommitOptions{Extensions: extensions(coiPolicyWith(func(p *Policy) { p.CoIs[0].Root = Hash{99} }))})
	w.refuse(sub, Invalid, "other communities without a record")
	step := w.take(b.publish(w.hub, record))
	if w.hub.KeyRecord() == nil || step.KeyRecord == nil || step.KeyRecord.Prev != last || step.Entry.Epoch != w.hub.Head().Epoch {
		t.Fatal("the published record is not the epoch's")
	}
	w.refuse(b.publish(w.hub, record), Conflict, "a record of an epoch that has one")
	w.refuse(a.publish(w.hub, seconds), Conflict, "a second record")
	w.take(a.message(w.hub, "now"))

	sub, p = a.commit(w.hub, mls.CommitOptions{})
	w.advance(a, sub, p, b)
	missed := b.record(w.hub, b.group, KeyRotatedByUser)
	inBare := b.message(w.hub, "sealed in a bare epoch")
	sub, p = a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser)
	w.advance(a, sub, p, b)
	w.refuse(b.publish(w.hub, missed), StaleEpoch, "a record of an epoch that has passed")
	w.refuse(inBare, KeyStale, "a message of an epoch that stayed bare")
}

func TestE10_TheHubRefusesAKeyThatHasEnded(t *testing.T) {
	p := coiPolicy()
	p.MaxKeyAge = time.Hour
	w, a, ph, b := coiRoom(t, p)
	made := w.hub.KeyRecord().CreatedAt
	w.now = time.UnixMilli(int64(made)).Add(p.MaxKeyAge + ClockSkew - 2*time.Second)
	w.take(a.message(w.hub, "five minutes late is the clocks"))
	late := ph.message(w.hub, "later")
	w.now = w.now.Add(ClockSkew)
	w.refuse(late, KeyStale, "a key past its end")
	sub, pending := b.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByPolicy, func(r *KeyRecord) {
		r.CreatedAt = uint64(w.now.UnixMilli())
		r.NotAfter = r.CreatedAt + uint64(time.Minute/time.Millisecond)
	})
	w.advance(b, sub, pending, a, ph)
	w.refuse(late, KeyStale, "a message that names a stale generation, in the grace of the next")
	w.take(a.message(w.hub, "under the new key"))
	w.now = w.now.Add(time.Minute + ClockSkew + time.Second)
	w.refuse(a.message(w.hub, "its maker gave it a minute"), KeyStale, "a key that ends before the policy says so")
}

// "sending resumes for all only when one participant creates a key; any
// participant may; test with the original author offline"
func TestE11_AnyMemberRestoresTheRoom(t *testing.T) {
	p := coiPolicy()
	p.MaxKeyMessages = 1
	w, a, ph, b := coiRoom(t, p)
	w.take(a.message(w.hub, "one"))
	for _, d := range []*device{a, ph, b} {
		w.refuse(d.message(w.hub, "two"), KeyStale, "a worn key")
	}
	late := ph.message(w.hub, "late, under a worn key")
	w.expire()
	sub, pending := b.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByPolicy, func(r *KeyRecord) {
		r.CreatedAt = uint64(w.now.UnixMilli())
		r.NotAfter = p.KeyEnd(r.CreatedAt)
	})
	w.advance(b, sub, pending, a, ph)
	w.refuse(late, KeyStale, "a message under a worn key, in the grace of the next")
	w.take(ph.message(w.hub, "restored"))
}

// A committer's new key signs the record of its commit, not the one before: the
// record has to verify under the leaf of its own epoch's tree.
func TestARecordIsSignedByTheLeafOfItsEpoch(t *testing.T) {
	w, a, _, _ := coiRoom(t, coiPolicy())
	old, fresh := a.id, newDevice(t, laptop).id
	sub, p := a.commit(w.hub, mls.CommitOptions{Leaf: mls.LeafOptions{Identity: &fresh}})
	w.refuse(a.with(sub, a.record(w.hub, p.Next, KeyRotatedByUser)), Invalid, "signed by the key before")
	a.id = fresh
	good := a.with(sub, a.record(w.hub, p.Next, KeyRotatedByUser))
	a.id = old
	w.take(good)
}

// "Admin sets max and default lifetime per security context; a context cannot
// exceed max"
func TestE12_NoKeyLastsLongerThanThePolicyAllows(t *testing.T) {
	p := coiPolicy()
	p.MaxKeyAge, p.DefaultKeyAge = 2*time.Hour, time.Hour
	w, a, _, _ := coiRoom(t, p)
	if r := w.hub.KeyRecord(); r.NotAfter-r.CreatedAt != uint64(time.Hour/time.Millisecond) {
		t.Fatal("a key does not last as long as the default")
	}
	for name, change := range map[string]func(*KeyRecord){
		"over the maximum": func(r *KeyRecord) { r.NotAfter = r.CreatedAt + uint64(2*time.Hour/time.Millisecond) + 1 },
		"for ever":         func(r *KeyRecord) { r.NotAfter = 0 },
		"for all time":     func(r *KeyRecord) { r.NotAfter = 1<<64 - 1 },
	} {
		sub, _ := a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser, change)
		w.refuse(sub, Invalid, name)
	}
	sub, _ := a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser, func(r *KeyRecord) {
		r.NotAfter = r.CreatedAt + uint64(2*time.Hour/time.Millisecond)
	})
	w.take(sub)
	p.DefaultKeyAge = 3 * time.Hour
	if err := p.Valid(); KindOf(err) != Invalid {
		t.Fatalf("a default over the maximum: %v", err)
	}
}

func coiPolicyWith(change func(*Policy)) Policy {
	p := coiPolicy()
	change(&p)
	return p
}

func extensions(p Policy) *wire.Extensions { return &wire.Extensions{p.Extension()} }

// "policy changes that add/remove CoIs (record follows the NEW policy; chain
// continues)", and "the feature cannot be enabled until lookup and decryption
// answer": it is switched on with a key, or not.
func TestCommunitiesComeWithAKeyThatIsWrappedToThem(t *testing.T) {
	w, a, ph, b := room(t, openPolicy())
	on := extensions(coiPolicy())
	sub, _ := a.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser)
	w.refuse(sub, Invalid, "a record in a room without communities")
	w.refuse(a.publish(w.hub, a.record(w.hub, a.group, KeyRotatedByUser)), Invalid, "published there")
	sub, _ = a.commit(w.hub, mls.CommitOptions{Extensions: on})
	w.refuse(sub, Invalid, "switched on without a key")
	sub, p := a.commitKey(w.hub, mls.CommitOptions{Extensions: on}, KeyRotatedByPolicy)
	w.advance(a, sub, p, ph, b)
	first := w.hub.LastRecord()

	one := coiPolicyWith(func(p *Policy) { p.CoIs = p.CoIs[1:] })
	sub, _ = a.commitKey(w.hub, mls.CommitOptions{Extensions: extensions(one)}, KeyRotatedByPolicy, func(r *KeyRecord) { r.Recipients = someRecipients() })
	w.refuse(sub, Invalid, "a record of the policy before")
	sub, p = a.commitKey(w.hub, mls.CommitOptions{Extensions: extensions(one)}, KeyRotatedByPolicy)
	step := w.advance(a, sub, p, ph, b)
	if len(step.KeyRecord.Recipients) != 1 || step.KeyRecord.Prev != first {
		t.Fatalf("after a community is dropped: %+v", step.KeyRecord)
	}
	last := w.hub.LastRecord()
	sub, p = a.commit(w.hub, mls.CommitOptions{Extensions: extensions(openPolicy())})
	w.advance(a, sub, p, ph, b)
	if w.hub.KeyRecord() != nil || w.hub.LastRecord() != last {
		t.Fatal("switched off, there is a record, or the chain is forgotten")
	}
	w.take(b.message(w.hub, "in the open"))
	sub, p = a.commitKey(w.hub, mls.CommitOptions{Extensions: on}, KeyRotatedByPolicy)
	if step := w.advance(a, sub, p, ph, b); step.KeyRecord.Prev != last {
		t.Fatal("switched on again, the chain begins anew")
	}
	bad := coiPolicyWith(func(p *Policy) { p.Readers = []CoIID{"mimi://alpha.example/c/other"} })
	sub, _ = a.commitKey(w.hub, mls.CommitOptions{Extensions: extensions(bad)}, KeyRotatedByPolicy)
	w.refuse(sub, Invalid, "a policy that no room may have")
	sub, _ = b.commitKey(w.hub, mls.CommitOptions{Extensions: extensions(one)}, KeyRotatedByPolicy)
	w.refuse(sub, Denied, "bob changes who may read")
}

// "the flag reaches the security officer by a path the gateway admin cannot
// suppress unseen": it is an entry of the log like any other.
func TestE14_AnyMemberFlagsAConfigurationInTheLog(t *testing.T) {
	w, a, ph, b := coiRoom(t, coiPolicy())
	step := w.take(b.flagged(w.hub))
	if f, err := ParseFlag(step.Entry.Body); err != nil || string(f.Text) != "sealed" || step.Entry.Kind != KindFlag {
		t.Fatalf("%+v %v", f, err)
	}
	for name, c := range map[string]struct {
		kind   Kind
		change func(*Flag)
	}{
		"other room":  {Invalid, func(f *Flag) { f.Room = "mimi://alpha.example/r/other" }},
		"not yet":     {Invalid, func(f *Flag) { f.Epoch++ }},
		"other leaf":  {Denied, func(f *Flag) { f.AuthorLeaf++ }},
		"tomorrow":    {Invalid, func(f *Flag) { f.CreatedAt += uint64(24 * time.Hour / time.Millisecond) }},
		"no words":    {Invalid, func(f *Flag) { f.Text = nil }},
		"for nobody":  {Invalid, func(f *Flag) { f.Officer = "" }},
		"many words":  {Invalid, func(f *Flag) { f.Text = make([]byte, MaxFlagText+1) }},
		"other stamp": {Denied, func(f *Flag) { f.Stamp.Device = laptop }},
	} {
		sub := b.flagged(w.hub, c.change)
		sub.Device = bob
		w.refuse(sub, c.kind, name)
	}
	forged := b.flagged(w.hub)
	forged.Body = bytes.Replace(forged.Body, []byte("sealed"), []byte("SEALED"), 1)
	w.refuse(forged, Invalid, "a changed flag")
	w.refuse(newStranger(t, b).flagged(w.hub), Denied, "a stranger's flag")
	sub, p := a.commit(w.hub, mls.CommitOptions{Removes: []wire.LeafIndex{ph.group.OwnLeaf()}})
	waiting := b.flagged(w.hub)
	w.advance(a, sub, p, b)
	w.take(waiting)
}

// newStranger is somebody outside with bob's group but a name of their own.
func newStranger(t *testing.T, b *device) *device {
	d := newDevice(t, carol)
	d.group = b.group
	return d
}

// Whatever members do and time does, hub, follower and replay agree, every
// record follows the last, and a message is taken under a wrapped key only.
func TestE16_TheChainHoldsWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := coiPolicy()
		p.MaxKeyAge, p.MaxKeyMessages = time.Hour, 3
		w, a, ph, b := coiRoom(t, p)
		people := []*device{a, ph, b}
		last := w.hub.LastRecord()
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			i := rapid.IntRange(0, 2).Draw(rt, "who")
			d, others := people[i], append(people[:i:i], people[i+1:]...)
			now := func(r *KeyRecord) {
				r.CreatedAt = max(uint64(w.now.UnixMilli()), w.hub.Head().Time)
				r.NotAfter = p.KeyEnd(r.CreatedAt)
			}
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				sub, pending := d.commit(w.hub, mls.CommitOptions{})
				w.advance(d, sub, pending, others...)
				if w.hub.KeyRecord() != nil {
					rt.Fatal("a record out of nothing")
				}
			case 1:
				sub, pending := d.commitKey(w.hub, mls.CommitOptions{}, KeyRotatedByUser, now)
				w.advance(d, sub, pending, others...)
			case 2:
				if w.hub.KeyRecord() == nil && w.hub.Head().Epoch == Epoch(d.group.Epoch()) {
					if _, err := d.group.RoomKey(); err == nil {
						w.take(d.publish(w.hub, d.record(w.hub, d.group, KeyRotatedByUser, now)))
					}
				}
			case 3:
				sub := d.message(w.hub, "hello")
				key := w.hub.KeyRecord()
				if key == nil || w.hub.messages >= 3 || uint64(w.now.UnixMilli()) > w.hub.room.keyEnd() {
					w.refuse(sub, KeyStale, "an ended key")
				} else {
					w.take(sub)
				}
			case 4:
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "minutes")) * time.Minute)
			}
			if r := w.hub.KeyRecord(); r != nil && r.Hash() != last {
				if r.Prev != last {
					rt.Fatal("a record does not follow the last")
				}
				last = r.Hash()
			}
			if w.hub.LastRecord() != last {
				rt.Fatal("the end of the chain is lost")
			}
		}
	})
}

// "a site that only has readers may subscribe": it gets the room as long as the
// policy names it, and then the entry that ends it.
func TestReaderSitesGetTheRoomAndItsEnd(t *testing.T) {
	p := coiPolicy()
	p.CoIs = append(p.CoIs, CoI{Name: "mimi://delta.example/c/audit", Root: Hash{9}, Lookup: "https://127.0.0.1/s/lookup", Unwrap: []string{"https://127.0.0.1/s/unwrap"}})
	p.Readers = []CoIID{"mimi://beta.example/c/legal", "mimi://delta.example/c/audit"}
	w, a, ph, b := coiRoom(t, p)
	if got := w.hub.Readers(); !slices.Equal(got, []SiteID{"beta.example", "delta.example"}) || len(w.hub.Left()) != 0 {
		t.Fatalf("readers %v, left %v", got, w.hub.Left())
	}
	sub, next := a.commit(w.hub, mls.CommitOptions{Removes: []wire.LeafIndex{b.group.OwnLeaf()}})
	w.advance(a, sub, next, ph)
	if len(w.hub.Left()) != 0 {
		t.Fatalf("a site with readers has left: %v", w.hub.Left())
	}
	p.Readers = nil
	sub, next = a.commit(w.hub, mls.CommitOptions{Extensions: extensions(p)})
	step := w.advance(a, sub, next, ph)
	if left := w.hub.Left(); left["beta.example"] != step.Entry.Seq || left["delta.example"] != step.Entry.Seq || len(w.hub.Readers()) != 0 {
		t.Fatalf("left %v, readers %v", left, w.hub.Readers())
	}
	p.Readers = []CoIID{"mimi://delta.example/c/audit"}
	sub, next = a.commit(w.hub, mls.CommitOptions{Extensions: extensions(p)})
	w.advance(a, sub, next, ph)
	if left := w.hub.Left(); left["delta.example"] != 0 || left["beta.example"] != step.Entry.Seq {
		t.Fatalf("a site that reads again has left: %v", left)
	}
}

// "Damage is found": a snapshot whose key record is not the end of its chain, or
// of another epoch, is not loaded.
func TestASnapshotWithAnotherKeyRecordIsDamaged(t *testing.T) {
	w, _, _, _ := coiRoom(t, coiPolicy())
	for name, damage := range map[string]func(*keyState){
		"end of the chain": func(k *keyState) { k.last[0] ^= 1 },
		"epoch": func(k *keyState) {
			k.record = w.steps[0].KeyRecord
			k.last = k.record.Hash()
		},
		"more ends than are kept": func(k *keyState) { k.past = make([]keyEnd, PastEpochs+1) },
	} {
		l, room := *w.hub, *w.hub.room
		l.room = &room
		damage(&room.keys)
		if _, err := LoadLedger(l.Snapshot(), names{}); KindOf(err) != Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
