package tree

import (
	"bytes"
	"iter"
	"slices"
)

// Diff iterates over the nodes that have other content of their own in t than
// in old; blank nodes and such as are not there count the same. With a nil old
// these are all nodes that are not blank. It looks only where the two trees do
// not share their nodes: at as many as what lies between them has changed.
func (t *Tree) Diff(old *Tree) iter.Seq[NodeIndex] {
	return func(yield func(NodeIndex) bool) {
		if old == nil {
			old = &Tree{width: 1}
		}
		width := max(t.width, old.width)
		diff(t.top(width), old.top(width), Root(width), yield)
	}
}

// top returns the root of t in a tree of that width, at least its own: blank
// nodes above it, nil right of it.
func (t *Tree) top(width uint32) *node {
	n := t.root
	for w := t.width; w < width; w *= 2 {
		n = &node{left: n}
	}
	return n
}

// diff iterates over the nodes below x that differ between a and b, nil being
// blank all the way down.
func diff(a, b *node, x NodeIndex, yield func(NodeIndex) bool) bool {
	if a == b {
		return true
	}
	if a == nil {
		a = &node{}
	}
	if b == nil {
		b = &node{}
	}
	if !a.sameContent(b) && !yield(x) {
		return false
	}
	l, parent := x.Left()
	if !parent {
		return true
	}
	r, _ := x.Right()
	return diff(a.left, b.left, l, yield) && diff(a.right, b.right, r, yield)
}

// sameContent reports whether two nodes say the same, whatever is below them.
func (n *node) sameContent(m *node) bool {
	if n.blank() || m.blank() {
		return n.blank() == m.blank()
	}
	return bytes.Equal(n.content(), m.content()) && slices.Equal(n.unmerged(), m.unmerged())
}
