package tree

import (
	"slices"

	"parley/mls/wire"
)

// A Step is one parent node of a filtered direct path, and its child on the
// copath: the new secret of Parent is encrypted to the resolution of Copath.
type Step struct{ Parent, Copath NodeIndex }

// FilteredDirectPath returns the direct path of leaf i, from the bottom up,
// without the nodes whose copath child has an empty resolution (RFC 9420,
// Section 4.1.2). The leaf may be blank; it must be within the tree.
func (t *Tree) FilteredDirectPath(i wire.LeafIndex) []Step {
	if uint32(i) >= t.width {
		return nil
	}
	return filteredPath(t.root, t.Root(), NodeOf(i))
}

// filteredPath returns the steps from n, which is x, down to leaf, in reverse.
// A resolution is empty exactly where there are no members.
func filteredPath(n *node, x, leaf NodeIndex) []Step {
	steps := make([]Step, 0, x.Level())
	for x != leaf {
		below, y := n.child(x, leaf)
		sibling, s := n.right, y^2<<y.Level()
		if below == n.right {
			sibling = n.left
		}
		if sibling.members > 0 {
			steps = append(steps, Step{Parent: x, Copath: s})
		}
		n, x = below, y
	}
	slices.Reverse(steps)
	return steps
}

// Resolution returns the resolution of node x: the nodes that together cover
// its members (RFC 9420, Section 4.1.1), without the leaves in excluding,
// which must be in increasing order: those that a commit adds.
func (t *Tree) Resolution(x NodeIndex, excluding ...wire.LeafIndex) []NodeIndex {
	n := t.node(x)
	if n == nil {
		return nil
	}
	var list []NodeIndex
	n.resolve(x, func(y NodeIndex) bool {
		if i, leaf := y.Leaf(); !leaf || !includes(excluding, i) {
			list = append(list, y)
		}
		return true
	})
	return list
}

// resolve calls yield with each node of the resolution of n, which is x, until
// it returns false.
func (n *node) resolve(x NodeIndex, yield func(NodeIndex) bool) bool {
	switch {
	case n.members == 0:
		return true
	case !n.blank():
		if !yield(x) {
			return false
		}
		for _, i := range n.unmerged() {
			if !yield(NodeOf(i)) {
				return false
			}
		}
		return true
	}
	l, _ := x.Left()
	r, _ := x.Right()
	return n.left.resolve(l, yield) && n.right.resolve(r, yield)
}

// includes reports whether i is in a list in increasing order.
func includes(list []wire.LeafIndex, i wire.LeafIndex) bool {
	_, found := slices.BinarySearch(list, i)
	return found
}
