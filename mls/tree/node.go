package tree

import (
	"bytes"

	"parley/mls/wire"
)

// A node is a leaf or parent node with all below it. Once it has its tree hash
// it never changes again and may be shared by any number of trees; without one
// it is a draft of a single Edit.
type node struct {
	left, right *node            // nil for a leaf
	parent      *wire.ParentNode // nil for a leaf and a blank parent
	leaf        []byte           // the encoded LeafNode; nil for a parent and a blank leaf
	hash        []byte           // RFC 9420, Section 7.8; nil in a draft
	members     uint32           // leaves below that are not blank
}

// blank reports whether n has no content of its own.
func (n *node) blank() bool { return n.parent == nil && n.leaf == nil }

// encryptionKey returns the HPKE key of a node, nil if it is blank.
func (n *node) encryptionKey() []byte {
	switch {
	case n.parent != nil:
		return n.parent.EncryptionKey
	case n.leaf != nil:
		return wire.NewReader(n.leaf).Opaque() // the first field of a LeafNode
	}
	return nil
}

// signatureKey returns the signature key of a leaf, nil if it is blank.
func (n *node) signatureKey() []byte {
	if n.leaf == nil {
		return nil
	}
	r := wire.NewReader(n.leaf)
	r.Opaque()
	return r.Opaque() // the second field of a LeafNode
}

// leafNode decodes the content of a leaf that is not blank.
func (n *node) leafNode() wire.LeafNode {
	leaf, err := wire.Unmarshal[wire.LeafNode](n.leaf)
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
