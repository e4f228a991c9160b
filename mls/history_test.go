package mls

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// roomKey takes the room key of p's epoch.
func roomKey(t testing.TB, g *Group) *RoomKey {
	t.Helper()
	k, err := g.RoomKey()
	must(t, err)
	return k
}

// reader returns the history of g's epoch with proofs of those leaves, all of
// it from bytes, as somebody has it who is not a member.
func reader(t testing.TB, g *Group, k *RoomKey, leaves ...wire.LeafIndex) *History {
	t.Helper()
	key, err := wire.Unmarshal[RoomKey](wire.Marshal(k))
	must(t, err)
	context, err := wire.Unmarshal[wire.GroupContext](wire.Marshal(g.GroupContext()))
	must(t, err)
	h, err := NewHistory(&key, &context)
	must(t, err)
	for _, i := range leaves {
		p, err := g.Tree().Proof(i)
		must(t, err)
		proof, err := wire.Unmarshal[tree.MembershipProof](wire.Marshal(p))
		must(t, err)
		must(t, h.Prove(&proof))
	}
	return h
}

// "A reader that is not a member must be able to do it with no other state":
// all messages of an epoch open in any order and more than once, whoever sent
// them, and are what they were; a member's own view of the epoch is not needed.
func TestHistoryOpensAnEpoch(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		list := people(t, s, 3)
		everybody(t, list, 1, CommitOptions{})
		g := list[2].group
		key := roomKey(t, g)
		var messages [][]byte
		var texts []string
		for round := range 4 {
			for i, p := range list {
				texts = append(texts, fmt.Sprintf("%d of %d", round, i))
				m, err := p.group.Seal([]byte("aad"), []byte(texts[len(texts)-1]), round)
				must(t, err)
				messages = append(messages, m)
			}
		}
		h := reader(t, g, key, 0, 1, 2)
		order := append(rand.Perm(len(messages)), rand.Perm(len(messages))...)
		for _, i := range order {
			m, err := h.Open(messages[i])
			must(t, err)
			leaf, _ := g.Tree().LeafBytes(wire.LeafIndex(i % 3))
			want := Message{g.Epoch(), wire.LeafIndex(i % 3), leaf, uint32(i / 3), []byte("aad"), []byte(texts[i])}
			if !reflect.DeepEqual(*m, want) {
				t.Fatalf("message %d: %+v", i, m)
			}
		}
	})
}

// Proposals and commits that were sent encrypted open too, each with its own
// ratchet.
func TestHistoryOpensHandshakes(t *testing.T) {
	list := people(t, testSuite(t), 2)
	key := roomKey(t, list[0].group)
	g := list[1].group
	text := seal(t, g, "before")
	update, err := g.ProposeUpdate(LeafOptions{}, MessageOptions{Private: true, Now: start})
	must(t, err)
	p := commit(t, g, CommitOptions{MessageOptions: MessageOptions{Private: true}, IgnorePending: true})
	h := reader(t, g, key, 1)
	for want, message := range map[wire.ContentType][]byte{
		wire.ContentTypeApplication: text, wire.ContentTypeProposal: update, wire.ContentTypeCommit: p.Commit,
	} {
		ac, err := h.OpenContent(message)
		must(t, err)
		if ac.Content.ContentType != want || ac.Content.Sender.LeafIndex != 1 {
			t.Errorf("%v from %v, want %v", ac.Content.ContentType, ac.Content.Sender, want)
		}
		if _, err := h.Open(message); (err == nil) != (want == wire.ContentTypeApplication) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("open %v: %v", want, err)
		}
	}
}

// The room key "opens every PrivateMessage of that epoch, and nothing of any
// other" (I8): once a message has been sealed or opened, by whatever ratchet, it
// can not be had any more, and is in no record.
func TestRoomKeyIsThereAtTheStartOnly(t *testing.T) {
	spend := map[string]func(a, b *Group){
		"seal": func(a, _ *Group) { seal(t, a, "x") },
		"open": func(a, b *Group) {
			_, err := a.Open(seal(t, b, "x"))
			must(t, err)
		},
		"private commit": func(a, _ *Group) { commit(t, a, CommitOptions{MessageOptions: MessageOptions{Private: true}}) },
		"private commit handled": func(a, b *Group) {
			handle(t, a, commit(t, b, CommitOptions{MessageOptions: MessageOptions{Private: true}}).Commit)
		},
	}
	for what, act := range spend {
		list := people(t, testSuite(t), 2)
		a, b := list[0].group, list[1].group
		key := roomKey(t, a)
		if !reflect.DeepEqual(key, roomKey(t, b)) || !reflect.DeepEqual(key, roomKey(t, a)) {
			t.Fatal("two members, two keys")
		}
		holds := func() bool {
			for _, r := range snapshot(a) {
				if bytes.Contains(r, key.EncryptionSecret) {
					return true
				}
			}
			return false
		}
		if !holds() {
			t.Fatal("a fresh epoch is stored without its secret")
		}
		act(a, b)
		if _, err := a.RoomKey(); !errors.Is(err, ErrRoomKeyGone) {
			t.Errorf("%s: room key: %v", what, err)
		}
		if holds() {
			t.Errorf("%s: the encryption secret is still stored", what)
		}
	}
}

// The committer, who handles the commit, who joins and who was restarted have
// one key for the new epoch before anything is said in it, and its id; the old
// epoch's key is another.
func TestRoomKeyIsAgreedOn(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 2)
	a, b := list[0], list[1]
	c := newPerson(t, s, "new")
	kp := c.keyPackage(t)
	id := func(g *Group) [32]byte {
		context := g.GroupContext()
		id, err := roomKey(t, g).ID(&context)
		must(t, err)
		return id
	}
	old := id(a.group)
	p := commit(t, a.group, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
	ids := [][32]byte{id(p.Next), id(handle(t, b.group, p.Commit).Next)}
	c.join(t, kp, p.Welcome, p.Next.Tree())
	ids = append(ids, id(c.group))
	loaded, err := Load(LoadOptions{Records: snapshot(c.group).all(), Signers: []*suite.SignaturePrivateKey{c.signer}, Credentials: anyone{}})
	must(t, err)
	ids = append(ids, id(loaded))
	for _, other := range ids {
		if other != ids[0] || other == old {
			t.Errorf("ids %x, old %x", ids, old)
		}
	}
}

// key_id = ExpandWithLabel(room key, "parley key id", group_context_hash): one
// HMAC, which is written out here.
func TestRoomKeyID(t *testing.T) {
	k := RoomKey{1, bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}
	context := wire.GroupContext{CipherSuite: 1, GroupID: []byte("g"), Epoch: 3, TreeHash: make([]byte, 32)}
	hash := sha256.Sum256(wire.Marshal(context))
	m := hmac.New(sha256.New, append(bytes.Clone(k.SenderDataSecret), k.EncryptionSecret...))
	m.Write([]byte("\x00\x20\x15MLS 1.0 parley key id\x20"))
	m.Write(append(hash[:], 1))
	id, err := k.ID(&context)
	must(t, err)
	if !bytes.Equal(id[:], m.Sum(nil)) {
		t.Errorf("id %x", id)
	}
	for what, change := range map[string]func(k *RoomKey, c *wire.GroupContext){
		"epoch":       func(_ *RoomKey, c *wire.GroupContext) { c.Epoch++ },
		"sender data": func(k *RoomKey, _ *wire.GroupContext) { k.SenderDataSecret = bytes.Repeat([]byte{3}, 32) },
		"encryption":  func(k *RoomKey, _ *wire.GroupContext) { k.EncryptionSecret = bytes.Repeat([]byte{3}, 32) },
		"swapped": func(k *RoomKey, _ *wire.GroupContext) {
			k.SenderDataSecret, k.EncryptionSecret = k.EncryptionSecret, k.SenderDataSecret
		},
	} {
		k, context := k, context
		change(&k, &context)
		if other, err := k.ID(&context); err != nil || other == id {
			t.Errorf("other %s: %x, %v", what, other, err)
		}
	}
}

func TestRoomKeyTellsNothing(t *testing.T) {
	k := &RoomKey{1, bytes.Repeat([]byte{0xab}, 32), bytes.Repeat([]byte{0xcd}, 32)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{k, *k} {
			if s := strings.ToLower(fmt.Sprintf(verb, v)); strings.Contains(s, "ab") || strings.Contains(s, "171") || strings.Contains(s, "0xcd") {
				t.Errorf("%s: %s", verb, s)
			}
		}
	}
	k.Erase()
	if !bytes.Equal(k.SenderDataSecret, make([]byte, 32)) || !bytes.Equal(k.EncryptionSecret, make([]byte, 32)) {
		t.Error("not erased")
	}
}

func TestRoomKeyRefuses(t *testing.T) {
	context := wire.GroupContext{CipherSuite: 1}
	for what, k := range map[string]RoomKey{
		"no suite":         {0, make([]byte, 32), make([]byte, 32)},
		"suite not built":  {4, make([]byte, 64), make([]byte, 64)},
		"short":            {1, make([]byte, 31), make([]byte, 32)},
		"long":             {1, make([]byte, 32), make([]byte, 33)},
		"empty":            {1, nil, nil},
		"of another suite": {5, make([]byte, 32), make([]byte, 32)},
	} {
		if _, err := NewHistory(&k, &context); err == nil {
			t.Errorf("%s: history of it", what)
		}
		if _, err := k.ID(&context); err == nil {
			t.Errorf("%s: id of it", what)
		}
		if _, err := wire.Unmarshal[RoomKey](wire.Marshal(k)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: decoded: %v", what, err)
		}
	}
	good := RoomKey{2, make([]byte, 32), make([]byte, 32)}
	if _, err := NewHistory(&good, &context); !errors.Is(err, ErrInvalid) {
		t.Errorf("key of suite 2 in a group of suite 1: %v", err)
	}
}

func TestHistoryRefuses(t *testing.T) {
	list := people(t, testSuite(t), 3)
	old := seal(t, list[0].group, "of the epoch before")
	everybody(t, list, 0, CommitOptions{})
	g := list[0].group
	key := roomKey(t, g)
	message := seal(t, g, "text")
	public := commit(t, list[1].group, CommitOptions{})
	h := reader(t, g, key, 1, 2)
	check := func(what string, h *History, message []byte, want error) {
		t.Helper()
		if _, err := h.Open(message); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	check("no proof of the sender", h, message, ErrNoProof)
	if i, err := h.Sender(message); err != nil || i != 0 {
		t.Errorf("sender %d, %v", i, err)
	}
	p, err := g.Tree().Proof(0)
	must(t, err)
	must(t, h.Prove(p))
	must(t, h.Prove(p))
	check("good", h, message, nil)
	check("of the epoch before", h, old, ErrPastEpoch)
	check("of the epoch after", h, seal(t, public.Next, "x"), ErrFutureEpoch)
	check("of another group", h, seal(t, people(t, testSuite(t), 2)[0].group, "x"), ErrOtherGroup)
	check("public message", h, public.Commit, wire.ErrMalformed)
	check("nothing", h, nil, wire.ErrMalformed)
	check("cut", h, message[:len(message)-1], wire.ErrMalformed)
	for i := range message {
		bad := bytes.Clone(message)
		bad[i] ^= 1
		if m, err := h.Open(bad); err == nil {
			t.Fatalf("byte %d changed: %+v", i, m)
		}
	}
	check("still good", h, message, nil)

	wrong := *key
	wrong.EncryptionSecret = suite.Random(32)
	check("another encryption secret", reader(t, g, &wrong, 0), message, suite.ErrDecrypt)
	wrong = *key
	wrong.SenderDataSecret = suite.Random(32)
	check("another sender data secret", reader(t, g, &wrong, 0), message, suite.ErrDecrypt)

	// A signature covers the GroupContext.
	context := g.GroupContext()
	context.ConfirmedTranscriptHash = suite.Random(32)
	h, err = NewHistory(key, &context)
	must(t, err)
	must(t, h.Prove(p))
	check("another transcript", h, message, suite.ErrSignature)
}

// A proof counts in its own tree only.
func TestHistoryRefusesProofs(t *testing.T) {
	list := people(t, testSuite(t), 3)
	before, err := list[0].group.Tree().Proof(0)
	must(t, err)
	everybody(t, list, 0, CommitOptions{})
	h := reader(t, list[0].group, roomKey(t, list[0].group))
	if err := h.Prove(before); !errors.Is(err, tree.ErrProof) {
		t.Errorf("proof of the epoch before: %v", err)
	}
	moved, err := list[0].group.Tree().Proof(1)
	must(t, err)
	moved.LeafIndex = 0
	if err := h.Prove(moved); !errors.Is(err, tree.ErrProof) {
		t.Errorf("proof of another leaf: %v", err)
	}
	if len(h.senders) != 0 {
		t.Error("a sender that was not proven")
	}
}

// A member that has the room key can not speak for another: "verifies their
// signatures".
func TestHistoryRefusesForgedSender(t *testing.T) {
	list := people(t, testSuite(t), 3)
	g := list[0].group
	h := reader(t, g, roomKey(t, g), 0, 1, 2)
	e := g.epoch
	ac, err := e.sign(list[0].signer, wire.WireFormatPrivateMessage, wire.FramedContent{
		GroupID: g.GroupID(), Epoch: g.Epoch(), Sender: wire.Member(1),
		ContentType: wire.ContentTypeApplication, ApplicationData: []byte("said by another"),
	})
	must(t, err)
	forged, _, err := e.protectPrivate(&ac, 0)
	must(t, err)
	if _, err := h.Open(forged); !errors.Is(err, suite.ErrSignature) {
		t.Errorf("forged: %v", err)
	}
}

// What the ratchet of a history gives is what a member's ratchet gives, far
// ahead and back again, and a bound is kept.
func TestHistoryRatchet(t *testing.T) {
	s := testSuite(t)
	var first secretBytes
	copy(first[:], suite.Random(32))
	const n = 3*stride + 7
	keys := make([]messageKey, n)
	member := ratchet{secret: first}
	for i := range keys {
		st, err := member.seek(s, uint32(i))
		must(t, err)
		keys[i] = st.messageKey
		member.apply(&st)
	}
	order := append([]int{n - 1, 0, stride, stride - 1, stride + 1, 2 * stride, n - 1, n - 2}, rand.Perm(n)[:200]...)
	past := newPastRatchet(first)
	for _, i := range append(order, 0, 1, 2, 3) {
		got, err := past.key(s, uint32(i))
		if err != nil || got != keys[i] {
			t.Fatalf("generation %d: %v", i, err)
		}
	}
	if len(past.secrets) != n/stride+1 {
		t.Errorf("%d secrets kept", len(past.secrets))
	}
	for _, g := range []uint32{MaxHistory + 1, 1<<32 - 1} {
		if _, err := past.key(s, g); !errors.Is(err, ErrGeneration) {
			t.Errorf("generation %d: %v", g, err)
		}
	}
}

func TestHistoryErases(t *testing.T) {
	list := people(t, testSuite(t), 2)
	g := list[0].group
	h := reader(t, g, roomKey(t, g), 0)
	m := seal(t, g, "x")
	_, err := h.Open(m)
	must(t, err)
	sender := h.senders[0]
	h.Erase()
	if slices.ContainsFunc(append(sender.application.secrets, sender.application.secret), func(b secretBytes) bool { return b != secretBytes{} }) {
		t.Error("a ratchet is left")
	}
	if _, err := h.Open(m); err == nil {
		t.Error("opens after it was erased")
	}
}

// FuzzRoomKey reads any bytes as a room key: what is accepted is written as it
// was read and makes a history.
func FuzzRoomKey(f *testing.F) {
	for _, id := range suite.IDs() {
		s, _ := suite.Lookup(id)
		n := s.HashSize()
		f.Add(wire.Marshal(RoomKey{wire.CipherSuite(id), make([]byte, n), make([]byte, n)}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := wire.Unmarshal[RoomKey](b)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		if !bytes.Equal(wire.Marshal(k), b) {
			t.Fatal("written as something else")
		}
		if _, err := NewHistory(&k, &wire.GroupContext{CipherSuite: k.CipherSuite}); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzHistory opens any bytes: no panic, and nothing but what was sealed.
func FuzzHistory(f *testing.F) {
	list := people(f, testSuite(f), 3)
	g := list[1].group
	h := reader(f, g, roomKey(f, g), 1)
	message := seal(f, g, "hello")
	f.Add(message)
	f.Add(message[:40])
	f.Add(seal(f, list[0].group, "of somebody not proven"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := h.Open(b); err == nil && !bytes.Equal(b, message) {
			t.Fatalf("opened %+v", m)
		}
		h.Sender(b)
		h.OpenContent(b)
	})
}

// BenchmarkHistoryOpen opens messages in order, and from the last to the first.
func BenchmarkHistoryOpen(b *testing.B) {
	a, _ := fullGroup(b, 100)
	key := roomKey(b, a.group)
	messages := make([][]byte, 2000)
	for i := range messages {
		messages[i] = seal(b, a.group, "a message of some forty bytes, as they are")
	}
	b.Run("forward", func(b *testing.B) {
		h := reader(b, a.group, key, 0)
		for i := 0; b.Loop(); i++ {
			_, err := h.Open(messages[i%len(messages)])
			must(b, err)
		}
	})
	b.Run("backward", func(b *testing.B) {
		h := reader(b, a.group, key, 0)
		for i := 0; b.Loop(); i++ {
			_, err := h.Open(messages[len(messages)-1-i%len(messages)])
			must(b, err)
		}
	})
}
