package mls

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// mutate changes one to three octets at random places.
func mutate(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(3) {
		switch i := r.IntN(len(b)); r.IntN(3) {
		case 0:
			b[i] ^= 1 << r.IntN(8)
		case 1:
			b[i] = byte(r.IntN(256))
		case 2:
			b[i] = []byte{0, 1, 2, 3, 0x3f, 0x40, 0x7f, 0x80, 0xff}[r.IntN(9)]
		}
	}
	return b
}

// A member can sign anything. Whatever a commit of one says, the others do not
// panic, refuse it, and are as before to the byte; an observer does the same but
// for what only members can see.
func TestInsiderSignsAnything(t *testing.T) {
	list := people(t, testSuite(t), 6)
	unlock(list, Policy{PSKs: purse{"known": []byte("key")}})
	everybody(t, list, 2, CommitOptions{})
	everybody(t, list, 5, CommitOptions{})
	for _, m := range [][]byte{
		made(list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start})), made(list[2].group.ProposeRemove(4, MessageOptions{Now: start})),
	} {
		for _, p := range list {
			handle(t, p.group, m)
		}
	}
	a, b := list[0], list[3].group
	eve := newPerson(t, a.suite, "eve").keyPackage(t).Public
	f := &forgery{t: t, by: a, group: a.group}
	refer(f)
	f.list = append(f.list, values(addition(eve), psk(ExternalPSK([]byte("known")), 32), extensions())...)
	m, err := wire.Unmarshal[wire.MLSMessage](f.message())
	must(t, err)
	handle(t, b, wire.Marshal(m))
	commit := wire.Marshal(m.PublicMessage.Content.Commit)
	before := snapshot(b)
	r := rand.New(rand.NewPCG(number64(t), 1))
	met := make(map[error]int)
	for range 1500 {
		changed, err := wire.Unmarshal[wire.Commit](mutate(r, commit))
		if err != nil || bytes.Equal(wire.Marshal(changed), commit) {
			continue
		}
		content := a.group.framed(wire.ContentTypeCommit, &MessageOptions{})
		content.Commit = &changed
		ac, err := a.group.epoch.sign(a.signer, wire.WireFormatPublicMessage, content)
		must(t, err)
		ac.Auth.ConfirmationTag = suite.Random(a.suite.HashSize())
		_, err = b.Handle(a.group.epoch.protectPublic(&ac), start)
		if err == nil {
			t.Fatalf("accepted %x", wire.Marshal(changed))
		}
		for _, rule := range rules {
			if rule.err != nil && errors.Is(err, rule.err) {
				met[rule.err]++
			}
		}
		if !reflect.DeepEqual(before, snapshot(b)) {
			t.Fatalf("the state has changed: %v", err)
		}
	}
	if len(met) < 10 {
		t.Errorf("only %d rules were broken: %v", len(met), met)
	}
}

// Whoever welcomes can make up a tree. Whatever it is, the guest does not panic,
// and joins only what it can encode as it got it and what verifies.
func TestHostMakesUpAnyTree(t *testing.T) {
	h := newBook(t).hall()
	r := rand.New(rand.NewPCG(number64(t), 2))
	joined, parsed := 0, 0
	for range 600 {
		w := &welcoming{t: t, list: h.list, guest: h.kp}
		w.after = func(raw *rawTree) {
			nodes, err := wire.Unmarshal[wire.RatchetTree](mutate(r, raw.encode()))
			if err != nil || len(nodes) == 0 {
				return
			}
			raw.nodes = nodes
			raw.extend()
			parsed++
		}
		welcome, ratchetTree := w.make()
		g, err := Join(JoinOptions{
			Welcome: welcome, KeyPackage: h.kp, Signer: h.guest.signer, RatchetTree: ratchetTree, Credentials: anyone{}, Policy: Policy{Accept: everything},
		})
		if err != nil {
			continue
		}
		joined++
		must(t, g.Tree().Verify(&g.state.Context, &tree.Config{Credentials: anyone{}}))
		if !bytes.Equal(wire.Marshal(g.Tree()), ratchetTree) {
			t.Fatal("joined another tree")
		}
	}
	if joined == 0 || parsed < 100 {
		t.Errorf("joined %d, parsed %d: the test tests nothing", joined, parsed)
	}
}

// number64 is the seed of a longer search, else always the same.
func number64(t *testing.T) uint64 { return uint64(number(t, "MLS_LIVES_SEED", 0)) }

// made is a message that was made.
func made[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
