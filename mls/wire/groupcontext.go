package wire

// A GroupContext sums up the state of a group (RFC 9420, Section 8.1).
//
//	struct {
//	    ProtocolVersion version = mls10;
//	    CipherSuite cipher_suite;
//	    opaque group_id<V>;
//	    uint64 epoch;
//	    opaque tree_hash<V>;
//	    opaque confirmed_transcript_hash<V>;
//	    Extension extensions<V>;
//	} GroupContext;
type GroupContext struct {
	CipherSuite             CipherSuite
	GroupID                 []byte
	Epoch                   uint64
	TreeHash                []byte
	ConfirmedTranscriptHash []byte
	Extensions              Extensions
}

// Encode writes c.
func (c GroupContext) Encode(w *Writer) {
	w.Uint16(uint16(MLS10))
	w.Uint16(uint16(c.CipherSuite))
	w.Opaque(c.GroupID)
	w.Uint64(c.Epoch)
	w.Opaque(c.TreeHash)
	w.Opaque(c.ConfirmedTranscriptHash)
	c.Extensions.Encode(w)
}

// Decode reads c.
func (c *GroupContext) Decode(r *Reader) {
	decodeMLS10(r)
	c.CipherSuite = CipherSuite(r.Uint16())
	c.GroupID = r.Opaque()
	c.Epoch = r.Uint64()
	c.TreeHash = r.Opaque()
	c.ConfirmedTranscriptHash = r.Opaque()
	c.Extensions.Decode(r)
}

// decodeMLS10 reads ProtocolVersion version = mls10.
func decodeMLS10(r *Reader) {
	if v := ProtocolVersion(r.Uint16()); v != MLS10 {
		unknown(r, ErrUnknownVersion, v)
	}
}

// ConfirmedTranscriptHashInput is what a commit adds to the confirmed
// transcript hash (RFC 9420, Section 8.2).
//
//	struct {
//	    WireFormat wire_format;
//	    FramedContent content; /* with content_type == commit */
//	    opaque signature<V>;
//	} ConfirmedTranscriptHashInput;
type ConfirmedTranscriptHashInput struct {
	WireFormat WireFormat
	Content    FramedContent
	Signature  []byte
}

// Encode writes i.
func (i ConfirmedTranscriptHashInput) Encode(w *Writer) {
	w.Uint16(uint16(i.WireFormat))
	i.Content.Encode(w)
	w.Opaque(i.Signature)
}

// InterimTranscriptHashInput is what a commit adds to the interim transcript
// hash (RFC 9420, Section 8.2).
//
//	struct {
//	    MAC confirmation_tag;
//	} InterimTranscriptHashInput;
type InterimTranscriptHashInput struct {
	ConfirmationTag []byte
}

// Encode writes i.
func (i InterimTranscriptHashInput) Encode(w *Writer) { w.Opaque(i.ConfirmationTag) }
