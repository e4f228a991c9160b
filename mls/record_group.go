package mls

import (
	"fmt"
	"maps"
	"slices"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// begin remembers what the first of next's changes are: all that is not stored
// with last, the Group of the epoch before, and what of last is to be deleted.
// A nil last means that nothing is stored.
func (c changes) begin(next, last *Group) {
	number := next.Epoch()
	c.add(recordID{kind: groupRecord})
	c.add(recordID{kind: epochRecord, epoch: number})
	c.add(recordID{kind: secretsRecord, epoch: number, leaf: noHome})
	var before *tree.Tree
	if last != nil {
		before = last.state.Tree
		c.end(next, last)
	}
	for x := range next.state.Tree.Diff(before) {
		c.add(recordID{kind: treeRecord, leaf: uint32(x)})
	}
}

// end remembers what is over with last.
func (c changes) end(next, last *Group) {
	for i := range last.proposals {
		c.add(recordID{kind: proposalRecord, epoch: last.Epoch(), leaf: last.proposals[i].number})
	}
	carried := append([]pastEpoch{{epoch: last.epoch}}, last.past...)
	c.add(recordID{kind: epochRecord, epoch: last.Epoch()}) // now a past one
	for _, p := range carried[min(len(carried), len(next.past)):] {
		c.add(recordID{kind: epochRecord, epoch: p.context.Epoch})
		c.secretTree(p.context.Epoch, p.tree)
	}
}

// encodeGroup writes
//
//	struct {
//	    uint8 version;
//	    uint64 epoch;
//	    uint32 own_leaf;
//	    uint32 past_epochs;
//	    MAC confirmation_tag;
//	    opaque secrets<V>[6];   // as in lasting
//	    struct { uint32 node; opaque private_key<V>; } keys<V>;
//	    optional<ReInit> reinit;
//	} Group;
func (g *Group) encodeGroup(w *wire.Writer) {
	w.Uint8(groupVersion)
	w.Uint64(g.Epoch())
	w.Uint32(uint32(g.OwnLeaf()))
	w.Uint32(uint32(g.keep))
	w.Opaque(g.tag)
	for _, secret := range g.secrets.lasting() {
		w.Opaque(*secret)
	}
	w.Vector(func(w *wire.Writer) {
		for _, x := range slices.Sorted(maps.Keys(g.keys)) {
			private, err := g.keys[x].Bytes()
			if err != nil {
				panic("BUG: own private key has no encoding: " + err.Error())
			}
			w.Uint32(uint32(x))
			w.Opaque(private)
		}
	})
	w.Bool(g.reinit != nil)
	if g.reinit != nil {
		g.reinit.Encode(w)
	}
}

// lasting are the secrets that are kept while the epoch lasts, beside those
// that protect its messages.
func (e *epochSecrets) lasting() []*[]byte {
	return []*[]byte{&e.exporter, &e.external, &e.confirmation, &e.resumption, &e.authenticator, &e.init}
}

// A storedGroup is what encodeGroup wrote.
type storedGroup struct {
	epoch   uint64
	own     wire.LeafIndex
	keep    int
	tag     []byte
	secrets epochSecrets
	keys    map[tree.NodeIndex][]byte
	reinit  *wire.ReInit
}

// decode reads s.
func (s *storedGroup) Decode(r *wire.Reader) {
	if v := r.Uint8(); v != groupVersion {
		r.Fail(fmt.Errorf("group record of version %d: %w", v, ErrRecord))
		return
	}
	s.epoch = r.Uint64()
	s.own = wire.LeafIndex(r.Uint32())
	s.keep = int(r.Uint32())
	s.tag = r.Opaque()
	for _, secret := range s.secrets.lasting() {
		*secret = r.Opaque()
	}
	s.keys = make(map[tree.NodeIndex][]byte)
	r.Vector(func(r *wire.Reader) {
		x := tree.NodeIndex(r.Uint32())
		s.keys[x] = r.Opaque()
	})
	if r.Bool() {
		s.reinit = new(wire.ReInit)
		s.reinit.Decode(r)
	}
}

// keyring reads the private keys, which must be those of t.
func (s *storedGroup) keyring(t *tree.Tree) (keyring, error) {
	keys := make(keyring, len(s.keys))
	for x, private := range s.keys {
		public, _ := t.EncryptionKey(x)
		key, err := privateKeyOf(t.Suite(), private, public)
		if err != nil {
			return nil, fmt.Errorf("key of node %d: %w", x, err)
		}
		keys[x] = key
	}
	return keys, nil
}

// privateKeyOf reads the private key that belongs to public. Private keys are
// not compared: an X25519 key has many encodings.
func privateKeyOf(s *suite.Suite, private, public []byte) (*suite.HPKEPrivateKey, error) {
	key, err := s.NewHPKEPrivateKey(private)
	if err != nil {
		return nil, err
	}
	if string(key.PublicKey()) != string(public) {
		return nil, fmt.Errorf("private and public key do not belong together: %w", ErrRecord)
	}
	return key, nil
}

// encodeProposal writes a proposal that waits; nil if it does not.
//
//	struct {
//	    uint8 version;
//	    AuthenticatedContent content;
//	    opaque private_key<V>;        // of our own update, else empty
//	    opaque signature_key<V>;      // of our own update, else empty
//	} Proposal;
func (g *Group) encodeProposal(id recordID) []byte {
	i := slices.IndexFunc(g.proposals, func(p proposal) bool { return p.number == id.leaf })
	if id.epoch != g.Epoch() || i < 0 {
		return nil
	}
	p := &g.proposals[i]
	w := wire.NewWriter(nil)
	w.Uint8(recordVersion)
	p.content.Encode(w)
	var private, public []byte
	if p.key != nil {
		var err error
		if private, err = p.key.Bytes(); err != nil {
			panic("BUG: own private key has no encoding: " + err.Error())
		}
		public = p.signer.PublicKey()
	}
	w.Opaque(private)
	w.Opaque(public)
	return w.Bytes()
}

// encodeNode writes a node of the public tree as the tree's own extension
// does; nil if it is blank.
func (g *Group) encodeNode(id recordID) []byte {
	x := tree.NodeIndex(id.leaf)
	w := wire.NewWriter(nil)
	if i, ok := x.Leaf(); ok {
		leaf, there := g.state.Tree.LeafBytes(i)
		if !there {
			return nil
		}
		w.Uint8(uint8(wire.NodeTypeLeaf))
		w.Raw(leaf)
		return w.Bytes()
	}
	parent, there := g.state.Tree.ParentNode(x)
	if !there {
		return nil
	}
	w.Uint8(uint8(wire.NodeTypeParent))
	parent.Encode(w)
	return w.Bytes()
}
