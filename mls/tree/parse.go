package tree

import (
	"errors"
	"fmt"
	"slices"

	"parley/mls/suite"
	"parley/mls/wire"
)

// Parse reads a tree from the extension ratchet_tree (RFC 9420,
// Section 12.4.3.3). What it returns has the properties that every Tree has,
// and unmerged leaves that are members below their node and are listed all the
// way down (Section 12.4.3.1); signatures and parent hashes are not verified:
// see Verify. The tree does not keep b. Errors are wire.ErrMalformed or one of
// this package.
func Parse(s *suite.Suite, b []byte) (*Tree, error) {
	t, err := parse(s, b)
	if err != nil {
		return nil, fmt.Errorf("parse ratchet tree: %w", err)
	}
	return t, nil
}

func parse(s *suite.Suite, b []byte) (*Tree, error) {
	r := wire.NewReader(b)
	nodes := wire.NewReader(r.Opaque())
	if err := r.Done(); err != nil {
		return nil, err
	}
	e := empty(s).Edit()
	var p plot
	last := false // whether the last node read is not blank
	for nodes.Len() > 0 && nodes.Err() == nil {
		if len(p.nodes) == 2*MaxLeaves-1 {
			return nil, ErrTreeTooLarge
		}
		n, x := p.grow()
		if last = nodes.Bool(); last {
			e.read(nodes, n, x)
		}
	}
	switch {
	case nodes.Err() != nil:
		return nil, nodes.Err()
	case !last:
		return nil, fmt.Errorf("%w: %w", wire.ErrMalformed, wire.ErrTreeEnd)
	}
	e.root, e.width = p.join()
	if err := e.root.count(e.width); err != nil {
		return nil, err
	}
	if err := checkUnmerged(e.root, Root(e.width), nil); err != nil {
		return nil, err
	}
	return e.Tree()
}

// read reads a Node that is not blank into n, which is x.
func (e *Edit) read(r *wire.Reader, n *node, x NodeIndex) {
	want := wire.NodeTypeParent
	_, leaf := x.Leaf()
	if leaf {
		want = wire.NodeTypeLeaf
	}
	if t := wire.NodeType(r.Uint8()); r.Err() == nil && t != want {
		r.Fail(fmt.Errorf("%w: %w: node %d has type %v", wire.ErrMalformed, wire.ErrNodePlace, x, t))
	}
	if leaf {
		var content wire.LeafNode
		before := r.Rest()
		content.Decode(r)
		n.blob = before[:len(before)-r.Len()]
		if r.Err() == nil {
			e.claimLeaf(x, &content, false)
		}
		return
	}
	n.parent = new(wire.ParentNode)
	n.parent.Decode(r)
	if r.Err() == nil {
		e.claimKey(x, n.parent.EncryptionKey)
	}
}

// A plot is where the nodes of a new tree are made.
type plot struct{ nodes []*node }

// grow returns the next node from the left.
func (p *plot) grow() (*node, NodeIndex) {
	n := new(node)
	p.nodes = append(p.nodes, n)
	return n, NodeIndex(len(p.nodes) - 1)
}

// join adds the blank nodes that are missing on the right and links parents to
// their children.
func (p *plot) join() (root *node, width uint32) {
	width = 1
	for 2*int(width)-1 < len(p.nodes) {
		width *= 2
	}
	for len(p.nodes) < 2*int(width)-1 {
		p.grow()
	}
	for i, n := range p.nodes {
		if l, ok := NodeIndex(i).Left(); ok {
			r, _ := NodeIndex(i).Right()
			n.left, n.right = p.nodes[l], p.nodes[r]
		}
	}
	return p.nodes[Root(width)], width
}

// count sets the number of members of all nodes below n.
func (n *node) count(width uint32) error {
	if width == 1 {
		if !n.blank() {
			n.members = 1
		}
		return nil
	}
	if err := errors.Join(n.left.count(width/2), n.right.count(width/2)); err != nil {
		return err
	}
	n.members = n.left.members + n.right.members
	if !n.blank() && n.members == 0 {
		return ErrParentWithoutLeaves
	}
	return nil
}

// checkUnmerged verifies the unmerged leaves of all nodes below n, which is x.
// listed are those that the nearest parent node above lists below x.
func checkUnmerged(n *node, x NodeIndex, listed []wire.LeafIndex) error {
	if i, leaf := x.Leaf(); leaf {
		if len(listed) > 0 && n.blank() {
			return fmt.Errorf("leaf %d: %w", i, ErrUnmergedLeaf)
		}
		return nil
	}
	if !n.blank() {
		own := n.unmerged()
		first, end := x.firstLeaf(), x.firstLeaf()+1<<x.Level()
		if len(own) > 0 && (own[0] < first || own[len(own)-1] >= end) {
			return fmt.Errorf("node %d: %w", x, ErrUnmergedLeaf)
		}
		if !subset(listed, own) {
			return fmt.Errorf("node %d: %w", x, ErrUnmergedSkipped)
		}
		listed = own
	}
	left, right := split(listed, x)
	l, _ := x.Left()
	r, _ := x.Right()
	if err := checkUnmerged(n.left, l, left); err != nil {
		return err
	}
	return checkUnmerged(n.right, r, right)
}

// split divides leaves below x, in increasing order, among its halves.
func split(leaves []wire.LeafIndex, x NodeIndex) (left, right []wire.LeafIndex) {
	at, _ := slices.BinarySearch(leaves, x.middle())
	return leaves[:at], leaves[at:]
}

// subset reports whether all of a are in b, both in increasing order.
func subset(a, b []wire.LeafIndex) bool {
	for _, i := range a {
		at, found := slices.BinarySearch(b, i)
		if !found {
			return false
		}
		b = b[at+1:]
	}
	return true
}

// Encode writes the tree as the extension ratchet_tree (RFC 9420,
// Section 12.4.3.3): wire.Marshal(t) is its extension_data.
func (t *Tree) Encode(w *wire.Writer) {
	last := t.lastNode()
	w.Vector(func(w *wire.Writer) { t.root.encode(w, t.Root(), last) })
}

// lastNode returns the rightmost node that is not blank.
func (t *Tree) lastNode() (last NodeIndex) {
	n, x := t.root, t.Root()
	for x.Level() > 0 {
		half := NodeIndex(1) << (x.Level() - 1)
		switch {
		case n.right.members > 0:
			n, x = n.right, x+half
		case !n.blank():
			return x
		default:
			n, x = n.left, x-half
		}
	}
	return x
}

// encode writes the nodes below n, which is x, up to last.
func (n *node) encode(w *wire.Writer, x, last NodeIndex) {
	if NodeOf(x.firstLeaf()) > last {
		return
	}
	if l, ok := x.Left(); ok {
		n.left.encode(w, l, last)
	}
	if x > last {
		return
	}
	w.Bool(!n.blank())
	if leaf := n.leaf(); leaf != nil {
		w.Uint8(uint8(wire.NodeTypeLeaf))
		w.Raw(leaf)
	} else if p := n.parentNode(); p != nil {
		w.Uint8(uint8(wire.NodeTypeParent))
		p.Encode(w)
	}
	if r, ok := x.Right(); ok {
		n.right.encode(w, r, last)
	}
}
