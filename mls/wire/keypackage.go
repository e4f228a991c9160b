package wire

// A KeyPackage lets others add its author to a group while it is away
// (RFC 9420, Section 10).
//
//	struct {
//	    ProtocolVersion version;
//	    CipherSuite cipher_suite;
//	    HPKEPublicKey init_key;
//	    LeafNode leaf_node;
//	    Extension extensions<V>;
//	    /* SignWithLabel(., "KeyPackageTBS", KeyPackageTBS) */
//	    opaque signature<V>;
//	} KeyPackage;
type KeyPackage struct {
	Version     ProtocolVersion
	CipherSuite CipherSuite
	InitKey     []byte
	LeafNode    LeafNode
	Extensions  Extensions
	Signature   []byte
}

// Encode writes k.
func (k KeyPackage) Encode(w *Writer) {
	KeyPackageTBS(k).Encode(w)
	w.Opaque(k.Signature)
}

// Decode reads k.
func (k *KeyPackage) Decode(r *Reader) {
	k.Version = ProtocolVersion(r.Uint16())
	k.CipherSuite = CipherSuite(r.Uint16())
	k.InitKey = r.Opaque()
	k.LeafNode.Decode(r)
	k.Extensions.Decode(r)
	k.Signature = r.Opaque()
}

// KeyPackageTBS is what the signature of a KeyPackage covers: all but itself
// (RFC 9420, Section 10).
//
//	struct {
//	    ProtocolVersion version;
//	    CipherSuite cipher_suite;
//	    HPKEPublicKey init_key;
//	    LeafNode leaf_node;
//	    Extension extensions<V>;
//	} KeyPackageTBS;
type KeyPackageTBS KeyPackage

// Encode writes k without its signature.
func (k KeyPackageTBS) Encode(w *Writer) {
	w.Uint16(uint16(k.Version))
	w.Uint16(uint16(k.CipherSuite))
	w.Opaque(k.InitKey)
	k.LeafNode.Encode(w)
	k.Extensions.Encode(w)
}
