package wire

// An HPKECiphertext is one HPKE encryption (RFC 9420, Section 7.6).
//
//	struct {
//	    opaque kem_output<V>;
//	    opaque ciphertext<V>;
//	} HPKECiphertext;
type HPKECiphertext struct {
	KEMOutput  []byte
	Ciphertext []byte
}

// Encode writes c.
func (c HPKECiphertext) Encode(w *Writer) {
	w.Opaque(c.KEMOutput)
	w.Opaque(c.Ciphertext)
}

// Decode reads c.
func (c *HPKECiphertext) Decode(r *Reader) {
	c.KEMOutput = r.Opaque()
	c.Ciphertext = r.Opaque()
}

// An UpdatePathNode is the new key of one node of a filtered direct path, and
// its path secret for each node of the copath child's resolution (RFC 9420,
// Section 7.6).
//
//	struct {
//	    HPKEPublicKey encryption_key;
//	    HPKECiphertext encrypted_path_secret<V>;
//	} UpdatePathNode;
type UpdatePathNode struct {
	EncryptionKey       []byte
	EncryptedPathSecret []HPKECiphertext
}

// Encode writes n.
func (n UpdatePathNode) Encode(w *Writer) {
	w.Opaque(n.EncryptionKey)
	encodeList(w, n.EncryptedPathSecret)
}

// Decode reads n.
func (n *UpdatePathNode) Decode(r *Reader) {
	n.EncryptionKey = r.Opaque()
	n.EncryptedPathSecret = decodeList[HPKECiphertext](r)
}

// An UpdatePath renews the committer's leaf and filtered direct path
// (RFC 9420, Section 7.6).
//
//	struct {
//	    LeafNode leaf_node;
//	    UpdatePathNode nodes<V>;
//	} UpdatePath;
type UpdatePath struct {
	LeafNode LeafNode
	Nodes    []UpdatePathNode
}

// Encode writes p.
func (p UpdatePath) Encode(w *Writer) {
	p.LeafNode.Encode(w)
	encodeList(w, p.Nodes)
}

// Decode reads p.
func (p *UpdatePath) Decode(r *Reader) {
	p.LeafNode.Decode(r)
	p.Nodes = decodeList[UpdatePathNode](r)
}
