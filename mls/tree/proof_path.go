package tree

import (
	"fmt"
	"slices"

	"parley/mls/wire"
)

// A PathPlace is where an update path concerns one receiver, as far as two
// proofs show it (draft-ietf-mls-partial-02, "Annotated Commit").
type PathPlace struct {
	// Update is the place in the update path of the node whose secret the receiver
	// is sent; which of its ciphertexts it is, who knows the tree must say.
	Update int
	// Key is the node whose private key decrypts it: the receiver's own leaf, or
	// the topmost node above it that has a key it knows.
	Key NodeIndex
	// Above are the nodes from that of Update to the root that have keys, from the
	// bottom up, and PublicKeys those keys.
	Above      []NodeIndex
	PublicKeys [][]byte
}

// Place finds where an update path of sender concerns receiver. Both must have
// been verified against the tree after the commit. It fails with ErrProof if
// they are of trees of two sizes or of one leaf, or if no path of sender can
// have a node above receiver.
func Place(sender, receiver *MembershipProof) (*PathPlace, error) {
	if sender.NLeaves != receiver.NLeaves || sender.LeafIndex == receiver.LeafIndex {
		return nil, fmt.Errorf("%w: leaf %d of %d and leaf %d of %d", ErrProof,
			sender.LeafIndex, sender.NLeaves, receiver.LeafIndex, receiver.NLeaves)
	}
	meet := CommonAncestor(NodeOf(sender.LeafIndex), NodeOf(receiver.LeafIndex)).Level()
	p := &PathPlace{Key: receiver.decryptsAt(meet - 1)}
	x := NodeOf(sender.LeafIndex)
	for at, n := range sender.DirectPathNodes {
		if at > 0 {
			x, _ = Parent(x, sender.NLeaves)
		}
		switch {
		case at == 0 || n == nil:
		case at < meet:
			p.Update++
		default:
			p.Above = append(p.Above, x)
			p.PublicKeys = append(p.PublicKeys, n.ParentNode.EncryptionKey)
		}
	}
	if sender.DirectPathNodes[meet] == nil {
		return nil, fmt.Errorf("%w: no key above leaves %d and %d", ErrProof, sender.LeafIndex, receiver.LeafIndex)
	}
	return p, nil
}

// decryptsAt returns the topmost node at most at that height above p's leaf
// that has a key which the member knows. Where the member is an unmerged leaf,
// it does not, and has been sent the secret by itself.
func (p *MembershipProof) decryptsAt(height int) NodeIndex {
	x := NodeOf(p.LeafIndex)
	path := append([]NodeIndex{x}, DirectPath(x, p.NLeaves)...)
	for at := height; at > 0; at-- {
		n := p.DirectPathNodes[at]
		if n == nil {
			continue
		}
		if _, unmerged := slices.BinarySearch(n.ParentNode.UnmergedLeaves, p.LeafIndex); unmerged {
			return x
		}
		return path[at]
	}
	return x
}

// Agrees reports whether the update path has the keys that p says its sender's
// nodes have, node by node.
func (p *MembershipProof) Agrees(path *wire.UpdatePath) bool {
	nodes := path.Nodes
	for _, n := range p.DirectPathNodes[1:] {
		if n == nil {
			continue
		}
		if len(nodes) == 0 || string(nodes[0].EncryptionKey) != string(n.ParentNode.EncryptionKey) {
			return false
		}
		nodes = nodes[1:]
	}
	return len(nodes) == 0
}
