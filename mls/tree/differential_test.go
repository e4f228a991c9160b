package tree

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"parley/mls/suite"
	"parley/mls/wire"
)

// A pair is one tree in both forms.
type pair struct {
	t     *testing.T
	tree  *Tree
	naive *naive
}

// unsigned returns a leaf node with keys of its own and nothing signed.
func unsigned() wire.LeafNode {
	return wire.LeafNode{
		EncryptionKey: key(), SignatureKey: key(), Credential: wire.BasicCredential([]byte("member")),
		Capabilities: capabilities(), LeafNodeSource: wire.LeafNodeSourceUpdate,
	}
}

// newPair returns a group of one.
func newPair(t *testing.T) pair {
	s, err := suite.Lookup(1)
	if err != nil {
		t.Fatal(err)
	}
	tree := New(s, unsigned())
	return pair{t, tree, naiveOf(tree)}
}

// edit applies f to the tree and checks that the tree before is unchanged.
func (p pair) edit(f func(e *Edit) error) *Tree {
	p.t.Helper()
	before, hash := wire.Marshal(p.tree), slices.Clone(p.tree.Hash())
	e := p.tree.Edit()
	if err := f(e); err != nil {
		p.t.Fatal(err)
	}
	next, err := e.Tree()
	if err != nil {
		p.t.Fatal(err)
	}
	if !bytes.Equal(wire.Marshal(p.tree), before) || !bytes.Equal(p.tree.Hash(), hash) {
		p.t.Fatal("an edit changed the tree it came from")
	}
	return next
}

func (p pair) add() pair {
	leaf := unsigned()
	n := p.naive.clone()
	i := n.add(leaf)
	return pair{p.t, p.edit(func(e *Edit) error {
		got, err := e.Add(leaf)
		if got != i {
			p.t.Fatalf("added at %d, want %d", got, i)
		}
		return err
	}), n}
}

func (p pair) update(i wire.LeafIndex) pair {
	leaf := unsigned()
	n := p.naive.clone()
	n.update(i, leaf)
	return pair{p.t, p.edit(func(e *Edit) error { return e.Update(i, leaf) }), n}
}

func (p pair) remove(i wire.LeafIndex) pair {
	n := p.naive.clone()
	n.remove(i)
	return pair{p.t, p.edit(func(e *Edit) error { return e.Remove(i) }), n}
}

func (p pair) commit(i wire.LeafIndex) pair {
	leaf := unsigned()
	leaf.LeafNodeSource = wire.LeafNodeSourceCommit
	n := p.naive.clone()
	var keys [][]byte
	for range n.filteredDirectPath(i) {
		keys = append(keys, key())
	}
	leaf.ParentHash = n.setPath(i, keys)
	n.nodes[NodeOf(i)] = &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
	return pair{p.t, p.edit(func(e *Edit) error {
		hash, err := e.SetPath(i, keys)
		if err != nil {
			return err
		}
		if !bytes.Equal(hash, leaf.ParentHash) {
			p.t.Fatalf("parent hash of leaf %d differs", i)
		}
		return e.SetLeaf(i, leaf)
	}), n}
}

// check compares everything.
func (p pair) check() {
	p.t.Helper()
	if p.tree.Width() != p.naive.width() {
		p.t.Fatalf("width %d, want %d", p.tree.Width(), p.naive.width())
	}
	encoded := p.naive.encode()
	if !bytes.Equal(wire.Marshal(p.tree), encoded) {
		p.t.Fatal("nodes differ")
	}
	members := 0
	for x := range Root(p.tree.Width()) + NodeIndex(p.tree.Width()) {
		if !bytes.Equal(p.tree.NodeHash(x), p.naive.hash(x)) {
			p.t.Fatalf("tree hash of node %d differs", x)
		}
		if got, want := p.tree.Resolution(x), p.naive.resolution(x); !slices.Equal(got, want) {
			p.t.Fatalf("resolution of node %d: %v, want %v", x, got, want)
		}
		if i, leaf := x.Leaf(); leaf {
			if got, want := p.tree.FilteredDirectPath(i), p.naive.filteredDirectPath(i); !slices.Equal(got, want) {
				p.t.Fatalf("filtered direct path of leaf %d: %v, want %v", i, got, want)
			}
			if p.naive.nodes[x] != nil {
				members++
			}
		}
		p.checkIndex(x)
	}
	if p.tree.Size() != members {
		p.t.Fatalf("%d members, want %d", p.tree.Size(), members)
	}
	parsed, err := Parse(p.tree.suite, encoded)
	if err != nil || !bytes.Equal(parsed.Hash(), p.tree.Hash()) {
		p.t.Fatalf("parsed again: %v", err)
	}
	if err := p.tree.VerifySupport(nil); err != nil {
		p.t.Fatal(err)
	}
	if err := p.tree.VerifyParentHashes(); (err == nil) != p.naive.parentHashesValid() {
		p.t.Fatalf("parent hashes: %v, by definition valid: %v", err, err != nil)
	}
}

// checkIndex looks up the keys of node x.
func (p pair) checkIndex(x NodeIndex) {
	p.t.Helper()
	k, ok := p.tree.EncryptionKey(x)
	if ok != (p.naive.nodes[x] != nil) {
		p.t.Fatalf("node %d: blank differs", x)
	}
	if !ok {
		return
	}
	if at, found := p.tree.FindEncryptionKey(k); !found || at != x {
		p.t.Fatalf("node %d: its key is found at %d, %v", x, at, found)
	}
	if i, leaf := x.Leaf(); leaf {
		signer, _ := p.tree.SignatureKey(i)
		if at, found := p.tree.FindSigner(signer); !found || at != i {
			p.t.Fatalf("leaf %d: its signature key is found at %d, %v", i, at, found)
		}
	}
}

// leaves returns the members.
func (p pair) leaves() (list []wire.LeafIndex) {
	for i := range p.tree.Members() {
		list = append(list, i)
	}
	return list
}

// TestAgreesOnEveryShape makes each set of members there can be in trees of up
// to 8 leaves, lets each member commit, adds one, lets another commit, and
// compares every hash, resolution and path with their definitions.
func TestAgreesOnEveryShape(t *testing.T) {
	full := newPair(t)
	for range 7 {
		full = full.add()
	}
	for blanks := range 255 { // every set but that of all eight
		shape := full
		for i := range wire.LeafIndex(8) {
			if blanks>>i&1 == 1 {
				shape = shape.remove(i)
			}
		}
		shape.check()
		leaves := shape.leaves()
		for k, i := range leaves {
			one := shape.commit(i)
			one.check()
			one = one.add()
			one.check()
			other := leaves[(k+1)%len(leaves)]
			one = one.commit(other)
			one.check()
			if len(leaves) > 1 {
				one.update(i).check()
				one.remove(other).check()
			}
		}
	}
}

// TestAgreesOnRandomHistories compares after each step of random histories of
// trees of up to 16 leaves.
func TestAgreesOnRandomHistories(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			p := newPair(t)
			for range 60 {
				leaves := p.leaves()
				i := leaves[random.IntN(len(leaves))]
				switch n := random.IntN(10); {
				case n < 4 && len(leaves) < 16:
					p = p.add()
				case n < 5 && len(leaves) > 1:
					p = p.remove(i)
				case n < 6:
					p = p.update(i)
				default:
					p = p.commit(i)
				}
				p.check()
			}
		})
	}
}

// TestAgreesOnBrokenTrees breaks one node of valid trees in random ways; both
// must find the same of them valid.
func TestAgreesOnBrokenTrees(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 400 {
		p := newPair(t)
		for range 3 + random.IntN(10) {
			if leaves := p.leaves(); random.IntN(2) == 0 {
				p = p.commit(leaves[random.IntN(len(leaves))])
			} else {
				p = p.add()
			}
		}
		broken := p.naive.clone()
		x := NodeIndex(random.IntN(len(broken.nodes)))
		breakNode(random, broken, x)
		if len(broken.nodes) == 0 || !slices.ContainsFunc(broken.nodes, func(n *wire.Node) bool { return n != nil }) {
			continue
		}
		tree, err := Parse(p.tree.suite, broken.encode())
		if err != nil {
			continue // refused for its shape; TestParseRefuses knows why
		}
		got, want := tree.VerifyParentHashes() == nil, naiveOf(tree).parentHashesValid()
		if got != want {
			t.Fatalf("parent hashes of a broken tree: %v, by definition %v", got, want)
		}
		if !want {
			found++
		}
	}
	if found < 20 {
		t.Fatalf("only %d broken trees had invalid parent hashes", found)
	}
}

// breakNode changes one thing about node x.
func breakNode(random *rand.Rand, n *naive, x NodeIndex) {
	node := n.nodes[x]
	switch {
	case node == nil && x&1 == 1:
		n.nodes[x] = &wire.Node{NodeType: wire.NodeTypeParent, ParentNode: &wire.ParentNode{EncryptionKey: key()}}
	case node == nil:
		leaf := unsigned()
		n.nodes[x] = &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
	case node.LeafNode != nil:
		leaf := *node.LeafNode
		leaf.LeafNodeSource, leaf.EncryptionKey = wire.LeafNodeSourceUpdate, key()
		n.nodes[x] = &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
	default:
		switch p := node.ParentNode; random.IntN(4) {
		case 0:
			n.nodes[x] = nil
		case 1:
			p.EncryptionKey = key()
		case 2:
			p.UnmergedLeaves = nil
		case 3:
			p.ParentHash = key()
		}
	}
}
