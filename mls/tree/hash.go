package tree

import (
	"parley/mls/suite"
	"parley/mls/wire"
)

// A hasher computes tree hashes. Its buffers are reused.
type hasher struct {
	suite      *suite.Suite
	input, sum []byte
}

// hash returns the tree hash of n, which is x, sealing it and those below that
// are drafts (RFC 9420, Section 7.8).
func (h *hasher) hash(n *node, x NodeIndex) []byte {
	if i, ok := x.Leaf(); ok {
		if !n.sealed {
			n.sealLeaf()
		}
		return h.suite.Hash(h.leafInput(i, n.leaf()))
	}
	if n.sealed {
		return n.blob[:n.hashed:n.hashed]
	}
	l, _ := x.Left()
	r, _ := x.Right()
	left, right := h.hash(n.left, l), h.hash(n.right, r)
	h.sum = h.suite.AppendHash(h.sum[:0], h.parentInput(n.parent, left, right))
	n.seal(h.sum)
	return n.blob[:n.hashed:n.hashed]
}

// leafInput encodes a TreeHashInput of a leaf; nil is a blank one.
func (h *hasher) leafInput(i wire.LeafIndex, leaf []byte) []byte {
	w := wire.NewWriter(h.input[:0])
	w.Uint8(uint8(wire.NodeTypeLeaf))
	w.Uint32(uint32(i))
	w.Bool(leaf != nil)
	w.Raw(leaf)
	h.input = w.Bytes()
	return h.input
}

// parentInput encodes a TreeHashInput of a parent node; nil is a blank one.
func (h *hasher) parentInput(parent *wire.ParentNode, left, right []byte) []byte {
	w := wire.NewWriter(h.input[:0])
	w.Uint8(uint8(wire.NodeTypeParent))
	wire.ParentNodeHashInput{ParentNode: parent, LeftHash: left, RightHash: right}.Encode(w)
	h.input = w.Bytes()
	return h.input
}

// parentHash returns the parent hash of p with a copath child whose original
// tree hash is sibling (RFC 9420, Section 7.9).
func (h *hasher) parentHash(p *wire.ParentNode, sibling []byte) []byte {
	h.input = wire.Append(h.input[:0], wire.ParentHashInput{
		EncryptionKey: p.EncryptionKey, ParentHash: p.ParentHash, OriginalSiblingTreeHash: sibling,
	})
	return h.suite.Hash(h.input)
}
