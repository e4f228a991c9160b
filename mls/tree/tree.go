package tree

import (
	"bytes"
	"hash/maphash"
	"iter"

	"parley/mls/suite"
	"parley/mls/wire"
)

// MaxLeaves bounds the width of a tree: more than twice the members a room is
// designed for. What would make a wider one is refused with ErrTreeTooLarge.
const MaxLeaves = 1 << 17

// A Tree is a ratchet tree (RFC 9420, Section 7): the members of one epoch and
// the public keys of the subgroups they form. It is immutable and safe for use
// by many goroutines; Edit makes the next one. In every Tree the encryption
// keys of all nodes differ, the signature keys of all members differ, and no
// parent node has a key without a member below it.
//
// Slices that methods return belong to the tree and must not be changed.
type Tree struct {
	suite   *suite.Suite
	root    *node
	width   uint32 // leaves, blank ones included; a power of two
	seed    maphash.Seed
	keys    trie // hash of an encryption key -> node
	signers trie // hash of a signature key -> leaf
	support census
}

// New returns the tree of a group of one: leaf at index 0.
func New(s *suite.Suite, leaf wire.LeafNode) *Tree {
	e := empty(s).Edit()
	if _, err := e.Add(leaf); err != nil {
		panic("BUG: no room for the first leaf")
	}
	t, err := e.Tree()
	if err != nil {
		panic("BUG: one leaf has two keys: " + err.Error())
	}
	return t
}

// empty returns a tree of one blank leaf, which is not the tree of any group.
func empty(s *suite.Suite) *Tree {
	return &Tree{suite: s, root: &node{}, width: 1, seed: maphash.MakeSeed()}
}

// Suite returns the cipher suite of the tree.
func (t *Tree) Suite() *suite.Suite { return t.suite }

// Hash returns the tree hash of the root (RFC 9420, Section 7.8).
func (t *Tree) Hash() []byte { return t.NodeHash(t.Root()) }

// NodeHash returns the tree hash of node x, nil if there is no such node.
func (t *Tree) NodeHash(x NodeIndex) []byte {
	if n := t.node(x); n != nil {
		h := hasher{suite: t.suite}
		return h.hash(n, x)
	}
	return nil
}

// Width returns the number of leaves, blank ones included: a power of two.
func (t *Tree) Width() uint32 { return t.width }

// Root returns the index of the root.
func (t *Tree) Root() NodeIndex { return Root(t.width) }

// Size returns the number of members.
func (t *Tree) Size() int { return int(t.root.members) }

// node returns node x, nil if the tree has none.
func (t *Tree) node(x NodeIndex) *node {
	if uint64(x) >= 2*uint64(t.width)-1 {
		return nil
	}
	return t.root.at(x, t.width)
}

// Leaf decodes the leaf node of member i; false if there is no such member.
func (t *Tree) Leaf(i wire.LeafIndex) (wire.LeafNode, bool) {
	if b, ok := t.LeafBytes(i); ok {
		return leafNode(b), true
	}
	return wire.LeafNode{}, false
}

// LeafBytes returns the encoded leaf node of member i; false if there is no
// such member.
func (t *Tree) LeafBytes(i wire.LeafIndex) ([]byte, bool) {
	if uint32(i) >= t.width {
		return nil, false
	}
	leaf := t.node(NodeOf(i)).leaf()
	return leaf, leaf != nil
}

// SignatureKey returns the signature key of member i without decoding more
// than that; false if there is no such member.
func (t *Tree) SignatureKey(i wire.LeafIndex) ([]byte, bool) {
	b, ok := t.LeafBytes(i)
	if !ok {
		return nil, false
	}
	return signatureKey(b), true
}

// ParentNode returns the content of parent node x; false if it is blank or no
// parent node of the tree.
func (t *Tree) ParentNode(x NodeIndex) (wire.ParentNode, bool) {
	if n := t.node(x); n != nil && n.left != nil && !n.blank() {
		return *n.parentNode(), true
	}
	return wire.ParentNode{}, false
}

// EncryptionKey returns the HPKE public key of node x; false if it is blank or
// no node of the tree.
func (t *Tree) EncryptionKey(x NodeIndex) ([]byte, bool) {
	if n := t.node(x); n != nil && !n.blank() {
		return n.encryptionKey(), true
	}
	return nil, false
}

// Members iterates over the members in the order of their leaves, with their
// encoded leaf nodes.
func (t *Tree) Members() iter.Seq2[wire.LeafIndex, []byte] {
	return func(yield func(wire.LeafIndex, []byte) bool) {
		t.root.eachMember(t.Root(), yield)
	}
}

// eachMember iterates over the members below n, which is x, until yield returns
// false.
func (n *node) eachMember(x NodeIndex, yield func(wire.LeafIndex, []byte) bool) bool {
	if n.members == 0 {
		return true
	}
	if i, ok := x.Leaf(); ok {
		return yield(i, n.leaf())
	}
	l, _ := x.Left()
	r, _ := x.Right()
	return n.left.eachMember(l, yield) && n.right.eachMember(r, yield)
}

// FindSigner returns the member that signs with key.
func (t *Tree) FindSigner(key []byte) (i wire.LeafIndex, found bool) {
	t.signers.each(keyHash(t.seed, key), func(lo uint32) bool {
		i = wire.LeafIndex(lo)
		found = bytes.Equal(t.node(NodeOf(i)).signatureKey(), key)
		return !found
	})
	return i, found
}

// FindEncryptionKey returns the node that has key.
func (t *Tree) FindEncryptionKey(key []byte) (x NodeIndex, found bool) {
	t.keys.each(keyHash(t.seed, key), func(lo uint32) bool {
		x = NodeIndex(lo)
		found = t.node(x).sameKey(key)
		return !found
	})
	return x, found
}

// keyHash is under what a key stands in an index, where others may stand too. Its
// seed is random, so that nobody can make keys that share one; a tree and those
// edited from it have the same.
func keyHash(seed maphash.Seed, key []byte) uint32 { return uint32(maphash.Bytes(seed, key)) }
