package tree

import (
	"bytes"
	"math/bits"
	"slices"
	"testing"

	"parley/mls/wire"
)

// A shape is what a tree looks like without its keys: which leaves are members,
// and which are unmerged at each parent node; blank parents are not in it. It
// says in a few lines of sets what RFC 9420, Sections 7.4, 7.7 and 12.1 say of
// trees.
type shape struct {
	width    int
	members  uint16
	unmerged [15]int32 // by node, of which only the odd ones count; -1 is blank
}

// loneShape is that of a group of one.
func loneShape() shape {
	s := shape{width: 1, members: 1}
	for x := range s.unmerged {
		s.unmerged[x] = -1
	}
	return s
}

// shapeOf reads the shape of a tree of at most 8 leaves.
func shapeOf(t *Tree) shape {
	s := loneShape()
	s.width, s.members = int(t.Width()), 0
	for i := range t.Members() {
		s.members |= 1 << i
	}
	for x := NodeIndex(1); x < NodeIndex(2*s.width-1); x += 2 {
		if p, ok := t.ParentNode(x); ok {
			s.unmerged[x] = 0
			for _, i := range p.UnmergedLeaves {
				s.unmerged[x] |= 1 << i
			}
		}
	}
	return s
}

// below is the set of leaves under x.
func below(x NodeIndex) uint16 {
	return (1<<(1<<x.Level()) - 1) << x.firstLeaf()
}

// above iterates over the parents of leaf i.
func (s *shape) above(i int, visit func(x NodeIndex)) {
	for x := NodeIndex(1); x < NodeIndex(2*s.width-1); x += 2 {
		if below(x)>>i&1 == 1 {
			visit(x)
		}
	}
}

// add is an Add; false if the tree would be wider than limit.
func (s shape) add(limit int) (shape, bool) {
	i := bits.TrailingZeros16(^s.members)
	if i == s.width {
		s.width *= 2
	}
	if s.width > limit {
		return s, false
	}
	s.members |= 1 << i
	s.above(i, func(x NodeIndex) {
		if s.unmerged[x] >= 0 {
			s.unmerged[x] |= 1 << i
		}
	})
	return s, true
}

// update is an Update of leaf i.
func (s shape) update(i int) shape {
	s.above(i, func(x NodeIndex) { s.unmerged[x] = -1 })
	return s
}

// remove is a Remove of leaf i, which is not the last member.
func (s shape) remove(i int) shape {
	s = s.update(i)
	s.members &^= 1 << i
	for s.members>>(s.width/2) == 0 {
		s.unmerged[s.width-1] = -1
		s.width /= 2
	}
	return s
}

// commit is an update path of leaf i.
func (s shape) commit(i int) shape {
	s.above(i, func(x NodeIndex) {
		copath, _ := x.Left()
		if below(copath)>>i&1 == 1 {
			copath, _ = x.Right()
		}
		s.unmerged[x] = -1
		if s.members&below(copath) != 0 {
			s.unmerged[x] = 0
		}
	})
	return s
}

// A shapes is all shapes that were met, and the trees that are still to be
// taken further.
type shapes struct {
	met   map[shape]struct{}
	queue []pair
}

// meet checks a tree of a shape not met before.
func (l *shapes) meet(s shape, made func() pair) {
	if _, twice := l.met[s]; twice {
		return
	}
	l.met[s] = struct{}{}
	p := made()
	if got := shapeOf(p.tree); got != s {
		p.t.Fatalf("shape %+v, want %+v", got, s)
	}
	p.check()
	l.queue = append(l.queue, p)
}

// TestAgreesOnEveryReachableShape meets every shape of up to 8 leaves that any
// sequence of proposals and commits can make, with every set of unmerged leaves,
// and compares all hashes, resolutions and paths with their definitions.
func TestAgreesOnEveryReachableShape(t *testing.T) {
	const limit = 8
	l := shapes{met: make(map[shape]struct{})}
	l.meet(loneShape(), func() pair { return newPair(t) })
	for len(l.queue) > 0 {
		p := l.queue[0]
		l.queue = l.queue[1:]
		s := shapeOf(p.tree)
		if next, ok := s.add(limit); ok {
			l.meet(next, p.add)
		}
		for i := range wire.LeafIndex(s.width) {
			if s.members>>i&1 == 0 {
				continue
			}
			l.meet(s.update(int(i)), func() pair { return p.update(i) })
			l.meet(s.commit(int(i)), func() pair { return p.commit(i) })
			if s.members != 1<<i {
				l.meet(s.remove(int(i)), func() pair { return p.remove(i) })
			}
		}
	}
	if len(l.met) != 8354 {
		t.Errorf("%d shapes, want 8,354: as many as an independent count of the sets", len(l.met))
	}
}

// A reference computes what a tree without parent keys must look like, each
// subtree once: the tree hash of a subtree depends on its place and members
// only.
type reference struct {
	*naive // all leaves are members
	hashes map[[2]uint32][]byte
}

// hash is the tree hash of x if members are those below it.
func (r *reference) hash(x NodeIndex, members uint16) []byte {
	key := [2]uint32{uint32(x), uint32(members & below(x))}
	if h, ok := r.hashes[key]; ok {
		return h
	}
	one := &naive{suite: r.suite, nodes: slices.Clone(r.nodes)}
	for i := range wire.LeafIndex(16) {
		if members>>i&1 == 0 {
			one.nodes[NodeOf(i)] = nil
		}
	}
	h := one.nodeHash(x, func(y NodeIndex) []byte { return r.hash(y, members) })
	r.hashes[key] = h
	return h
}

// check compares a tree of these members.
func (r *reference) check(t *testing.T, tree *Tree, members uint16) {
	t.Helper()
	width := 1
	for members>>width != 0 {
		width *= 2
	}
	if int(tree.Width()) != width || tree.Size() != bits.OnesCount16(members) {
		t.Fatalf("members %016b: width %d, size %d", members, tree.Width(), tree.Size())
	}
	for x := range NodeIndex(2*width - 1) {
		if !bytes.Equal(tree.NodeHash(x), r.hash(x, members)) {
			t.Fatalf("members %016b: tree hash of node %d differs", members, x)
		}
		var resolution []NodeIndex
		for set := members & below(x); set != 0; set &= set - 1 {
			resolution = append(resolution, NodeIndex(2*bits.TrailingZeros16(set)))
		}
		if got := tree.Resolution(x); !slices.Equal(got, resolution) {
			t.Fatalf("members %016b: resolution of node %d: %v, want %v", members, x, got, resolution)
		}
		if i, leaf := x.Leaf(); leaf {
			r.checkPath(t, tree, i, members)
		}
	}
}

// checkPath compares the filtered direct path of leaf i.
func (r *reference) checkPath(t *testing.T, tree *Tree, i wire.LeafIndex, members uint16) {
	t.Helper()
	var steps []Step
	for x, ok := Parent(NodeOf(i), tree.Width()); ok; x, ok = Parent(x, tree.Width()) {
		copath, _ := x.Left()
		if copath.Contains(NodeOf(i)) {
			copath, _ = x.Right()
		}
		if members&below(copath) != 0 {
			steps = append(steps, Step{x, copath})
		}
	}
	if got := tree.FilteredDirectPath(i); !slices.Equal(got, steps) {
		t.Fatalf("members %016b: filtered direct path of leaf %d: %v, want %v", members, i, got, steps)
	}
}

// TestAgreesOnEvery16Leaves removes every set of members from a tree of 16, all
// 65,535 that leave somebody, and compares every hash, resolution and path.
func TestAgreesOnEvery16Leaves(t *testing.T) {
	full := newPair(t)
	for range 15 {
		full = full.add()
	}
	r := &reference{full.naive, make(map[[2]uint32][]byte)}
	checked := 0
	var descend func(tree *Tree, members uint16, next wire.LeafIndex)
	descend = func(tree *Tree, members uint16, next wire.LeafIndex) {
		r.check(t, tree, members)
		checked++
		for i := next; i < 16; i++ {
			if members == 1<<i {
				continue // somebody stays
			}
			e := tree.Edit()
			if err := e.Remove(i); err != nil {
				t.Fatal(err)
			}
			smaller, err := e.Tree()
			if err != nil {
				t.Fatal(err)
			}
			descend(smaller, members&^(1<<i), i+1)
		}
	}
	descend(full.tree, 1<<16-1, 0)
	if checked != 1<<16-1 {
		t.Errorf("%d sets of members", checked)
	}
}

// TestAgreesOnPaths16 takes every 61st set of members of a tree of 16 whose
// parent nodes are set as far as a history leaves them, and lets somebody commit,
// somebody come and somebody else commit: parent nodes, parent hashes and
// unmerged leaves in trees of that size.
func TestAgreesOnPaths16(t *testing.T) {
	full := newPair(t)
	for range 15 {
		full = full.add()
	}
	for i := range wire.LeafIndex(16) {
		full = full.commit(15 - i)
	}
	full.check()
	for blanks := 0; blanks < 1<<16-1; blanks += 61 {
		p := full
		for i := range wire.LeafIndex(16) {
			if blanks>>i&1 == 1 {
				p = p.remove(i)
			}
		}
		p.check()
		leaves := p.leaves()
		a, b := leaves[blanks%len(leaves)], leaves[(blanks/7+1)%len(leaves)]
		p = p.commit(a)
		if p.tree.Size() < 16 {
			p = p.add()
		}
		p.check()
		p = p.commit(b).update(a)
		p.check()
	}
}
