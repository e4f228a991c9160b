package tree

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/wire"
)

// parseGrowth is how many bytes Parse may allocate for each byte of a tree: a
// blank node is one byte, and becomes a node with a hash.
const parseGrowth = 512

// FuzzParse reads any bytes as a ratchet tree: no panic, bounded allocation,
// and what is accepted is written as it was read, can be verified, and can be
// edited at every leaf.
func FuzzParse(f *testing.F) {
	s, err := suite.Lookup(1)
	if err != nil {
		f.Fatal(err)
	}
	type tree struct {
		Tree vectors.Hex `json:"tree"`
	}
	seeds, err := vectors.Find[tree]("tree-validation.json")
	if err != nil {
		f.Logf("fuzzing without official seeds: %v", err)
	}
	for _, c := range seeds[:min(20, len(seeds))] {
		f.Add([]byte(c.Tree))
	}
	f.Add(wire.Marshal(afterOneCommit(f, bulk(f, 5, false))))
	f.Add(wire.Marshal(grown(f, 8)))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		if len(b) >= 512 {
			runtime.ReadMemStats(&before)
		}
		tree, err := Parse(s, b)
		if len(b) >= 512 {
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(parseGrowth*len(b)+1<<16) {
				t.Fatalf("%d bytes allocate %d", len(b), grown)
			}
		}
		if err != nil {
			return
		}
		if !bytes.Equal(wire.Marshal(tree), b) {
			t.Fatal("a tree is written as something else")
		}
		if err := tree.VerifyParentHashes(); !errors.Is(err, ErrEncryptionKey) && (err == nil) != naiveOf(tree).parentHashesValid() {
			t.Fatalf("parent hashes are not judged by their definition: %v", err)
		}
		for i := range tree.Members() {
			e := tree.Edit()
			setPath(t, e, i)
			if tree.Size() > 1 {
				if err := e.Remove(i); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := e.Tree(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(wire.Marshal(tree), b) {
			t.Fatal("edits changed the tree")
		}
	})
}

// FuzzLoadObserver reads any bytes as a snapshot.
func FuzzLoadObserver(f *testing.F) {
	c := newCast(f, 4)
	f.Add(c.Marshal())
	c.mustCommit(2, true)
	c.must(c.proposal(1, c.update(1)))
	f.Add(c.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := LoadObserver(b)
		if err == nil && !bytes.Equal(o.Marshal(), b) {
			t.Fatal("a snapshot is written as something else")
		}
	})
}

// FuzzHandle gives an observer handshakes with any content, rightly signed: the
// member is real, what it sends is not. No panic, and an error changes nothing.
func FuzzHandle(f *testing.F) {
	c := newCast(f, 5)
	c.mustCommit(3, true)
	c.must(c.proposal(2, c.update(2)))
	for _, m := range []*wire.PublicMessage{
		c.commit(1, true), c.commit(1, false, wire.ByValue(c.add())), c.proposal(1, c.update(1)),
		c.commit(1, true, wire.ByReference(c.pending[0].Reference), wire.ByValue(remove(4))),
		c.commit(1, true, wire.ByValue(extensions())),
		c.commit(1, false, wire.ByValue(preSharedKey()), wire.ByValue(wire.Proposal{ProposalType: 0xf000})),
		c.commit(1, false, wire.ByValue(wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: &wire.ReInit{Version: 1}})),
		c.proposal(1, wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove}),
	} {
		f.Add(wire.Marshal(m.Content))
	}
	snapshot := c.Marshal()
	f.Fuzz(func(t *testing.T, b []byte) {
		content, err := wire.Unmarshal[wire.FramedContent](b)
		if err != nil {
			return
		}
		context := c.Context()
		content.GroupID, content.Epoch, content.Sender = context.GroupID, context.Epoch, wire.Member(1)
		m := &wire.PublicMessage{Content: content, MembershipTag: make([]byte, 32)}
		c.resign(m)
		next, _, err := c.Handle(m, &c.config)
		if !bytes.Equal(c.Marshal(), snapshot) {
			t.Fatal("handling a message changed the observer")
		}
		if err != nil {
			return
		}
		state := next.State()
		if err := state.Tree.Verify(&state.Context, &c.config); err != nil {
			t.Fatalf("an accepted commit made a tree that a newcomer refuses: %v", err)
		}
	})
}

// FuzzHandleOutside gives an observer external commits with any content, signed
// by one newcomer. No panic, an error changes nothing, and what is accepted makes
// a tree that a newcomer accepts.
func FuzzHandleOutside(f *testing.F) {
	c := opened(f, 5)
	left := c.must(c.proposal(2, wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove}))
	first, signer := c.enter(nil, wire.ByValue(externalInit()))
	f.Add(wire.Marshal(first.Content))
	for _, list := range [][]wire.ProposalOrRef{
		{wire.ByValue(preSharedKey())}, {wire.ByReference(left.Reference)}, {wire.ByValue(remove(1))}, {wire.ByValue(c.add())},
	} {
		m := *first.Content.Commit
		m.Proposals = append(list, m.Proposals...)
		content := first.Content
		content.Commit = &m
		f.Add(wire.Marshal(content))
	}
	snapshot := c.Marshal()
	f.Fuzz(func(t *testing.T, b []byte) {
		content, err := wire.Unmarshal[wire.FramedContent](b)
		if err != nil {
			return
		}
		m := &wire.PublicMessage{Content: content}
		c.speak(m, newcomer, signer)
		next, change, err := c.Handle(m, &c.config)
		if !bytes.Equal(c.Marshal(), snapshot) {
			t.Fatal("handling a message changed the observer")
		}
		if err != nil {
			return
		}
		state := next.State()
		if err := state.Tree.Verify(&state.Context, &c.config); err != nil || change.Joined == nil {
			t.Fatalf("an accepted external commit: %+v, %v", change, err)
		}
	})
}

// TestParseRefuses gives Parse trees that break one rule each.
func TestParseRefuses(t *testing.T) {
	p := newPair(t)
	for range 7 {
		p = p.add()
	}
	p = p.commit(0).remove(6).commit(4).add()
	cases := []struct {
		rule   string
		want   error
		damage func(n *naive)
	}{
		{"a valid tree", nil, func(*naive) {}},
		{"an unmerged leaf is non-blank (12.4.3.1)", ErrUnmergedLeaf, func(n *naive) { n.nodes[12] = nil }},
		{"an unmerged leaf is a descendant (12.4.3.1)", ErrUnmergedLeaf, func(n *naive) { n.parent(t, 1).UnmergedLeaves = []wire.LeafIndex{5} }},
		{"an unmerged leaf is in the tree (12.4.3.1)", ErrUnmergedLeaf, func(n *naive) { n.parent(t, 1).UnmergedLeaves = []wire.LeafIndex{1 << 31} }},
		{"nodes between an unmerged leaf and the node list it too (12.4.3.1)", ErrUnmergedSkipped, func(n *naive) {
			n.parent(t, 3).UnmergedLeaves = []wire.LeafIndex{1}
		}},
		{"encryption keys of leaves are unique (7.3)", ErrDuplicateEncryptionKey, func(n *naive) {
			n.leaf(0).EncryptionKey = n.leaf(3).EncryptionKey
		}},
		{"the key of a parent node does not appear elsewhere (12.4.3.1)", ErrDuplicateEncryptionKey, func(n *naive) {
			n.parent(t, 3).EncryptionKey = n.leaf(3).EncryptionKey
		}},
		{"two parent nodes have two keys (12.4.3.1)", ErrDuplicateEncryptionKey, func(n *naive) {
			n.parent(t, 3).EncryptionKey = n.parent(t, 1).EncryptionKey
		}},
		{"signature keys are unique (7.3)", ErrDuplicateSignatureKey, func(n *naive) { n.leaf(0).SignatureKey = n.leaf(3).SignatureKey }},
		{"a key without members (7.9.2)", ErrParentWithoutLeaves, func(n *naive) { n.nodes[0], n.nodes[2] = nil, nil }},
		{"leaves stand in even entries (12.4.3.3)", wire.ErrNodePlace, func(n *naive) { n.nodes[1] = n.nodes[0] }},
		{"parents stand in odd entries (12.4.3.3)", wire.ErrNodePlace, func(n *naive) { n.nodes[0] = n.nodes[1] }},
	}
	for _, c := range cases {
		n := p.naive.clone()
		c.damage(n)
		_, err := Parse(p.tree.suite, n.encode())
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.rule, err, c.want)
		}
	}
	var blank []byte
	for range 2 * MaxLeaves {
		blank = append(blank, 0)
	}
	if _, err := Parse(p.tree.suite, wire.Marshal(wire.ExternalPub{ExternalPub: blank})); !errors.Is(err, ErrTreeTooLarge) {
		t.Errorf("more than MaxLeaves: %v", err)
	}
}

// parent returns parent node x, to be changed.
func (n *naive) parent(t *testing.T, x NodeIndex) *wire.ParentNode {
	t.Helper()
	if n.nodes[x] == nil {
		t.Fatalf("node %d is blank", x)
	}
	return n.nodes[x].ParentNode
}

// leaf returns leaf i, to be changed.
func (n *naive) leaf(i wire.LeafIndex) *wire.LeafNode {
	leaf := *n.nodes[NodeOf(i)].LeafNode
	n.nodes[NodeOf(i)] = &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
	return &leaf
}
