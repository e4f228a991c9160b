package service

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/coi/wrap"
	"parley/groups"
)

func equal(t testing.TB, what string, got []bool, want ...bool) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

// TestUnwrapStandings: what each standing gives, and what it does not.
func TestUnwrapStandings(t *testing.T) {
	v := newVault(t)
	alice, phone, bob, carol := v.device("alice", "laptop"), v.device("alice", "phone"), v.device("bob", "laptop"), v.device("carol", "laptop")
	for _, c := range []struct {
		history groups.HistoryMode
		want    [3]bool // carol, alice's phone: of epochs without them; then of one with them
		phone   [3]bool
	}{
		{groups.HistoryNone, [3]bool{false, false, true}, [3]bool{false, false, true}},
		{groups.HistoryOwn, [3]bool{false, false, true}, [3]bool{true, true, true}},
		{groups.HistoryAll, [3]bool{true, true, true}, [3]bool{true, true, true}},
	} {
		r := v.room(opsRoom+groups.RoomID(c.history.String()), finance)
		r.policy.History = c.history
		e0, e1, e2 := r.next(alice, bob), r.next(bob, alice), r.next(bob, alice, carol, phone)
		x := v.question(carol)
		now := x.anchor(e2, true)
		for _, e := range []*epoch{e0, e1} {
			x.item(e, groups.StandingNewcomer, nil).Anchor = e.vouch(now, e2)
		}
		x.item(e2, groups.StandingMember, carol)
		equal(t, "carol, history "+c.history.String(), x.parts(e0, e1, e2), c.want[:]...)

		x = v.question(phone)
		now = x.anchor(e2, true)
		for _, e := range []*epoch{e0, e1} {
			x.item(e, groups.StandingUser, alice).Anchor = e.vouch(now, e2)
		}
		x.item(e2, groups.StandingMember, phone)
		equal(t, "alice's phone, history "+c.history.String(), x.parts(e0, e1, e2), c.phone[:]...)

		x = v.question(carol) // another person's leaf
		now = x.anchor(e2, true)
		x.item(e0, groups.StandingUser, alice).Anchor = e0.vouch(now, e2)
		x.item(e0, groups.StandingMember, alice).Anchor = e0.vouch(now, e2)
		x.item(e2, groups.StandingMember, bob)
		equal(t, "carol with others' leaves", x.parts(e0, e0, e2), false, false, false)
	}
}

// TestUnwrapReaders: a reader needs no leaf, and reads where the epoch's own
// policy has readers of its CoI.
func TestUnwrapReaders(t *testing.T) {
	v := newVault(t)
	alice, dave := v.device("alice", "laptop"), v.device("dave", "laptop")
	r := v.room(opsRoom, finance)
	without := r.next(alice)
	r.policy.Readers = []groups.CoIID{finance}
	with := r.next(alice)
	x := v.question(dave)
	x.item(without, groups.StandingReader, nil)
	x.item(with, groups.StandingReader, nil)
	equal(t, "a reader", x.parts(without, with), false, true)
}

// TestE8A1_WrappedKeyMovesNowhere: a wrapped key moved to another room, epoch or
// CoI, under another author, policy or tree, opens nothing.
func TestE8A1_WrappedKeyMovesNowhere(t *testing.T) {
	v := newVault(t)
	legal := "mimi://alpha.example/c/legal"
	v.addKey(legal)
	v.grant(Rule{CoI: legal, Subject: "mimi://alpha.example", Effect: Grants, By: "test"})
	alice, mallory := v.device("alice", "laptop"), v.device("mallory", "laptop")
	for _, mode := range []groups.CoIMode{groups.CoIAny, groups.CoIAll} {
		r := v.room(opsRoom+groups.RoomID("-"+mode.String()), finance, legal)
		r.policy.Mode = mode
		good := r.next(alice)
		other := v.room(opsRoom+"-other", finance, legal)
		other.policy = r.policy
		for what, forged := range map[string]*epoch{
			"another room":         other.forge(0, mallory),
			"another epoch":        r.forge(9, mallory),
			"another tree":         r.forge(0, mallory),
			"the same, by oneself": r.forge(0, mallory, alice),
		} {
			for how, put := range map[string]func(*groups.KeyRecord){
				"envelope": func(k *groups.KeyRecord) { k.Envelope = good.record.Envelope },
				"envelope and key id": func(k *groups.KeyRecord) {
					k.Envelope, k.KeyID = good.record.Envelope, good.record.KeyID
				},
				"all but the room": func(k *groups.KeyRecord) {
					k.Envelope, k.KeyID, k.Recipients = good.record.Envelope, good.record.KeyID, good.record.Recipients
				},
			} {
				e := *forged
				put(&e.record)
				must(t, e.record.Sign(mallory.sign))
				x := v.question(mallory)
				x.item(&e, groups.StandingMember, mallory)
				t.Log(mode, what, how)
				x.refused()
			}
		}
		e := *good // the record as it is, shown as another's
		x := v.question(mallory)
		x.item(&e, groups.StandingMember, alice)
		x.refused()
	}
	// another CoI: a room that is wrapped to finance alone
	r := v.room(opsRoom, finance)
	e := r.next(alice)
	x := v.question(alice)
	x.q.CoI = groups.CoIID(legal)
	x.item(e, groups.StandingMember, alice)
	x.refused()
}

// TestUnwrapModeAllGivesAShare: "in mode all a service gives its CoI's share".
func TestUnwrapModeAllGivesAShare(t *testing.T) {
	v := newVault(t)
	legal := "mimi://alpha.example/c/legal"
	v.addKey(legal)
	v.grant(Rule{CoI: legal, Subject: "mimi://alpha.example", Effect: Grants, By: "test"})
	alice := v.device("alice", "laptop")
	r := v.room(opsRoom, finance, legal)
	r.policy.Mode = groups.CoIAll
	e := r.next(alice)
	var shares [][]byte
	for _, c := range []string{finance, legal} {
		x := v.question(alice)
		x.q.CoI = groups.CoIID(c)
		x.item(e, groups.StandingMember, alice)
		a, err := x.send()
		must(t, err)
		if a.Parts[0] == nil || bytes.Equal(a.Parts[0], groups.RoomKeyBytes(e.key)) {
			t.Fatalf("%s: a share is neither nothing nor all", c)
		}
		shares = append(shares, a.Parts[0])
	}
	whole, err := wrap.Combine(shares...)
	if err != nil || !bytes.Equal(whole, groups.RoomKeyBytes(e.key)) {
		t.Errorf("%v: the shares do not make the key", err)
	}
}

// TestA2_AuthorSignatureStrippedOrSwapped: "author signature stripped or swapped".
func TestA2_AuthorSignatureStrippedOrSwapped(t *testing.T) {
	v := newVault(t)
	alice, bob := v.device("alice", "laptop"), v.device("bob", "laptop")
	r := v.room(opsRoom, finance)
	good := r.next(alice, bob)
	for what, change := range map[string]func(*epoch){
		"stripped":            func(e *epoch) { e.record.Signature = nil },
		"another's":           func(e *epoch) { must(t, e.record.Sign(bob.sign)) },
		"a stranger's":        func(e *epoch) { must(t, e.record.Sign(v.device("mallory", "x").sign)) },
		"another author":      func(e *epoch) { e.record.AuthorCert = sha256.Sum256(bob.chain[0]) },
		"a fewer recipient":   func(e *epoch) { e.record.Recipients = nil },
		"an older record":     func(e *epoch) { e.record.CreatedAt-- },
		"a context of others": func(e *epoch) { e.context.Epoch++ },
	} {
		e := *good
		e.record = good.record
		change(&e)
		x := v.question(alice)
		it := x.item(good, groups.StandingMember, alice)
		it.Record = e.record.Marshal()
		t.Log(what)
		if what == "a context of others" {
			it.Proven = groups.Proven{Record: good.record.Marshal(), Context: e.proven().Context, Author: good.proof(alice)}
		}
		x.refused()
	}
}

// TestA8_RequestsAreNotReplayed: "request replay within and after nonce window", also after a
// restart.
func TestA8_RequestsAreNotReplayed(t *testing.T) {
	v := newVault(t)
	alice := v.device("alice", "laptop")
	e := v.room(opsRoom, finance).next(alice)
	x := v.question(alice)
	x.item(e, groups.StandingMember, alice)
	equal(t, "first", x.parts(e), true)
	x.refused()
	v.restart()
	x.refused()
	x.q.Reason = "another request with the same nonce"
	v.clock = v.clock.Add(RequestWindow + time.Second)
	x.refused()
	v.clock = v.clock.Add(time.Hour)
	x.refused()
	same := v.question(alice)
	same.item(e, groups.StandingMember, alice)
	same.q.Time = uint64(v.clock.UnixMilli())
	v.clock = v.clock.Add(-time.Hour - 20*time.Minute)
	same.refused() // from the future
}

// TestUnwrapNonceOnce: one nonce of a device serves once, whatever it is for.
func TestUnwrapNonceOnce(t *testing.T) {
	v := newVault(t)
	alice := v.device("alice", "laptop")
	e := v.room(opsRoom, finance).next(alice)
	x := v.question(alice)
	x.item(e, groups.StandingMember, alice)
	equal(t, "first", x.parts(e), true)
	x.q.Reason = "another"
	x.refused()
}

// TestA10_AnAnswerIsForItsRequestAlone: "response sealed to another's key": who puts
// his own response key into somebody's request has broken its signature, and
// who takes the answer can not open it.
func TestA10_AnAnswerIsForItsRequestAlone(t *testing.T) {
	v := newVault(t)
	alice, mallory := v.device("alice", "laptop"), v.device("mallory", "laptop")
	e := v.room(opsRoom, finance).next(alice)
	x := v.question(alice)
	x.item(e, groups.StandingMember, alice)
	mine := v.question(mallory)
	for what, change := range map[string]func(m *unwrapv1.UnwrapRequest){
		"another response key": func(m *unwrapv1.UnwrapRequest) {
			q := x.q
			q.ResponseKey = mine.key.PublicKey().Bytes()
			m.Request = q.Marshal()
		},
		"another chain":     func(m *unwrapv1.UnwrapRequest) { m.Chain = mallory.chain },
		"no chain":          func(m *unwrapv1.UnwrapRequest) { m.Chain = nil },
		"no signature":      func(m *unwrapv1.UnwrapRequest) { m.Signature = nil },
		"another signature": func(m *unwrapv1.UnwrapRequest) { m.Signature = mine.signed().Signature },
	} {
		m := x.signed()
		change(m)
		_, err := v.client.Unwrap(context.Background(), connect.NewRequest(m))
		if connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s: %v", what, err)
		}
	}
	x.q.Service = "mimi://alpha.example/s/unwrap2"
	x.refused()
}

// TestA9S18_RevokedMidSession: "device cert revoked mid-session": from that
// instant on, of no epoch.
func TestA9S18_RevokedMidSession(t *testing.T) {
	v := newVault(t)
	alice := v.device("alice", "laptop")
	e := v.room(opsRoom, finance).next(alice)
	ask := func() *question {
		x := v.question(alice)
		x.item(e, groups.StandingMember, alice)
		return x
	}
	equal(t, "before", ask().parts(e), true)
	v.status.mu.Lock()
	v.status.revoked[string(alice.chain[0])] = true
	v.status.mu.Unlock()
	ask().refused()
	v.status.mu.Lock()
	v.status.revoked, v.status.down = nil, true // "unknown or unreachable is never good"
	v.status.mu.Unlock()
	ask().refused()
}

// TestUnwrapRemovedWithHostileGateway: a device that was removed has every byte
// of the room, and forges what it likes: nothing of later epochs, and, once a
// newer epoch was announced, nothing at all.
func TestUnwrapRemovedWithHostileGateway(t *testing.T) {
	v := newVault(t)
	alice, mallory := v.device("alice", "laptop"), v.device("mallory", "laptop")
	r := v.room(opsRoom, finance)
	r.policy.History = groups.HistoryAll
	e0, e1 := r.next(alice, mallory), r.next(alice, mallory)
	x := v.question(mallory)
	x.item(e1, groups.StandingMember, mallory)
	equal(t, "while a member", x.parts(e1), true)
	e2 := r.next(alice) // without mallory

	for _, e := range []*epoch{e2} { // it is in no later tree
		x := v.question(mallory)
		x.item(e, groups.StandingMember, alice)
		it := x.item(e, groups.StandingNewcomer, nil)
		it.Anchor = e.vouch(x.anchor(e1, true), e1)
		x.refused()
	}
	announce := v.question(alice)
	announce.anchor(e1, true)
	announce.q.Anchors[0].Next = e1.vouch(1, e2)
	announce.anchor(e2, true)
	if _, err := announce.send(); err != nil {
		t.Fatal(err)
	}
	forged := r.forge(99, mallory)
	for what, ask := range map[string]func(x *question){
		"an old epoch by itself": func(x *question) { x.item(e1, groups.StandingMember, mallory) },
		"an old epoch by an old anchor": func(x *question) {
			x.item(e0, groups.StandingMember, mallory).Anchor = e0.vouch(x.anchor(e1, true), e1)
		},
		"an old epoch by a forged anchor": func(x *question) {
			x.item(e1, groups.StandingMember, mallory).Anchor = e1.vouch(x.anchor(forged, true), forged)
		},
		"a forged anchor after the true one": func(x *question) {
			i := x.anchor(e1, true)
			x.q.Anchors[i].Next = e1.vouch(2, e2)
			x.anchor(forged, true)
			x.anchor(e2, false)
			x.q.Anchors[2].Next = nil
			x.item(e1, groups.StandingMember, mallory).Anchor = e1.vouch(1, forged)
			x.item(e0, groups.StandingMember, mallory).Anchor = e0.vouch(i, e1)
		},
	} {
		x := v.question(mallory)
		ask(x)
		t.Log(what)
		x.refused()
	}
	x = v.question(alice) // who stayed reads all
	now := x.anchor(e2, true)
	x.item(e0, groups.StandingMember, alice).Anchor = e0.vouch(now, e2)
	x.item(e1, groups.StandingMember, alice).Anchor = e1.vouch(now, e2)
	x.item(e2, groups.StandingMember, alice)
	equal(t, "alice", x.parts(e0, e1, e2), true, true, true)
	v.restart()
	x = v.question(mallory)
	x.item(e1, groups.StandingMember, mallory)
	x.refused() // the mark is recalled from the log
}

// TestUnwrapAnchorsMustBeVouched: "forged anchor, anchor author not in tree".
func TestUnwrapAnchorsMustBeVouched(t *testing.T) {
	v := newVault(t)
	alice, mallory, carol := v.device("alice", "laptop"), v.device("mallory", "laptop"), v.device("carol", "laptop")
	r := v.room(opsRoom, finance)
	r.policy.History = groups.HistoryAll
	e0 := r.next(alice)
	forged := r.forge(5, mallory, carol) // mallory was never a member
	x := v.question(carol)
	it := x.item(e0, groups.StandingNewcomer, nil)
	it.Anchor = &groups.Vouch{Anchor: uint16(x.anchor(forged, true)), Author: e0.proof(alice)}
	x.refused()
	x = v.question(carol)
	it = x.item(e0, groups.StandingNewcomer, nil)
	it.Anchor = &groups.Vouch{Anchor: uint16(x.anchor(forged, true)), Author: forged.proof(mallory)}
	x.refused()
	e1 := r.next(alice, carol)
	x = v.question(carol) // a true one, but without her own leaf shown
	it = x.item(e0, groups.StandingNewcomer, nil)
	it.Anchor = e0.vouch(x.anchor(e1, false), e1)
	x.refused()
}

// TestA13_ClockSkewAtTheEndOfAKey: "clock skew +-10 min at key expiry": five are tolerated.
func TestA13_ClockSkewAtTheEndOfAKey(t *testing.T) {
	v := newVault(t)
	alice := v.device("alice", "laptop")
	e := v.room(opsRoom, finance).next(alice) // an hour
	for _, c := range []struct {
		at   time.Duration
		want bool
	}{{50 * time.Minute, true}, {time.Hour + 4*time.Minute, true}, {time.Hour + 10*time.Minute, false}} {
		v.clock = then.Add(c.at)
		x := v.question(alice)
		x.item(e, groups.StandingMember, alice)
		equal(t, c.at.String(), x.parts(e), c.want)
	}
}

// A countedKey says how often a private key was touched.
type countedKey struct {
	ecdh.KeyExchanger
	n *atomic.Int64
}

func (k countedKey) ECDH(p *ecdh.PublicKey) ([]byte, error) {
	k.n.Add(1)
	return k.KeyExchanger.ECDH(p)
}

// count makes the service's key countable.
func (v *vault) count() *atomic.Int64 {
	n := new(atomic.Int64)
	key, ok := v.keys[0].Private.(interface {
		ECDH() (*ecdh.PrivateKey, error)
	})
	if !ok {
		v.t.Fatalf("%T", v.keys[0].Private)
	}
	private, err := key.ECDH()
	must(v.t, err)
	v.keys[0].Private = countedKey{private, n}
	return n
}

// TestA18_WithoutItsLogTheServiceOpensNothing: "log down => refuse", and the key is not touched.
func TestA18_WithoutItsLogTheServiceOpensNothing(t *testing.T) {
	v := newVault(t)
	touched := v.count()
	alice := v.device("alice", "laptop")
	e := v.room(opsRoom, finance).next(alice)
	file := v.audit.f
	var err error
	v.audit.f, err = os.Open(file.Name()) // read only: writes fail
	must(t, err)
	defer file.Close()
	x := v.question(alice)
	x.item(e, groups.StandingMember, alice)
	if _, err := x.send(); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("%v, want unavailable", err)
	}
	if touched.Load() != 0 {
		t.Error("the private key was used without a log entry")
	}
}

// TestUnwrapLogsBeforeTheKey: what the key was used for stands in the log, and
// what was refused did not touch it.
func TestUnwrapLogsBeforeTheKey(t *testing.T) {
	v := newVault(t)
	touched := v.count()
	alice, bob := v.device("alice", "laptop"), v.device("bob", "laptop")
	r := v.room(opsRoom, finance)
	e0, e1 := r.next(alice), r.next(alice)
	x := v.question(bob)
	x.item(e0, groups.StandingMember, alice)
	x.refused()
	if touched.Load() != 0 {
		t.Error("a refusal has touched the key")
	}
	x = v.question(alice)
	x.item(e1, groups.StandingMember, alice)
	x.item(e0, groups.StandingMember, alice).Anchor = e0.vouch(x.anchor(e1, true), e1)
	equal(t, "alice", x.parts(e1, e0), true, true)
	if touched.Load() != 2 {
		t.Errorf("two keys touched it %d times", touched.Load())
	}
	log := v.entries()
	last := log[len(log)-1]
	want := AuditEntry{
		Decision: Granted, Time: then, Actor: alice.name.URI(), Certificate: sha256.Sum256(alice.chain[0]), CoI: finance,
		Room: v.audit.Room(string(opsRoom)), First: 0, Last: 1, Count: 2, Newest: 1, NewestContext: groups.ContextHash(&e1.context),
		Policy: last.Policy, Request: sha256.Sum256(x.q.Marshal()), Reason: "history",
	}
	if last != want {
		t.Errorf("the log says\n%+v, want\n%+v", last, want)
	}
	refused := log[len(log)-2]
	if refused.Decision != Refused || refused.Actor != bob.name.URI() || !strings.Contains(refused.Why, "alice") {
		t.Errorf("of the refusal it says %+v", refused)
	}
}

// TestUnwrapQuota: "bulk 10k rate limit": over the quota nothing is given, and
// what was drawn is given back by time.
func TestUnwrapQuota(t *testing.T) {
	v := newVault(t)
	v.quotas = Quotas{Device: Quota{3, 1}}
	v.restart()
	alice := v.device("alice", "laptop")
	e := v.room(opsRoom, finance).next(alice)
	ask := func(n int) error {
		x := v.question(alice)
		for range n {
			x.item(e, groups.StandingMember, alice)
		}
		_, err := x.send()
		return err
	}
	must(t, ask(2))
	if err := ask(2); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("%v, want resource_exhausted", err)
	}
	v.clock = v.clock.Add(2 * time.Second)
	must(t, ask(2))
}

// TestUnwrapDenialsLookAlike: one shape of refusal, whatever the check.
func TestUnwrapDenialsLookAlike(t *testing.T) {
	v := newVault(t)
	alice, bob := v.device("alice", "laptop"), v.device("bob", "laptop")
	v.grant(Rule{Subject: "mimi://alpha.example/u/bob", Effect: Denies, By: "test"})
	e := v.room(opsRoom, finance).next(alice, bob)
	words := map[string]bool{}
	for what, ask := range map[string]func() error{
		"entitlement": func() error {
			x := v.question(bob)
			x.item(e, groups.StandingMember, bob)
			_, err := x.send()
			return err
		},
		"time": func() error {
			x := v.question(alice)
			x.item(e, groups.StandingMember, alice)
			x.q.Time -= uint64(time.Hour / time.Millisecond)
			_, err := x.send()
			return err
		},
		"signature": func() error {
			x := v.question(alice)
			x.item(e, groups.StandingMember, alice)
			m := x.signed()
			m.Signature[0] ^= 1
			_, err := v.client.Unwrap(context.Background(), connect.NewRequest(m))
			return err
		},
		"an unknown CoI": func() error {
			x := v.question(alice)
			x.q.CoI = "mimi://alpha.example/c/nothing"
			x.item(e, groups.StandingMember, alice)
			_, err := x.send()
			return err
		},
	} {
		err := ask()
		if err == nil {
			t.Fatalf("%s: it was answered", what)
		}
		words[err.Error()] = true
	}
	if len(words) != 1 {
		t.Errorf("denials tell which check it was: %v", words)
	}
}

// TestE22_RetiredKeysStillOpen: a CoI has a new key: what was wrapped to the old
// one still opens, and Keys names both, the new one first.
func TestE22_RetiredKeysStillOpen(t *testing.T) {
	v := newVault(t)
	alice := v.device("alice", "laptop")
	r := v.room(opsRoom, finance)
	e0 := r.next(alice)
	v.addKey(finance)
	e1 := r.next(alice)
	if bytes.Equal(e0.record.Recipients[0].Certificate[:], e1.record.Recipients[0].Certificate[:]) {
		t.Fatal("both epochs are wrapped to one certificate")
	}
	x := v.question(alice)
	x.item(e1, groups.StandingMember, alice)
	x.item(e0, groups.StandingMember, alice).Anchor = e0.vouch(x.anchor(e1, true), e1)
	equal(t, "both", x.parts(e1, e0), true, true)
	keys, err := v.client.Keys(context.Background(), connect.NewRequest(&unwrapv1.KeysRequest{}))
	must(t, err)
	hashes := keys.Msg.Cois[0].SpkiHashes
	if len(hashes) != 2 || !bytes.Equal(hashes[0], v.keys[1].SPKI[:]) || keys.Msg.Service != unwrap1 {
		t.Errorf("%v", keys.Msg)
	}
}

// TestE4_OneKeyOpensOneEpoch: what comes out for one epoch is that epoch's key,
// and is the key of no other.
func TestE4_OneKeyOpensOneEpoch(t *testing.T) {
	v := newVault(t)
	alice := v.device("alice", "laptop")
	r := v.room(opsRoom, finance)
	e0, e1 := r.next(alice), r.next(alice)
	x := v.question(alice)
	x.item(e1, groups.StandingMember, alice)
	equal(t, "the newest", x.parts(e1), true)
	if groups.KeyID(v.suite, e1.key, e0.record.ContextHash) == e0.record.KeyID || bytes.Equal(groups.RoomKeyBytes(e0.key), groups.RoomKeyBytes(e1.key)) {
		t.Error("one key serves two epochs")
	}
}

// TestUnwrapForget: a mark that was forged before the room was known here locks
// its members out, until an administrator has it forgotten.
func TestUnwrapForget(t *testing.T) {
	v := newVault(t)
	alice, mallory := v.device("alice", "laptop"), v.device("mallory", "laptop")
	r := v.room(opsRoom, finance)
	e := r.next(alice)
	x := v.question(mallory)
	x.anchor(r.forge(99, mallory), true)
	if _, err := x.send(); err != nil {
		t.Fatal(err)
	}
	ask := func() *question {
		x := v.question(alice)
		x.item(e, groups.StandingMember, alice)
		return x
	}
	ask().refused()
	_, err := v.rules.Forget(opsRoom, "carol")
	must(t, err)
	equal(t, "after it was forgotten", ask().parts(e), true)
	v.restart()
	equal(t, "after a restart", ask().parts(e), true)
	if m, known := v.unwrap.config.State.mark(v.audit.Room(string(opsRoom))); !known || m.epoch != 0 {
		t.Errorf("the mark is %+v, want epoch 0", m)
	}
}

// TestUnwrapOneAddressDoesNotTakeAll: calls of one address are bounded, and are
// counted down again.
func TestUnwrapOneAddressDoesNotTakeAll(t *testing.T) {
	v := newVault(t)
	here, there := origin("192.0.2.1:7"), origin("192.0.2.2:7")
	for range maxFromOne {
		if !v.unwrap.enter(here) {
			t.Fatal("a call below the bound is refused")
		}
	}
	if v.unwrap.enter(here) || !v.unwrap.enter(there) {
		t.Error("one address takes all")
	}
	for range maxFromOne {
		v.unwrap.leave(here)
	}
	v.unwrap.leave(there)
	if len(v.unwrap.from) != 0 {
		t.Errorf("%d addresses are still counted", len(v.unwrap.from))
	}
}

// TestUnwrapAnnouncements: a newer epoch is taken if a chain leads to it from
// what is known; each member may announce it, and only the first is logged.
func TestUnwrapAnnouncements(t *testing.T) {
	v := newVault(t)
	alice, bob, mallory := v.device("alice", "laptop"), v.device("bob", "laptop"), v.device("mallory", "laptop")
	r := v.room(opsRoom, finance)
	e0, e1, e2 := r.next(alice, bob), r.next(bob, alice), r.next(alice, bob)
	announce := func(from *member, want groups.Epoch, epochs ...*epoch) {
		t.Helper()
		x := v.question(from)
		for i, e := range epochs {
			x.anchor(e, i == len(epochs)-1)
			if i > 0 {
				x.q.Anchors[i-1].Next = epochs[i-1].vouch(i, e)
			}
		}
		a, err := x.send()
		must(t, err)
		if len(a.Marks) != 1 || a.Marks[0].Epoch != want {
			t.Errorf("marks %v, want epoch %d", a.Marks, want)
		}
	}
	announce(alice, 0, e0)
	announce(bob, 2, e0, e1, e2) // over two at once
	n := len(v.entries())
	announce(alice, 2, e1, e2)                 // known already
	announce(alice, 2, e0, e1)                 // older
	announce(mallory, 2, r.forge(99, mallory)) // no chain leads to it
	if log := v.entries(); len(log) != n || log[n-1].Decision != Announced || log[n-1].Newest != 2 {
		t.Errorf("%d entries after %d, the last %+v", len(log), n, log[n-1])
	}
}
