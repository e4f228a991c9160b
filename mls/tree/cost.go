package tree

import (
	"iter"

	"parley/mls/wire"
)

// Costs iterates over the members with what a commit of theirs would cost: the
// number of secrets that its update path seals, each some 80 bytes to everybody
// and a public-key operation to the committer (RFC 9420, Section 7.6). In a
// tree whose nodes all have keys that is its height. Right after a bulk add it is
// all other members, whoever commits; a commit makes those from elsewhere in the
// tree cheaper. It takes time in proportion to the members.
func (t *Tree) Costs() iter.Seq2[wire.LeafIndex, int] {
	return func(yield func(wire.LeafIndex, int) bool) {
		c := costs{make([]int32, 2*t.width-1), yield}
		c.measure(t.root, t.Root())
		c.below(t.root, t.Root(), 0)
	}
}

// CheapestCommitter returns the first of the members whose commit costs least,
// and that cost, as Costs has it: who should be asked to commit after many were
// added. After the first commit the next costs half, the one after that a
// quarter, and so on. A tree has always a member.
func (t *Tree) CheapestCommitter() (cheapest wire.LeafIndex, cost int) {
	cost = int(t.width)
	for i, c := range t.Costs() {
		if c < cost {
			cheapest, cost = i, c
		}
	}
	return cheapest, cost
}

// costs is one walk over a tree.
type costs struct {
	resolutions []int32 // their sizes, by node
	yield       func(wire.LeafIndex, int) bool
}

// measure counts the resolutions of n, which is x, and of all nodes below.
func (c *costs) measure(n *node, x NodeIndex) int32 {
	if n.members == 0 {
		return 0
	}
	size := int32(1)
	if l, ok := x.Left(); ok {
		r, _ := x.Right()
		size = c.measure(n.left, l) + c.measure(n.right, r)
		if !n.blank() {
			size = 1 + int32(len(n.unmerged()))
		}
	}
	c.resolutions[x] = size
	return size
}

// below yields the members below n, which is x, above which so many secrets are
// sealed.
func (c *costs) below(n *node, x NodeIndex, above int) bool {
	if n.members == 0 {
		return true
	}
	if i, ok := x.Leaf(); ok {
		return c.yield(i, above)
	}
	l, _ := x.Left()
	r, _ := x.Right()
	return c.below(n.left, l, above+int(c.resolutions[r])) && c.below(n.right, r, above+int(c.resolutions[l]))
}
