package wire

import "slices"

// LeafNodeSource says how a leaf node came into the tree (RFC 9420,
// Section 7.2).
type LeafNodeSource uint8

// The leaf node sources of RFC 9420.
const (
	LeafNodeSourceKeyPackage LeafNodeSource = 1
	LeafNodeSourceUpdate     LeafNodeSource = 2
	LeafNodeSourceCommit     LeafNodeSource = 3
)

// String returns the name of the RFC, or the number.
func (s LeafNodeSource) String() string { return name(s, "key_package", "update", "commit") }

// Capabilities lists what a client supports beyond the default types
// (RFC 9420, Section 7.2). Unknown values are kept and mean nothing.
//
//	struct {
//	    ProtocolVersion versions<V>;
//	    CipherSuite cipher_suites<V>;
//	    ExtensionType extensions<V>;
//	    ProposalType proposals<V>;
//	    CredentialType credentials<V>;
//	} Capabilities;
type Capabilities struct {
	Versions     []ProtocolVersion
	CipherSuites []CipherSuite
	Extensions   []ExtensionType
	Proposals    []ProposalType
	Credentials  []CredentialType
}

// Encode writes c.
func (c Capabilities) Encode(w *Writer) {
	encodeUint16s(w, c.Versions)
	encodeUint16s(w, c.CipherSuites)
	encodeUint16s(w, c.Extensions)
	encodeUint16s(w, c.Proposals)
	encodeUint16s(w, c.Credentials)
}

// Decode reads c.
func (c *Capabilities) Decode(r *Reader) {
	c.Versions = decodeUint16s[ProtocolVersion](r)
	c.CipherSuites = decodeUint16s[CipherSuite](r)
	c.Extensions = decodeUint16s[ExtensionType](r)
	c.Proposals = decodeUint16s[ProposalType](r)
	c.Credentials = decodeUint16s[CredentialType](r)
}

// SupportsExtension reports whether t is a default type or listed.
func (c Capabilities) SupportsExtension(t ExtensionType) bool {
	return t.IsDefault() || slices.Contains(c.Extensions, t)
}

// SupportsProposal reports whether t is a default type or listed.
func (c Capabilities) SupportsProposal(t ProposalType) bool {
	return t.IsDefault() || slices.Contains(c.Proposals, t)
}

// SupportsCredential reports whether t is listed.
func (c Capabilities) SupportsCredential(t CredentialType) bool {
	return slices.Contains(c.Credentials, t)
}

// A Lifetime is a span of time in seconds since 1970, both ends included
// (RFC 9420, Section 7.2).
//
//	struct {
//	    uint64 not_before;
//	    uint64 not_after;
//	} Lifetime;
type Lifetime struct {
	NotBefore uint64
	NotAfter  uint64
}

// Encode writes l.
func (l Lifetime) Encode(w *Writer) {
	w.Uint64(l.NotBefore)
	w.Uint64(l.NotAfter)
}

// Decode reads l.
func (l *Lifetime) Decode(r *Reader) {
	l.NotBefore = r.Uint64()
	l.NotAfter = r.Uint64()
}

// A LeafNode is one client's place in the tree (RFC 9420, Section 7.2).
//
//	struct {
//	    HPKEPublicKey encryption_key;
//	    SignaturePublicKey signature_key;
//	    Credential credential;
//	    Capabilities capabilities;
//
//	    LeafNodeSource leaf_node_source;
//	    select (LeafNode.leaf_node_source) {
//	        case key_package:
//	            Lifetime lifetime;
//
//	        case update:
//	            struct{};
//
//	        case commit:
//	            opaque parent_hash<V>;
//	    };
//
//	    Extension extensions<V>;
//	    /* SignWithLabel(., "LeafNodeTBS", LeafNodeTBS) */
//	    opaque signature<V>;
//	} LeafNode;
type LeafNode struct {
	EncryptionKey  []byte
	SignatureKey   []byte
	Credential     Credential
	Capabilities   Capabilities
	LeafNodeSource LeafNodeSource
	Lifetime       Lifetime // key_package
	ParentHash     []byte   // commit
	Extensions     Extensions
	Signature      []byte
}

// Encode writes n.
func (n LeafNode) Encode(w *Writer) {
	n.encodeSigned(w)
	w.Opaque(n.Signature)
}

// Decode reads n.
func (n *LeafNode) Decode(r *Reader) {
	n.EncryptionKey = r.Opaque()
	n.SignatureKey = r.Opaque()
	n.Credential.Decode(r)
	n.Capabilities.Decode(r)
	n.LeafNodeSource = LeafNodeSource(r.Uint8())
	switch n.LeafNodeSource {
	case LeafNodeSourceKeyPackage:
		n.Lifetime.Decode(r)
	case LeafNodeSourceUpdate:
	case LeafNodeSourceCommit:
		n.ParentHash = r.Opaque()
	default:
		unknown(r, ErrUnknownLeafNodeSource, n.LeafNodeSource)
	}
	n.Extensions.Decode(r)
	n.Signature = r.Opaque()
}

// encodeSigned writes all fields above the signature.
func (n *LeafNode) encodeSigned(w *Writer) {
	w.Opaque(n.EncryptionKey)
	w.Opaque(n.SignatureKey)
	n.Credential.Encode(w)
	n.Capabilities.Encode(w)
	w.Uint8(uint8(n.LeafNodeSource))
	switch n.LeafNodeSource {
	case LeafNodeSourceKeyPackage:
		n.Lifetime.Encode(w)
	case LeafNodeSourceUpdate:
	case LeafNodeSourceCommit:
		w.Opaque(n.ParentHash)
	default:
		panic("BUG: encode leaf node of unknown source")
	}
	n.Extensions.Encode(w)
}

// LeafNodeTBS is what the signature of a leaf node covers (RFC 9420,
// Section 7.2): its fields, and its place unless it comes from a key package.
//
//	struct {
//	    ... // the fields of LeafNode above signature
//
//	    select (LeafNodeTBS.leaf_node_source) {
//	        case key_package:
//	            struct{};
//
//	        case update:
//	            opaque group_id<V>;
//	            uint32 leaf_index;
//
//	        case commit:
//	            opaque group_id<V>;
//	            uint32 leaf_index;
//	    };
//	} LeafNodeTBS;
type LeafNodeTBS struct {
	LeafNode  LeafNode
	GroupID   []byte    // update, commit
	LeafIndex LeafIndex // update, commit
}

// Encode writes t.
func (t LeafNodeTBS) Encode(w *Writer) {
	t.LeafNode.encodeSigned(w)
	if t.LeafNode.LeafNodeSource != LeafNodeSourceKeyPackage {
		w.Opaque(t.GroupID)
		w.Uint32(uint32(t.LeafIndex))
	}
}
