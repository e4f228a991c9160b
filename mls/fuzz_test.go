package mls

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"parley/mls/suite"
	"parley/mls/wire"
)

// fuzzSeeds are messages of all kinds in a group of three, and the member that
// has not seen them.
func fuzzSeeds(t testing.TB) (seeds [][]byte, list []*person) {
	t.Helper()
	list = people(t, testSuite(t), 3)
	a, eve := list[0].group, newPerson(t, list[0].suite, "eve")
	kp := eve.keyPackage(t)
	o := MessageOptions{Now: start, AuthenticatedData: []byte("stamp")}
	private := MessageOptions{Now: start, Private: true, Padding: 9}
	p := commit(t, a, CommitOptions{MessageOptions: o, Adds: []*wire.KeyPackage{&kp.Public}, ForcePath: true})
	q := commit(t, a, CommitOptions{MessageOptions: private, Removes: []wire.LeafIndex{2}})
	seeds = [][]byte{seal(t, a, "hello"), p.Commit, p.Welcome, p.GroupInfo, q.Commit, kp.Message()}
	for _, m := range []MessageOptions{o, private} {
		b, err := list[2].group.ProposeRemove(0, m)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, b)
	}
	return append(seeds, outsideSeeds(t, list)...), list
}

// outsideSeeds are an external commit, and proposals that only some may send;
// the members of list then take what comes from outside.
func outsideSeeds(t testing.TB, list []*person) (seeds [][]byte) {
	t.Helper()
	unlock(list, Policy{PSKs: purse{"x": []byte("secret")}, Custom: customs().Custom})
	g, eve, o := list[2].group, newPerson(t, list[0].suite, "eve"), MessageOptions{Now: start}
	leave, err := g.ProposeSelfRemove(o)
	must(t, err)
	psk, err := g.ProposePSK(ExternalPSK([]byte("x")), o)
	must(t, err)
	reinit, err := g.ProposeReInit(wire.ReInit{Version: wire.MLS10, CipherSuite: 1}, o)
	must(t, err)
	x := eve.external(list[0].info(t))
	x.PSKs = []wire.PreSharedKeyID{ExternalPSK([]byte("x"))}
	x.Policy = list[0].policy
	c, err := JoinExternal(x)
	must(t, err)
	itself := wire.Sender{SenderType: wire.SenderTypeNewMemberProposal}
	kp := eve.keyPackage(t)
	end := commit(t, list[0].group, CommitOptions{ReInit: &wire.ReInit{Version: wire.MLS10, CipherSuite: 1}})
	return [][]byte{
		leave, psk, reinit, c.Commit, c.GroupInfo, end.Commit,
		outside(t, g, itself, eve.signer, addition(kp.Public)),
		outside(t, g, wire.Sender{SenderType: wire.SenderTypeExternal}, eve.signer, removal(1)),
	}
}

// Whatever GroupInfo, tree and SelfRemove come, JoinExternal does not panic.
func FuzzJoinExternal(f *testing.F) {
	list := people(f, testSuite(f), 3)
	leave, err := list[2].group.ProposeSelfRemove(MessageOptions{Now: start})
	must(f, err)
	eve := newPerson(f, list[0].suite, "eve")
	info := list[0].info(f)
	f.Add(info, []byte(nil), leave)
	f.Add(info, wire.Marshal(list[0].group.Tree()), []byte{})
	f.Fuzz(func(t *testing.T, info, tree, leave []byte) {
		o := eve.external(info)
		o.RatchetTree, o.SelfRemoves = tree, [][]byte{leave}
		c, err := JoinExternal(o)
		if (c == nil) != (err != nil) {
			t.Fatal(c, err)
		}
	})
}

// Whatever comes, a Group does not panic, and on an error it is as before.
func FuzzHandleOpen(f *testing.F) {
	seeds, list := fuzzSeeds(f)
	for _, s := range seeds {
		f.Add(s)
	}
	shelf := snapshot(list[1].group)
	f.Fuzz(func(t *testing.T, message []byte) {
		g, err := Load(LoadOptions{Records: shelf.all(), Signers: []*suite.SignaturePrivateKey{list[1].signer}, Credentials: anyone{}, Policy: list[1].policy})
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(message)
		if _, err := g.Handle(message, start); err != nil && !reflect.DeepEqual(shelf, snapshot(g)) {
			t.Fatalf("handle: %v, and the Group has changed", err)
		}
		state := snapshot(g)
		if _, err := g.Open(message); err != nil && !reflect.DeepEqual(state, snapshot(g)) {
			t.Fatalf("open: %v, and the Group has changed", err)
		}
		if !bytes.Equal(before, message) {
			t.Fatal("the message has changed")
		}
	})
}

// Whatever Welcome and tree come, Join does not panic.
func FuzzJoin(f *testing.F) {
	s := testSuite(f)
	list := people(f, s, 2)
	eve := newPerson(f, s, "eve")
	kp := eve.keyPackage(f)
	p := commit(f, list[0].group, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}, ForcePath: true})
	f.Add(p.Welcome, wire.Marshal(p.Next.Tree()))
	f.Add(p.Welcome, []byte{})
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, welcome, tree []byte) {
		g, err := Join(JoinOptions{Welcome: welcome, KeyPackage: kp, Signer: eve.signer, RatchetTree: tree, Credentials: anyone{}})
		if (g == nil) != (err != nil) {
			t.Fatal(g, err)
		}
	})
}

// Whatever was stored, loading does not panic; what loads, stores the same.
func FuzzLoad(f *testing.F) {
	_, list := fuzzSeeds(f)
	talk(f, list[:2])
	if _, err := list[1].group.ProposeUpdate(LeafOptions{}, MessageOptions{Now: start}); err != nil {
		f.Fatal(err)
	}
	whole := snapshot(list[1].group)
	for k, v := range whole {
		f.Add(k, v)
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		s := make(shelf)
		for k, v := range whole {
			s[k] = v
		}
		s[key] = value
		g, err := Load(LoadOptions{Records: s.all(), Signers: []*suite.SignaturePrivateKey{list[1].signer}, Credentials: anyone{}})
		if err != nil {
			return
		}
		s.put(g.TakeChanges())
		again, err := Load(LoadOptions{Records: snapshot(g).all(), Signers: []*suite.SignaturePrivateKey{list[1].signer}, Credentials: anyone{}})
		if err != nil || !reflect.DeepEqual(snapshot(g), snapshot(again)) {
			t.Fatalf("stored and loaded again: %v", err)
		}
	})
}

// A stored key package loads to what was stored, or not at all.
func FuzzLoadKeyPackage(f *testing.F) {
	for _, id := range suite.IDs() {
		s, _ := suite.Lookup(id)
		b, err := newPerson(f, s, "eve").keyPackage(f).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kp, err := LoadKeyPackage(slices.Clone(b))
		if err != nil {
			return
		}
		again, err := kp.Marshal()
		if err != nil || len(again) != len(b) {
			t.Fatalf("stored again: %d bytes of %d, %v", len(again), len(b), err)
		}
	})
}
