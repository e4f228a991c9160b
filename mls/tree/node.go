package tree

import (
	"bytes"

	"parley/mls/wire"
)

// A node is a leaf or parent node with all below it. Once it has its tree hash
// it never changes again and may be shared by any number of trees; without one
// it is a draft of a single Edit.
//
// There are twice as many as members, of which one member holds all: so a node
// has its hash and content in one piece of memory of just that size, and only a
// parent node with unmerged leaves, or a draft, is kept decoded.
type node struct {
	left, right *node // nil for a leaf
	// blob is the tree hash (RFC 9420, Section 7.8), which a draft has not, and
	// then the encoded LeafNode, or encryption_key<V> and parent_hash<V> of a
	// parent node that is no draft; nothing if the node is blank.
	blob    []byte
	parent  *wire.ParentNode // see above
	members uint32           // leaves below that are not blank
	hashed  uint8            // the length of the hash
}

// hash returns the tree hash of n, nil if it is a draft.
func (n *node) hash() []byte {
	if n.hashed == 0 {
		return nil
	}
	return n.blob[:n.hashed:n.hashed]
}

// content returns what is behind the hash.
func (n *node) content() []byte { return n.blob[n.hashed:len(n.blob):len(n.blob)] }

// leaf returns the encoded LeafNode, nil for a blank leaf and for a parent.
func (n *node) leaf() []byte {
	if n.left != nil || len(n.blob) == int(n.hashed) {
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
	r := wire.NewReader(n.content())
	return &wire.ParentNode{EncryptionKey: r.Opaque(), ParentHash: r.Opaque()}
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
		c.blob = n.content()
	}
	return c
}

// seal ends a draft: its content gets its hash and is put in order.
func (n *node) seal(hash, content []byte) {
	n.blob = append(append(make([]byte, 0, len(hash)+len(content)), hash...), content...)
	n.hashed = uint8(len(hash))
	if n.parent == nil {
		return
	}
	unmerged := n.parent.UnmergedLeaves
	n.parent = nil
	if len(unmerged) > 0 {
		p := n.parentNode()
		p.UnmergedLeaves = unmerged
		n.parent = p
	}
}

// encryptionKey returns the HPKE key of a node, nil if it is blank.
func (n *node) encryptionKey() []byte {
	switch {
	case n.parent != nil:
		return n.parent.EncryptionKey
	case n.blank():
		return nil
	}
	return wire.NewReader(n.content()).Opaque() // the first field of both
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
