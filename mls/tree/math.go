package tree

import (
	"math/bits"

	"parley/mls/wire"
)

// A NodeIndex numbers the nodes of a tree from left to right, leaves and
// parents in turn, as in the array of RFC 9420, Appendix C. Leaf i is node 2i.
// Trees are full: they have a power of two of leaves, which the functions here
// call width.
type NodeIndex uint32

// NodeOf returns the node of leaf i.
func NodeOf(i wire.LeafIndex) NodeIndex { return NodeIndex(i) << 1 }

// Leaf returns which leaf x is, if it is one.
func (x NodeIndex) Leaf() (wire.LeafIndex, bool) { return wire.LeafIndex(x >> 1), x&1 == 0 }

// Level returns the height of x above the leaves.
func (x NodeIndex) Level() int { return bits.TrailingZeros32(^uint32(x)) }

// Left returns the left child of a parent.
func (x NodeIndex) Left() (NodeIndex, bool) {
	k := x.Level()
	if k == 0 {
		return 0, false
	}
	return x ^ 1<<(k-1), true
}

// Right returns the right child of a parent.
func (x NodeIndex) Right() (NodeIndex, bool) {
	k := x.Level()
	if k == 0 {
		return 0, false
	}
	return x ^ 3<<(k-1), true
}

// Contains reports whether y is x or below it.
func (x NodeIndex) Contains(y NodeIndex) bool {
	k := x.Level()
	return y.Level() <= k && x>>(k+1) == y>>(k+1)
}

// firstLeaf returns the leftmost leaf under x.
func (x NodeIndex) firstLeaf() wire.LeafIndex {
	return wire.LeafIndex(x-(1<<x.Level()-1)) >> 1
}

// middle returns the leftmost leaf of the right half of a parent.
func (x NodeIndex) middle() wire.LeafIndex { return wire.LeafIndex(x>>1) + 1 }

// Root returns the root of a tree of that width.
func Root(width uint32) NodeIndex { return NodeIndex(width - 1) }

// Parent returns the parent of x, which the root has not.
func Parent(x NodeIndex, width uint32) (NodeIndex, bool) {
	if x >= 2*NodeIndex(width)-1 || x == Root(width) {
		return 0, false
	}
	k := x.Level()
	return (x | 1<<k) &^ (1 << (k + 1)), true
}

// Sibling returns the other child of x's parent.
func Sibling(x NodeIndex, width uint32) (NodeIndex, bool) {
	if _, ok := Parent(x, width); !ok {
		return 0, false
	}
	return x ^ 2<<x.Level(), true
}

// DirectPath returns the ancestors of x from its parent to the root.
func DirectPath(x NodeIndex, width uint32) []NodeIndex {
	var path []NodeIndex
	for p, ok := Parent(x, width); ok; p, ok = Parent(p, width) {
		path = append(path, p)
	}
	return path
}

// Copath returns the siblings of x and of its ancestors below the root, from
// the bottom up: the i-th is a child of the i-th node of the direct path.
func Copath(x NodeIndex, width uint32) []NodeIndex {
	var copath []NodeIndex
	for {
		s, ok := Sibling(x, width)
		if !ok {
			return copath
		}
		copath = append(copath, s)
		x, _ = Parent(x, width)
	}
}

// CommonAncestor returns the lowest node that contains x and y.
func CommonAncestor(x, y NodeIndex) NodeIndex {
	for !x.Contains(y) {
		k := x.Level()
		x = (x | 1<<k) &^ (1 << (k + 1))
	}
	return x
}
