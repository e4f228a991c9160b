package wire

import "fmt"

// A PrivateMessage is signed and encrypted (RFC 9420, Section 6.3).
//
//	struct {
//	    opaque group_id<V>;
//	    uint64 epoch;
//	    ContentType content_type;
//	    opaque authenticated_data<V>;
//	    opaque encrypted_sender_data<V>;
//	    opaque ciphertext<V>;
//	} PrivateMessage;
type PrivateMessage struct {
	GroupID             []byte
	Epoch               uint64
	ContentType         ContentType
	AuthenticatedData   []byte
	EncryptedSenderData []byte
	Ciphertext          []byte
}

// Encode writes m.
func (m PrivateMessage) Encode(w *Writer) {
	w.Opaque(m.GroupID)
	w.Uint64(m.Epoch)
	w.Uint8(uint8(m.ContentType))
	w.Opaque(m.AuthenticatedData)
	w.Opaque(m.EncryptedSenderData)
	w.Opaque(m.Ciphertext)
}

// Decode reads m.
func (m *PrivateMessage) Decode(r *Reader) {
	m.GroupID = r.Opaque()
	m.Epoch = r.Uint64()
	m.ContentType = decodeContentType(r)
	m.AuthenticatedData = r.Opaque()
	m.EncryptedSenderData = r.Opaque()
	m.Ciphertext = r.Opaque()
}

// ParsePrivateMessage decodes an MLSMessage that must hold a PrivateMessage.
// It allocates nothing, so that a gateway can look at every message; slices
// alias message. Errors wrap ErrMalformed.
func ParsePrivateMessage(message []byte) (PrivateMessage, error) {
	var m PrivateMessage
	r := Reader{b: message}
	decodeMLS10(&r)
	if f := WireFormat(r.Uint16()); f != WireFormatPrivateMessage {
		unknown(&r, ErrUnknownWireFormat, f)
	}
	m.Decode(&r)
	if err := r.Done(); err != nil {
		return PrivateMessage{}, fmt.Errorf("decode private message: %w", err)
	}
	return m, nil
}

// ContentAAD returns what the encryption of m's content also authenticates.
func (m PrivateMessage) ContentAAD() PrivateContentAAD {
	return PrivateContentAAD{m.GroupID, m.Epoch, m.ContentType, m.AuthenticatedData}
}

// SenderDataAAD returns what the encryption of m's sender data also
// authenticates.
func (m PrivateMessage) SenderDataAAD() SenderDataAAD {
	return SenderDataAAD{m.GroupID, m.Epoch, m.ContentType}
}

// A PrivateMessageContent is the plaintext of a PrivateMessage (RFC 9420,
// Section 6.3.1). Its encoding depends on a content type that stands in the
// PrivateMessage, hence DecodeFor; Padding is a count of zero octets.
//
//	struct {
//	    select (PrivateMessage.content_type) {
//	        case application:
//	          opaque application_data<V>;
//
//	        case proposal:
//	          Proposal proposal;
//
//	        case commit:
//	          Commit commit;
//	    };
//
//	    FramedContentAuthData auth;
//	    opaque padding[length_of_padding];
//	} PrivateMessageContent;
type PrivateMessageContent struct {
	ContentType     ContentType
	ApplicationData []byte    // application
	Proposal        *Proposal // proposal
	Commit          *Commit   // commit
	Auth            FramedContentAuthData
	Padding         int
}

// Encode writes c and its padding.
func (c PrivateMessageContent) Encode(w *Writer) {
	content := FramedContent{
		ContentType: c.ContentType, ApplicationData: c.ApplicationData, Proposal: c.Proposal, Commit: c.Commit,
	}
	content.encodeContent(w)
	c.Auth.EncodeFor(w, c.ContentType)
	w.Raw(make([]byte, c.Padding))
}

// DecodeFor reads the content of a PrivateMessage of content type t, to the
// end of r. Padding with an octet that is not zero is malformed.
func (c *PrivateMessageContent) DecodeFor(r *Reader, t ContentType) {
	content := FramedContent{ContentType: t}
	content.decodeContent(r)
	c.ContentType, c.ApplicationData = t, content.ApplicationData
	c.Proposal, c.Commit = content.Proposal, content.Commit
	c.Auth.DecodeFor(r, t)
	c.Padding = r.Len()
	for _, octet := range r.Fixed(c.Padding) {
		if octet != 0 {
			r.Fail(fmt.Errorf("%w: %w", ErrMalformed, ErrPadding))
			return
		}
	}
}

// ParsePrivateMessageContent decodes the plaintext of a PrivateMessage of
// content type t. Errors wrap ErrMalformed.
func ParsePrivateMessageContent(plaintext []byte, t ContentType) (PrivateMessageContent, error) {
	var c PrivateMessageContent
	r := NewReader(plaintext)
	if t < ContentTypeApplication || t > ContentTypeCommit {
		unknown(r, ErrUnknownContentType, t)
	}
	c.DecodeFor(r, t)
	if err := r.Done(); err != nil {
		return PrivateMessageContent{}, fmt.Errorf("decode private message content: %w", err)
	}
	return c, nil
}

// PrivateContentAAD is authenticated with the content of a PrivateMessage
// (RFC 9420, Section 6.3.1).
//
//	struct {
//	    opaque group_id<V>;
//	    uint64 epoch;
//	    ContentType content_type;
//	    opaque authenticated_data<V>;
//	} PrivateContentAAD;
type PrivateContentAAD struct {
	GroupID           []byte
	Epoch             uint64
	ContentType       ContentType
	AuthenticatedData []byte
}

// Encode writes a.
func (a PrivateContentAAD) Encode(w *Writer) {
	w.Opaque(a.GroupID)
	w.Uint64(a.Epoch)
	w.Uint8(uint8(a.ContentType))
	w.Opaque(a.AuthenticatedData)
}

// SenderData says which key a member used (RFC 9420, Section 6.3.2).
//
//	struct {
//	    uint32 leaf_index;
//	    uint32 generation;
//	    opaque reuse_guard[4];
//	} SenderData;
type SenderData struct {
	LeafIndex  LeafIndex
	Generation uint32
	ReuseGuard [4]byte
}

// Encode writes d.
func (d SenderData) Encode(w *Writer) {
	w.Uint32(uint32(d.LeafIndex))
	w.Uint32(d.Generation)
	w.Raw(d.ReuseGuard[:])
}

// Decode reads d.
func (d *SenderData) Decode(r *Reader) {
	d.LeafIndex = LeafIndex(r.Uint32())
	d.Generation = r.Uint32()
	copy(d.ReuseGuard[:], r.Fixed(4))
}

// SenderDataAAD is authenticated with the sender data (RFC 9420,
// Section 6.3.2).
//
//	struct {
//	    opaque group_id<V>;
//	    uint64 epoch;
//	    ContentType content_type;
//	} SenderDataAAD;
type SenderDataAAD struct {
	GroupID     []byte
	Epoch       uint64
	ContentType ContentType
}

// Encode writes a.
func (a SenderDataAAD) Encode(w *Writer) {
	w.Opaque(a.GroupID)
	w.Uint64(a.Epoch)
	w.Uint8(uint8(a.ContentType))
}
