package tree

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"

	"parley/mls/wire"
)

// An Edit is a draft of the next tree. It copies the nodes it changes and
// leaves the tree it came from as it is. Its methods apply what Section 12.1 of
// RFC 9420 says a proposal does; whether that is allowed is not asked here. An
// Edit belongs to one caller.
type Edit struct {
	root    *node
	width   uint32
	seed    maphash.Seed
	keys    trie
	signers trie
	support census
	hasher  hasher
	owner   *token
	// lists are the parent nodes that this Edit made, so that it may add to
	// their unmerged leaves in place.
	lists map[*wire.ParentNode]struct{}
	// touched are the nodes with a new key whose hash was taken: once the draft
	// is done, that key must prove to be unique.
	touched []NodeIndex
}

// Edit returns a draft that equals t.
func (t *Tree) Edit() *Edit {
	return &Edit{
		root: t.root, width: t.width, seed: t.seed,
		keys: t.keys, signers: t.signers, support: t.support,
		hasher: hasher{suite: t.suite}, owner: new(token),
	}
}

// Tree returns the draft as a tree, with the hashes of what has changed. It
// fails with ErrDuplicateEncryptionKey or ErrDuplicateSignatureKey if a key is
// not unique. The Edit may be continued: the tree does not change.
func (e *Edit) Tree() (*Tree, error) {
	if err := e.checkUnique(); err != nil {
		return nil, err
	}
	e.hasher.hash(e.root, Root(e.width))
	e.owner, e.lists, e.touched = new(token), nil, nil
	return &Tree{
		suite: e.hasher.suite, root: e.root, width: e.width, seed: e.seed,
		keys: e.keys, signers: e.signers, support: e.support,
	}, nil
}

// checkUnique looks up the keys that are new.
func (e *Edit) checkUnique() error {
	for _, x := range e.touched {
		if x >= 2*NodeIndex(e.width)-1 {
			continue // truncated since
		}
		n := e.root.at(x, e.width)
		if key := n.encryptionKey(); key != nil && e.nodesWith(key) > 1 {
			return fmt.Errorf("node %d: %w", x, ErrDuplicateEncryptionKey)
		}
		if key := n.signatureKey(); key != nil && e.signersWith(key) > 1 {
			return fmt.Errorf("node %d: %w", x, ErrDuplicateSignatureKey)
		}
	}
	return nil
}

// nodesWith counts the nodes with that encryption key.
func (e *Edit) nodesWith(key []byte) (n int) {
	e.keys.each(keyHash(e.seed, key), func(lo uint32) bool {
		if e.root.at(NodeIndex(lo), e.width).sameKey(key) {
			n++
		}
		return true
	})
	return n
}

// signersWith counts the members with that signature key.
func (e *Edit) signersWith(key []byte) (n int) {
	e.signers.each(keyHash(e.seed, key), func(lo uint32) bool {
		if string(e.root.at(NodeOf(wire.LeafIndex(lo)), e.width).signatureKey()) == string(key) {
			n++
		}
		return true
	})
	return n
}

// draft returns the node that p points to as one that may be changed.
func draft(p **node) *node {
	if n := *p; n.sealed {
		*p = n.draft()
	}
	return *p
}

// walk calls visit with every node from the root to leaf x, as drafts; path
// lengths are the height of the tree.
func (e *Edit) walk(leaf NodeIndex, visit func(n *node, x NodeIndex)) {
	p, x := &e.root, Root(e.width)
	for {
		n := draft(p)
		visit(n, x)
		if x == leaf {
			return
		}
		if leaf < x {
			p, x = &n.left, x-(1<<(x.Level()-1))
		} else {
			p, x = &n.right, x+(1<<(x.Level()-1))
		}
	}
}

// blankParent makes n, which is x, a blank parent node.
func (e *Edit) blankParent(n *node, x NodeIndex) {
	if n.parent != nil {
		e.keys = e.keys.remove(e.owner, keyHash(e.seed, n.parent.EncryptionKey), uint32(x))
		n.parent = nil
	}
}

// setParent gives n, which is x, new content.
func (e *Edit) setParent(n *node, x NodeIndex, p *wire.ParentNode) {
	e.blankParent(n, x)
	n.parent = p
	e.claimKey(x, p.EncryptionKey)
}

// claimKey enters the encryption key of x into the index.
func (e *Edit) claimKey(x NodeIndex, key []byte) {
	h := keyHash(e.seed, key)
	if e.keys.has(h) {
		e.touched = append(e.touched, x)
	}
	e.keys = e.keys.put(e.owner, h, uint32(x))
}

// setLeaf replaces the content of leaf n, which is x; nil makes it blank.
func (e *Edit) setLeaf(n *node, x NodeIndex, leaf *wire.LeafNode) {
	i, _ := x.Leaf()
	counted := !n.blank() // whether the census has the traits of leaf
	if counted {
		e.keys = e.keys.remove(e.owner, keyHash(e.seed, n.encryptionKey()), uint32(x))
		e.signers = e.signers.remove(e.owner, keyHash(e.seed, n.signatureKey()), uint32(i))
		old := n.leafNode()
		if leaf == nil || !sameTraits(&old, leaf) {
			e.support = e.support.add(e.owner, &old, -1)
			counted = false
		}
	}
	n.blob = nil
	if leaf != nil {
		e.hasher.input = wire.Append(e.hasher.input[:0], leaf)
		n.blob = bytes.Clone(e.hasher.input)
		e.claimLeaf(x, leaf, counted)
	}
}

// claimLeaf enters a leaf node at x into the indices, and into the census
// unless its traits are counted already.
func (e *Edit) claimLeaf(x NodeIndex, leaf *wire.LeafNode, counted bool) {
	i, _ := x.Leaf()
	h := keyHash(e.seed, leaf.SignatureKey)
	if e.signers.has(h) {
		e.touched = append(e.touched, x)
	}
	e.signers = e.signers.put(e.owner, h, uint32(i))
	e.claimKey(x, leaf.EncryptionKey)
	if !counted {
		e.support = e.support.add(e.owner, leaf, +1)
	}
}

// member reports whether i is a member in the draft.
func (e *Edit) member(i wire.LeafIndex) bool {
	return uint32(i) < e.width && !e.root.at(NodeOf(i), e.width).blank()
}

// Add puts a new member into the leftmost blank leaf, doubling the tree if
// there is none, and lists it as unmerged above (RFC 9420, Section 12.1.1). It
// returns where the member is, or ErrTreeTooLarge.
func (e *Edit) Add(leaf wire.LeafNode) (wire.LeafIndex, error) {
	i, err := e.Vacant()
	if err != nil {
		return 0, err
	}
	e.walk(NodeOf(i), func(n *node, x NodeIndex) {
		n.members++
		if n.parent != nil {
			e.addUnmerged(n, i)
		}
		if x == NodeOf(i) {
			e.setLeaf(n, x, &leaf)
		}
	})
	return i, nil
}

// leftmostBlank returns the first leaf without a member, which there is.
func (e *Edit) leftmostBlank() wire.LeafIndex {
	n, x := e.root, Root(e.width)
	for x.Level() > 0 {
		half := NodeIndex(1) << (x.Level() - 1)
		if n.left.members < uint32(half) {
			n, x = n.left, x-half
		} else {
			n, x = n.right, x+half
		}
	}
	i, _ := x.Leaf()
	return i
}

// extend doubles the tree: a blank root over it and a blank right half
// (RFC 9420, Section 7.7).
func (e *Edit) extend() {
	e.root = &node{left: e.root, right: blankTree(Root(e.width).Level()), members: e.root.members}
	e.width *= 2
}

// blankTree returns a tree of blank nodes of that height.
func blankTree(level int) *node {
	if level == 0 {
		return &node{}
	}
	return &node{left: blankTree(level - 1), right: blankTree(level - 1)}
}

// addUnmerged lists leaf i in the parent node n.
func (e *Edit) addUnmerged(n *node, i wire.LeafIndex) {
	p := n.parent
	if _, ours := e.lists[p]; !ours {
		c := *p
		c.UnmergedLeaves = slices.Clone(p.UnmergedLeaves)
		p = &c
		if e.lists == nil {
			e.lists = make(map[*wire.ParentNode]struct{})
		}
		e.lists[p] = struct{}{}
	}
	at, _ := slices.BinarySearch(p.UnmergedLeaves, i)
	p.UnmergedLeaves = slices.Insert(p.UnmergedLeaves, at, i)
	n.parent = p
}

// Update replaces the leaf node of member i and blanks the nodes above it
// (RFC 9420, Section 12.1.2). It fails with ErrBlankLeaf.
func (e *Edit) Update(i wire.LeafIndex, leaf wire.LeafNode) error {
	if !e.member(i) {
		return fmt.Errorf("update leaf %d: %w", i, ErrBlankLeaf)
	}
	e.walk(NodeOf(i), func(n *node, x NodeIndex) {
		e.blankParent(n, x)
		if x == NodeOf(i) {
			e.setLeaf(n, x, &leaf)
		}
	})
	return nil
}

// Remove blanks leaf i and the nodes above it, and halves the tree while its
// right half is empty (RFC 9420, Section 12.1.3). It fails with ErrBlankLeaf.
func (e *Edit) Remove(i wire.LeafIndex) error {
	if !e.member(i) {
		return fmt.Errorf("remove leaf %d: %w", i, ErrBlankLeaf)
	}
	e.walk(NodeOf(i), func(n *node, x NodeIndex) {
		n.members--
		e.blankParent(n, x)
		if x == NodeOf(i) {
			e.setLeaf(n, x, nil)
		}
	})
	for e.width > 1 && e.root.right.members == 0 {
		e.blankParent(draft(&e.root), Root(e.width))
		e.root = e.root.left
		e.width /= 2
	}
	return nil
}
