package tree

import (
	"bytes"
	"fmt"

	"parley/mls/suite"
	"parley/mls/wire"
)

// A CopathHash is the tree hash of a node beside a path.
//
//	struct {
//	    opaque hash_value<V>;
//	} CopathHash;
type CopathHash struct{ HashValue []byte }

// Encode writes h.
func (h CopathHash) Encode(w *wire.Writer) { w.Opaque(h.HashValue) }

// Decode reads h.
func (h *CopathHash) Decode(r *wire.Reader) { h.HashValue = r.Opaque() }

// A MembershipProof shows to who knows only the tree hash of a group what leaf
// node a member has, and where (draft-ietf-mls-partial-02, "Membership Proofs
// and Partial Trees"). Its size grows with the logarithm of the members, and
// with the unmerged leaves that the nodes above the member have.
//
//	struct {
//	  uint32 leaf_index;
//	  uint32 n_leaves;
//	  optional<Node> direct_path_nodes<V>;
//	  CopathHash copath_hashes<V>;
//	} MembershipProof;
//
// NLeaves is the width of the tree. DirectPathNodes are the nodes from the leaf
// to the root, both included, nil where blank; CopathHashes are those of the
// siblings, from the bottom up. What is decoded has the shape of a proof; what
// it says holds only after Verify.
type MembershipProof struct {
	LeafIndex       wire.LeafIndex
	NLeaves         uint32
	DirectPathNodes []*wire.Node
	CopathHashes    []CopathHash
}

// Encode writes p.
func (p MembershipProof) Encode(w *wire.Writer) {
	w.Uint32(uint32(p.LeafIndex))
	w.Uint32(p.NLeaves)
	wire.RatchetTree(p.DirectPathNodes).Encode(w) // the same list<V> of optional nodes
	w.Vector(func(w *wire.Writer) {
		for _, h := range p.CopathHashes {
			h.Encode(w)
		}
	})
}

// Decode reads p. It refuses, with ErrProof, what is not the proof of a member
// in a full tree of at most MaxLeaves leaves.
func (p *MembershipProof) Decode(r *wire.Reader) {
	p.LeafIndex = wire.LeafIndex(r.Uint32())
	p.NLeaves = r.Uint32()
	p.DirectPathNodes, p.CopathHashes = nil, nil
	r.Vector(func(r *wire.Reader) {
		var n *wire.Node
		if r.Bool() {
			n = new(wire.Node)
			n.Decode(r)
		}
		if p.DirectPathNodes = append(p.DirectPathNodes, n); len(p.DirectPathNodes) > maxPath {
			r.Fail(wire.ErrTooLong)
		}
	})
	r.Vector(func(r *wire.Reader) {
		var h CopathHash
		h.Decode(r)
		if p.CopathHashes = append(p.CopathHashes, h); len(p.CopathHashes) >= maxPath {
			r.Fail(wire.ErrTooLong)
		}
	})
	if r.Err() == nil {
		if err := p.check(); err != nil {
			r.Fail(fmt.Errorf("%w: %w", wire.ErrMalformed, err))
		}
	}
}

// maxPath is how many nodes a tree of MaxLeaves leaves has from leaf to root.
const maxPath = 18

// check verifies the shape of p.
func (p *MembershipProof) check() error {
	switch width := p.NLeaves; {
	case width == 0 || width&(width-1) != 0:
		return fmt.Errorf("%w: a tree of %d leaves", ErrProof, width)
	case width > MaxLeaves:
		return ErrTreeTooLarge
	case uint32(p.LeafIndex) >= width:
		return fmt.Errorf("%w: leaf %d of %d", ErrProof, p.LeafIndex, width)
	case len(p.DirectPathNodes) != Root(width).Level()+1:
		return fmt.Errorf("%w: path of %d nodes in a tree of %d leaves", ErrProof, len(p.DirectPathNodes), width)
	case len(p.CopathHashes) != len(p.DirectPathNodes)-1:
		return fmt.Errorf("%w: %d hashes beside a path of %d nodes", ErrProof, len(p.CopathHashes), len(p.DirectPathNodes))
	}
	for i, n := range p.DirectPathNodes {
		if i == 0 && n == nil {
			return fmt.Errorf("%w: leaf %d: %w", ErrProof, p.LeafIndex, ErrBlankLeaf)
		}
		if n != nil && (n.NodeType == wire.NodeTypeLeaf) != (i == 0) {
			return fmt.Errorf("%w: %v at height %d", ErrProof, n.NodeType, i)
		}
	}
	return nil
}

// LeafNode returns the leaf node that p is about.
func (p *MembershipProof) LeafNode() *wire.LeafNode { return p.DirectPathNodes[0].LeafNode }

// TreeHash computes the tree hash of the tree in which p is valid, or returns
// ErrProof. Two proofs are of one tree if their TreeHash and NLeaves are equal.
func (p *MembershipProof) TreeHash(s *suite.Suite) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	h := hasher{suite: s}
	hash := s.Hash(h.leafInput(p.LeafIndex, wire.Marshal(p.LeafNode())))
	x := NodeOf(p.LeafIndex)
	for i, sibling := range p.CopathHashes {
		if len(sibling.HashValue) != s.HashSize() {
			return nil, fmt.Errorf("%w: hash of %d bytes", ErrProof, len(sibling.HashValue))
		}
		above, _ := Parent(x, p.NLeaves)
		left, right := hash, sibling.HashValue
		if x > above {
			left, right = right, left
		}
		var parent *wire.ParentNode
		if n := p.DirectPathNodes[i+1]; n != nil {
			parent = n.ParentNode
		}
		hash, x = s.Hash(h.parentInput(parent, left, right)), above
	}
	return hash, nil
}

// Verify verifies that p is valid in the tree with that hash, or returns
// ErrProof. Nothing else is known of the leaf then but that the members of the
// group agreed on it: its credential is the application's to judge, as always.
func (p *MembershipProof) Verify(s *suite.Suite, treeHash []byte) error {
	hash, err := p.TreeHash(s)
	if err != nil {
		return fmt.Errorf("verify membership proof: %w", err)
	}
	if !bytes.Equal(hash, treeHash) {
		return fmt.Errorf("verify membership proof: leaf %d: %w: %w", p.LeafIndex, ErrProof, ErrTreeHash)
	}
	return nil
}

// Proof returns the proof of member i, or ErrBlankLeaf if there is none. It is
// read off the hashes that the tree has anyway. What it returns belongs to the
// tree and must not be changed.
func (t *Tree) Proof(i wire.LeafIndex) (*MembershipProof, error) {
	leaf, ok := t.Leaf(i)
	if !ok {
		return nil, fmt.Errorf("prove membership of leaf %d: %w", i, ErrBlankLeaf)
	}
	height := t.Root().Level()
	p := &MembershipProof{
		LeafIndex:       i,
		NLeaves:         t.width,
		DirectPathNodes: make([]*wire.Node, height+1),
		CopathHashes:    make([]CopathHash, height),
	}
	p.DirectPathNodes[0] = &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
	h := hasher{suite: t.suite}
	n, x := t.root, t.Root()
	for at := height; at > 0; at-- {
		if parent := n.parentNode(); parent != nil {
			p.DirectPathNodes[at] = &wire.Node{NodeType: wire.NodeTypeParent, ParentNode: parent}
		}
		below, y := n.child(x, NodeOf(i))
		sibling := n.right
		if below == n.right {
			sibling = n.left
		}
		p.CopathHashes[at-1] = CopathHash{h.hash(sibling, y^2<<y.Level())}
		n, x = below, y
	}
	return p, nil
}
