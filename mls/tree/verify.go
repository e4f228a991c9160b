package tree

import (
	"bytes"
	"fmt"
	"slices"

	"parley/mls/wire"
)

// VerifyParentHashes verifies that every parent node that is not blank has a
// key of the suite and is parent-hash valid (RFC 9420, Section 7.9.2), or
// returns ErrEncryptionKey or ErrParentHash. It
// hashes a node again only where leaves were added below since its parent was
// set, so that it takes some (nodes + unmerged leaves) x log(nodes) steps,
// whatever the tree looks like.
func (t *Tree) VerifyParentHashes() error {
	v := parentVerifier{hasher{suite: t.suite}}
	return v.verify(t.root, t.Root())
}

// A parentVerifier checks from the top down that each parent node has exactly
// one descendant whose parent_hash is its own.
type parentVerifier struct{ hasher hasher }

func (v *parentVerifier) verify(p *node, x NodeIndex) error {
	l, ok := x.Left()
	if !ok || p.members == 0 {
		return nil
	}
	r, _ := x.Right()
	if !p.blank() {
		if err := v.hasher.suite.CheckHPKEPublicKey(p.encryptionKey()); err != nil {
			return fmt.Errorf("node %d: %w: %w", x, ErrEncryptionKey, err)
		}
		left, right := split(p.unmerged(), x)
		valid := 0
		if v.chained(p, side{p.left, l, left}, side{p.right, r, right}) {
			valid++
		}
		if v.chained(p, side{p.right, r, right}, side{p.left, l, left}) {
			valid++
		}
		if valid != 1 {
			return fmt.Errorf("node %d: %d descendants vouch for it: %w", x, valid, ErrParentHash)
		}
	}
	if err := v.verify(p.left, l); err != nil {
		return err
	}
	return v.verify(p.right, r)
}

// A side is one child of a parent node, and those of the parent's unmerged
// leaves that are below it.
type side struct {
	node     *node
	x        NodeIndex
	unmerged []wire.LeafIndex
}

// chained reports whether the resolution of the child c is one node D and the
// unmerged leaves of p below c, and D has the parent hash of p with copath
// child s.
func (v *parentVerifier) chained(p *node, c, s side) bool {
	var d *node
	rest := len(c.unmerged)
	whole := c.node.resolve(c.x, func(y NodeIndex) bool {
		if i, leaf := y.Leaf(); leaf && includes(c.unmerged, i) {
			rest--
			return true
		}
		if d != nil {
			return false // two nodes that are not unmerged: too much
		}
		d = c.node.below(c.x, y)
		return true
	})
	if !whole || rest != 0 || d == nil {
		return false
	}
	parentHash, ok := d.parentHash()
	return ok && bytes.Equal(parentHash, v.hasher.parentHash(p.parentNode(), v.original(s.node, s.x, s.unmerged)))
}

// below returns node y, which is n or below it; n is x.
func (n *node) below(x, y NodeIndex) *node {
	for x != y {
		n, x = n.child(x, y)
	}
	return n
}

// parentHash returns the parent_hash of a node, which a leaf has only if it
// came by a commit.
func (n *node) parentHash() ([]byte, bool) {
	if p := n.parentNode(); p != nil {
		return p.ParentHash, true
	}
	leaf := n.leafNode()
	return leaf.ParentHash, leaf.LeafNodeSource == wire.LeafNodeSourceCommit
}

// original returns the tree hash that n, which is x, had before the leaves in
// without were added: each of them blank and not listed as unmerged (RFC 9420,
// Section 7.9).
func (v *parentVerifier) original(n *node, x NodeIndex, without []wire.LeafIndex) []byte {
	if len(without) == 0 {
		return v.hasher.hash(n, x)
	}
	if i, ok := x.Leaf(); ok {
		return v.hasher.suite.Hash(v.hasher.leafInput(i, nil))
	}
	l, _ := x.Left()
	r, _ := x.Right()
	a, b := split(without, x)
	left, right := v.original(n.left, l, a), v.original(n.right, r, b)
	parent := n.parentNode()
	if parent != nil {
		before := *parent
		before.UnmergedLeaves = slices.Clone(parent.UnmergedLeaves)
		before.UnmergedLeaves = slices.DeleteFunc(before.UnmergedLeaves, func(i wire.LeafIndex) bool {
			return includes(without, i)
		})
		parent = &before
	}
	return v.hasher.suite.Hash(v.hasher.parentInput(parent, left, right))
}
