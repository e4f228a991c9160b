package wire

import "fmt"

// NodeType says what a node of the tree is (RFC 9420, Section 7.8).
type NodeType uint8

// The node types of RFC 9420.
const (
	NodeTypeLeaf   NodeType = 1
	NodeTypeParent NodeType = 2
)

// String returns the name of the RFC, or the number.
func (t NodeType) String() string { return name(t, "leaf", "parent") }

// A ParentNode holds the key of a subtree (RFC 9420, Section 7.1). Its
// UnmergedLeaves are strictly increasing.
//
//	struct {
//	    HPKEPublicKey encryption_key;
//	    opaque parent_hash<V>;
//	    uint32 unmerged_leaves<V>;
//	} ParentNode;
type ParentNode struct {
	EncryptionKey  []byte
	ParentHash     []byte
	UnmergedLeaves []LeafIndex
}

// Encode writes n.
func (n ParentNode) Encode(w *Writer) {
	w.Opaque(n.EncryptionKey)
	w.Opaque(n.ParentHash)
	w.b = AppendVarint(w.b, 4*len(n.UnmergedLeaves))
	for _, leaf := range n.UnmergedLeaves {
		w.Uint32(uint32(leaf))
	}
}

// Decode reads n; unmerged leaves out of order are refused.
func (n *ParentNode) Decode(r *Reader) {
	n.EncryptionKey = r.Opaque()
	n.ParentHash = r.Opaque()
	n.UnmergedLeaves = decodeUnmerged(r)
}

// decodeUnmerged reads a strictly increasing list of leaves.
func decodeUnmerged(r *Reader) []LeafIndex {
	body := Reader{b: r.Opaque()}
	if body.Len()%4 != 0 {
		r.Fail(ErrTruncated)
	}
	if r.err != nil || body.Len() == 0 {
		return nil
	}
	leaves := make([]LeafIndex, body.Len()/4)
	for i := range leaves {
		leaves[i] = LeafIndex(body.Uint32())
		if i > 0 && leaves[i] <= leaves[i-1] {
			r.Fail(fmt.Errorf("%w: %w", ErrMalformed, ErrUnmergedOrder))
			return nil
		}
	}
	return leaves
}

// A Node is a leaf or a parent node; the other field is nil (RFC 9420,
// Section 12.4.3.3).
//
//	struct {
//	    NodeType node_type;
//	    select (Node.node_type) {
//	        case leaf:   LeafNode leaf_node;
//	        case parent: ParentNode parent_node;
//	    };
//	} Node;
type Node struct {
	NodeType   NodeType
	LeafNode   *LeafNode
	ParentNode *ParentNode
}

// Encode writes n.
func (n Node) Encode(w *Writer) {
	w.Uint8(uint8(n.NodeType))
	switch n.NodeType {
	case NodeTypeLeaf:
		n.LeafNode.Encode(w)
	case NodeTypeParent:
		n.ParentNode.Encode(w)
	default:
		panic("BUG: encode node of unknown type")
	}
}

// Decode reads n.
func (n *Node) Decode(r *Reader) {
	n.NodeType = NodeType(r.Uint8())
	switch n.NodeType {
	case NodeTypeLeaf:
		n.LeafNode = decodeNew[LeafNode](r)
	case NodeTypeParent:
		n.ParentNode = decodeNew[ParentNode](r)
	default:
		unknown(r, ErrUnknownNodeType, n.NodeType)
	}
}

// RatchetTree is the extension ratchet_tree: the nodes from left to right, nil
// for a blank one, without the blank nodes after the last that is not
// (RFC 9420, Section 12.4.3.3). Package mls/tree reads the same bytes into a
// tree without this list between.
//
//	optional<Node> ratchet_tree<V>;
type RatchetTree []*Node

// Encode writes t.
func (t RatchetTree) Encode(w *Writer) {
	w.Vector(func(w *Writer) {
		for _, n := range t {
			w.Bool(n != nil)
			if n != nil {
				n.Encode(w)
			}
		}
	})
}

// Decode reads t. An empty tree, a last node that is blank, and a leaf where a
// parent belongs are refused.
func (t *RatchetTree) Decode(r *Reader) {
	var nodes []*Node
	r.Vector(func(r *Reader) {
		var n *Node
		if r.Bool() {
			n = decodeNew[Node](r)
			if (n.NodeType == NodeTypeLeaf) != (len(nodes)%2 == 0) {
				r.Fail(fmt.Errorf("%w: %w", ErrMalformed, ErrNodePlace))
			}
		}
		nodes = append(nodes, n)
	})
	if len(nodes) == 0 || nodes[len(nodes)-1] == nil {
		r.Fail(fmt.Errorf("%w: %w", ErrMalformed, ErrTreeEnd))
	}
	*t = nodes
}
