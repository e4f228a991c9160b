package wire

// FramedContentTBS is what the signature of a message covers (RFC 9420,
// Section 6.1). Context must be set for the sender types member and
// new_member_commit.
//
//	struct {
//	    ProtocolVersion version = mls10;
//	    WireFormat wire_format;
//	    FramedContent content;
//	    select (FramedContentTBS.content.sender.sender_type) {
//	        case member:
//	        case new_member_commit:
//	            GroupContext context;
//	        case external:
//	        case new_member_proposal:
//	            struct{};
//	    };
//	} FramedContentTBS;
type FramedContentTBS struct {
	WireFormat WireFormat
	Content    FramedContent
	Context    *GroupContext // member, new_member_commit
}

// Encode writes t.
func (t FramedContentTBS) Encode(w *Writer) {
	w.Uint16(uint16(MLS10))
	w.Uint16(uint16(t.WireFormat))
	t.Content.Encode(w)
	switch t.Content.Sender.SenderType {
	case SenderTypeMember, SenderTypeNewMemberCommit:
		t.Context.Encode(w)
	}
}

// FramedContentAuthData authenticates a FramedContent (RFC 9420,
// Section 6.1). A commit has a ConfirmationTag, nothing else does.
//
//	struct {
//	    /* SignWithLabel(., "FramedContentTBS", FramedContentTBS) */
//	    opaque signature<V>;
//	    select (FramedContent.content_type) {
//	        case commit:
//	            /*
//	              MAC(confirmation_key,
//	                  GroupContext.confirmed_transcript_hash)
//	            */
//	            MAC confirmation_tag;
//	        case application:
//	        case proposal:
//	            struct{};
//	    };
//	} FramedContentAuthData;
type FramedContentAuthData struct {
	Signature       []byte
	ConfirmationTag []byte // commit
}

// EncodeFor writes a, which belongs to content of type t.
func (a FramedContentAuthData) EncodeFor(w *Writer, t ContentType) {
	w.Opaque(a.Signature)
	if t == ContentTypeCommit {
		w.Opaque(a.ConfirmationTag)
	}
}

// DecodeFor reads a, which belongs to content of type t.
func (a *FramedContentAuthData) DecodeFor(r *Reader, t ContentType) {
	a.Signature = r.Opaque()
	if t == ContentTypeCommit {
		a.ConfirmationTag = r.Opaque()
	}
}

// An AuthenticatedContent is a message as its receivers understand it,
// whichever way it was protected (RFC 9420, Section 6).
//
//	struct {
//	    WireFormat wire_format;
//	    FramedContent content;
//	    FramedContentAuthData auth;
//	} AuthenticatedContent;
type AuthenticatedContent struct {
	WireFormat WireFormat
	Content    FramedContent
	Auth       FramedContentAuthData
}

// Encode writes c.
func (c AuthenticatedContent) Encode(w *Writer) {
	w.Uint16(uint16(c.WireFormat))
	c.Content.Encode(w)
	c.Auth.EncodeFor(w, c.Content.ContentType)
}

// Decode reads c.
func (c *AuthenticatedContent) Decode(r *Reader) {
	c.WireFormat = WireFormat(r.Uint16())
	c.Content.Decode(r)
	c.Auth.DecodeFor(r, c.Content.ContentType)
}

// TBS returns what the signature of c covers, in a group of that context,
// which may be nil where the sender is not bound to one.
func (c AuthenticatedContent) TBS(context *GroupContext) FramedContentTBS {
	return FramedContentTBS{WireFormat: c.WireFormat, Content: c.Content, Context: context}
}

// AuthenticatedContentTBM is what the membership tag covers (RFC 9420,
// Section 6.2).
//
//	struct {
//	  FramedContentTBS content_tbs;
//	  FramedContentAuthData auth;
//	} AuthenticatedContentTBM;
type AuthenticatedContentTBM struct {
	ContentTBS FramedContentTBS
	Auth       FramedContentAuthData
}

// Encode writes m.
func (m AuthenticatedContentTBM) Encode(w *Writer) {
	m.ContentTBS.Encode(w)
	m.Auth.EncodeFor(w, m.ContentTBS.Content.ContentType)
}
