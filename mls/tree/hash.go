package tree

import (
	"parley/mls/suite"
	"parley/mls/wire"
)

// A hasher computes tree hashes. Its buffers are reused, and hashes are cut
// from larger pieces of memory, so that a whole tree costs few allocations.
type hasher struct {
	suite *suite.Suite
	input []byte
	slab  []byte
}

// slabHashes is how many hashes share a piece of memory: about as many as one
// commit makes.
const slabHashes = 32

// hash returns the tree hash of n, which is x, computing it and those below
// where they are missing (RFC 9420, Section 7.8).
func (h *hasher) hash(n *node, x NodeIndex) []byte {
	if n.hash != nil {
		return n.hash
	}
	if i, ok := x.Leaf(); ok {
		n.hash = h.keep(h.leafInput(i, n.leaf))
		return n.hash
	}
	l, _ := x.Left()
	r, _ := x.Right()
	left, right := h.hash(n.left, l), h.hash(n.right, r)
	n.hash = h.keep(h.parentInput(n.parent, left, right))
	return n.hash
}

// keep hashes input into memory that stays.
func (h *hasher) keep(input []byte) []byte {
	size := h.suite.HashSize()
	if cap(h.slab)-len(h.slab) < size {
		h.slab = make([]byte, 0, slabHashes*size)
	}
	start := len(h.slab)
	h.slab = h.suite.AppendHash(h.slab, input)
	return h.slab[start:len(h.slab):len(h.slab)]
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
