package mls

import (
	"fmt"
	"maps"
	"slices"

	"parley/mls/wire"
)

// blockSize is how many generations share a record of skipped keys: a message
// out of order rewrites at most so many.
const blockSize = 32

// maxHeight bounds the height of a stored secret tree: that of tree.MaxLeaves.
const maxHeight = 17

// encode writes
//
//	struct {
//	    uint8 version;
//	    opaque sender_data_secret<V>;
//	    opaque membership_key<V>;       // empty for a past epoch
//	    opaque resumption_psk<V>;       // empty for the current epoch
//	    GroupContext context;
//	    uint8 height;
//	    struct { uint32 leaf; opaque leaf_node<V>; } was<V>;  // empty: blank
//	} Epoch;
func (p *pastEpoch) encode(w *wire.Writer, current bool) {
	membership, resumption := p.membership, p.resumption
	if current {
		resumption = nil // the group's record has it
	} else {
		membership = nil
	}
	w.Uint8(epochVersion)
	w.Opaque(p.senderData)
	w.Opaque(membership)
	w.Opaque(resumption)
	p.context.Encode(w)
	w.Uint8(uint8(p.tree.height))
	w.Vector(func(w *wire.Writer) {
		for _, leaf := range slices.Sorted(maps.Keys(p.was)) {
			n := p.was[leaf]
			w.Uint32(uint32(leaf))
			w.Opaque(n)
		}
	})
}

// Decode reads what encode wrote, all but the suite and the secrets.
func (p *pastEpoch) Decode(r *wire.Reader) {
	version := r.Uint8()
	p.epoch = new(epoch)
	p.senderData = r.Opaque()
	p.membership = r.Opaque()
	p.resumption = r.Opaque()
	p.context.Decode(r)
	height := int(r.Uint8())
	p.was = make(map[wire.LeafIndex][]byte)
	r.Vector(func(r *wire.Reader) {
		leaf := wire.LeafIndex(r.Uint32())
		p.was[leaf] = nil
		if n := r.Opaque(); len(n) > 0 {
			p.was[leaf] = n
		}
	})
	if version != epochVersion || height > maxHeight {
		r.Fail(fmt.Errorf("epoch record: %w", ErrRecord))
	}
	p.epoch.tree = &secretTree{
		height:  height,
		nodes:   make(map[treeNode]subtreeSecret),
		senders: make(map[uint32]*sender),
	}
}

// encodeSecrets writes the subtree secrets whose home is leaf; nothing if
// there are none.
//
//	struct { uint8 level; uint32 place; opaque secret<V>; } SubtreeSecret;
func (t *secretTree) encodeSecrets(w *wire.Writer, leaf uint32) bool {
	nodes := t.home(leaf)
	for _, node := range nodes {
		s := t.nodes[node]
		w.Uint8(uint8(node.level))
		w.Uint32(node.place)
		w.Opaque(s.secret[:t.suite.HashSize()])
		clear(s.secret[:])
	}
	return len(nodes) > 0
}

// decodeSecrets reads what encodeSecrets wrote.
func (t *secretTree) decodeSecrets(r *wire.Reader, leaf uint32) {
	for r.Len() > 0 && r.Err() == nil {
		node := treeNode{int(r.Uint8()), r.Uint32()}
		s := subtreeSecret{home: leaf}
		if node.level > t.height || copy(s.secret[:], r.OpaqueMax(maxSecret)) != t.suite.HashSize() {
			r.Fail(fmt.Errorf("subtree secret: %w", ErrRecord))
			return
		}
		t.nodes[node] = s
	}
}

// encodeRatchets writes where leaf's ratchets are; nothing if leaf was not
// heard.
//
//	struct { uint32 generation; opaque secret<V>; } Ratchet;
//	struct { Ratchet handshake; Ratchet application; } Ratchets;
func (t *secretTree) encodeRatchets(w *wire.Writer, leaf uint32) bool {
	s, ok := t.senders[leaf]
	if !ok {
		return false
	}
	for _, r := range []*ratchet{&s.handshake, &s.application} {
		w.Uint32(r.generation)
		w.Opaque(r.secret[:t.suite.HashSize()])
	}
	return true
}

// decodeRatchets reads what encodeRatchets wrote.
func (t *secretTree) decodeRatchets(rd *wire.Reader, leaf uint32) {
	s := t.sender(leaf)
	for _, r := range []*ratchet{&s.handshake, &s.application} {
		r.generation = rd.Uint32()
		if copy(r.secret[:], rd.OpaqueMax(maxSecret)) != t.suite.HashSize() {
			rd.Fail(fmt.Errorf("ratchet: %w", ErrRecord))
		}
	}
}

// sender returns the ratchets of leaf, which may be still to be decoded.
func (t *secretTree) sender(leaf uint32) *sender {
	s, ok := t.senders[leaf]
	if !ok {
		s = new(sender)
		t.senders[leaf] = s
	}
	return s
}

// of returns the ratchet for that content.
func (s *sender) of(content wire.ContentType) *ratchet {
	if content == wire.ContentTypeApplication {
		return &s.application
	}
	return &s.handshake
}

// encodeSkipped writes the keys of one block of generations; nothing if none
// is kept.
//
//	struct { uint32 generation; opaque key[Nk]; opaque nonce[Nn]; } Skipped;
func (t *secretTree) encodeSkipped(w *wire.Writer, id recordID) bool {
	s, ok := t.senders[id.leaf]
	if !ok {
		return false
	}
	r := s.of(wire.ContentType(id.content))
	i, _ := r.find(id.block * blockSize)
	any := false
	for _, k := range r.skipped[i:] {
		if k.generation/blockSize != id.block {
			break
		}
		any = true
		w.Uint32(k.generation)
		w.Raw(k.key[:t.suite.KeySize()])
		w.Raw(k.nonce[:])
	}
	return any
}

// decodeSkipped reads what encodeSkipped wrote. The blocks may come in any
// order.
func (t *secretTree) decodeSkipped(rd *wire.Reader, id recordID) {
	r := t.sender(id.leaf).of(wire.ContentType(id.content))
	for rd.Len() > 0 && rd.Err() == nil {
		k := messageKey{generation: rd.Uint32()}
		copy(k.key[:], rd.Fixed(t.suite.KeySize()))
		copy(k.nonce[:], rd.Fixed(nonceSize))
		i, twice := r.find(k.generation)
		if twice || k.generation/blockSize != id.block || len(r.skipped) >= maxSkipped {
			rd.Fail(fmt.Errorf("skipped key: %w", ErrRecord))
			return
		}
		r.skipped = slices.Insert(r.skipped, i, k)
	}
}
