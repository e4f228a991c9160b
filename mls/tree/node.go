package tree

import (
	"bytes"
	"slices"

	"parley/mls/wire"
)

// A node is a leaf or parent node with all below it. Once it has its tree hash
// it never changes again and may be shared by any number of trees; without one
// it is a draft of a single Edit.
//
// There are twice as many as members, of which one member holds all: so a node
// has its hash and content in one piece of memory of just that size, only a
// parent node with unmerged leaves, or a draft, is kept decoded, and the hash of
// a leaf is computed when it is asked for.
type node struct {
	left, right *node // nil for a leaf
	// blob of a leaf is the encoded LeafNode. That of a parent node is its tree
	// hash (RFC 9420, Section 7.8), encryption_key and parent_hash; a draft has
	// none yet. What is blank has no content.
	blob    []byte
	parent  *wire.ParentNode // see above
	members uint32           // leaves below that are not blank
	key     uint32           // the length of encryption_key in blob
	hashed  uint8            // the length of the hash in blob
	sealed  bool             // this is no draft
}

// content returns what is behind the hash.
func (n *node) content() []byte { return n.blob[n.hashed:len(n.blob):len(n.blob)] }

// leaf returns the encoded LeafNode, nil for a blank leaf and for a parent.
func (n *node) leaf() []byte {
	if n.left != nil || len(n.blob) == 0 {
		return nil
	}
	return n.content()
}

// blank reports whether n has no content of its own.
func (n *node) blank() bool { return n.parent == nil && len(n.blob) == int(n.hashed) }

// parentNode returns the content of a parent node, nil for a leaf and a blank
// parent. It must not be changed.
func (n *node) parentNode() *wire.ParentNode {
	if n.parent != nil || n.left == nil || n.blank() {
		return n.parent
	}
	content := n.content()
	return &wire.ParentNode{EncryptionKey: content[:n.key:n.key], ParentHash: content[n.key:]}
}

// unmerged returns the unmerged leaves of n.
func (n *node) unmerged() []wire.LeafIndex {
	if n.parent == nil {
		return nil
	}
	return n.parent.UnmergedLeaves
}

// draft returns a copy of n that may be changed.
func (n *node) draft() *node {
	c := &node{left: n.left, right: n.right, members: n.members, parent: n.parentNode()}
	if n.left == nil {
		c.blob = n.blob
	}
	return c
}

// seal ends the draft of a parent node: its content gets its hash and is put in
// order.
func (n *node) seal(hash []byte) {
	n.sealed, n.hashed = true, uint8(len(hash))
	p := n.parent
	if p == nil {
		n.blob = bytes.Clone(hash)
		return
	}
	n.blob = slices.Concat(hash, p.EncryptionKey, p.ParentHash)
	n.key, n.parent = uint32(len(p.EncryptionKey)), nil
	if len(p.UnmergedLeaves) > 0 {
		decoded := n.parentNode()
		decoded.UnmergedLeaves = p.UnmergedLeaves
		n.parent = decoded
	}
}

// sealLeaf ends the draft of a leaf, which keeps nothing of what it was read from.
func (n *node) sealLeaf() { n.sealed, n.blob = true, bytes.Clone(n.blob) }

// encryptionKey returns the HPKE key of a node, nil if it is blank.
func (n *node) encryptionKey() []byte {
	switch {
	case n.parent != nil:
		return n.parent.EncryptionKey
	case n.blank():
		return nil
	case n.left != nil:
		return n.content()[:n.key:n.key]
	}
	return wire.NewReader(n.blob).Opaque() // the first field of a LeafNode
}

// signatureKey returns the signature key of a leaf, nil if it is blank.
func (n *node) signatureKey() []byte {
	if leaf := n.leaf(); leaf != nil {
		return signatureKey(leaf)
	}
	return nil
}

// signatureKey returns that of an encoded LeafNode: the second field.
func signatureKey(leaf []byte) []byte {
	r := wire.NewReader(leaf)
	r.Opaque()
	return r.Opaque()
}

// leafNode decodes the content of a leaf that is not blank.
func (n *node) leafNode() wire.LeafNode { return leafNode(n.leaf()) }

// leafNode decodes a LeafNode that a tree has.
func leafNode(b []byte) wire.LeafNode {
	leaf, err := wire.Unmarshal[wire.LeafNode](b)
	if err != nil {
		panic("BUG: stored leaf node does not decode: " + err.Error())
	}
	return leaf
}

// child returns the child of n, which is x, on the way to y, and its index.
func (n *node) child(x, y NodeIndex) (*node, NodeIndex) {
	if y < x {
		l, _ := x.Left()
		return n.left, l
	}
	r, _ := x.Right()
	return n.right, r
}

// at returns node y of the tree whose root is n.
func (n *node) at(y NodeIndex, width uint32) *node {
	for x := Root(width); x != y; {
		n, x = n.child(x, y)
	}
	return n
}

// sameKey reports whether the encryption key of n is key.
func (n *node) sameKey(key []byte) bool { return bytes.Equal(n.encryptionKey(), key) }
