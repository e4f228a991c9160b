package wire

// A TreeHashInput is what the tree hash of a node covers (RFC 9420,
// Section 7.8). The field that NodeType names is set.
//
//	struct {
//	  NodeType node_type;
//	  select (TreeHashInput.node_type) {
//	    case leaf:   LeafNodeHashInput leaf_node;
//	    case parent: ParentNodeHashInput parent_node;
//	  };
//	} TreeHashInput;
type TreeHashInput struct {
	NodeType   NodeType
	LeafNode   *LeafNodeHashInput
	ParentNode *ParentNodeHashInput
}

// Encode writes i.
func (i TreeHashInput) Encode(w *Writer) {
	w.Uint8(uint8(i.NodeType))
	switch i.NodeType {
	case NodeTypeLeaf:
		i.LeafNode.Encode(w)
	case NodeTypeParent:
		i.ParentNode.Encode(w)
	default:
		panic("BUG: encode tree hash input of unknown type")
	}
}

// A LeafNodeHashInput is a leaf at its place, nil if blank (RFC 9420,
// Section 7.8).
//
//	struct {
//	    uint32 leaf_index;
//	    optional<LeafNode> leaf_node;
//	} LeafNodeHashInput;
type LeafNodeHashInput struct {
	LeafIndex LeafIndex
	LeafNode  *LeafNode
}

// Encode writes i.
func (i LeafNodeHashInput) Encode(w *Writer) {
	w.Uint32(uint32(i.LeafIndex))
	w.Bool(i.LeafNode != nil)
	if i.LeafNode != nil {
		i.LeafNode.Encode(w)
	}
}

// A ParentNodeHashInput is a parent node, nil if blank, and the tree hashes of
// its children (RFC 9420, Section 7.8).
//
//	struct {
//	    optional<ParentNode> parent_node;
//	    opaque left_hash<V>;
//	    opaque right_hash<V>;
//	} ParentNodeHashInput;
type ParentNodeHashInput struct {
	ParentNode *ParentNode
	LeftHash   []byte
	RightHash  []byte
}

// Encode writes i.
func (i ParentNodeHashInput) Encode(w *Writer) {
	w.Bool(i.ParentNode != nil)
	if i.ParentNode != nil {
		i.ParentNode.Encode(w)
	}
	w.Opaque(i.LeftHash)
	w.Opaque(i.RightHash)
}

// A ParentHashInput is what a parent hash covers (RFC 9420, Section 7.9).
//
//	struct {
//	    HPKEPublicKey encryption_key;
//	    opaque parent_hash<V>;
//	    opaque original_sibling_tree_hash<V>;
//	} ParentHashInput;
type ParentHashInput struct {
	EncryptionKey           []byte
	ParentHash              []byte
	OriginalSiblingTreeHash []byte
}

// Encode writes i.
func (i ParentHashInput) Encode(w *Writer) {
	w.Opaque(i.EncryptionKey)
	w.Opaque(i.ParentHash)
	w.Opaque(i.OriginalSiblingTreeHash)
}
