package wire

// A Sender says who sent a FramedContent (RFC 9420, Section 6).
//
//	struct {
//	    SenderType sender_type;
//	    select (Sender.sender_type) {
//	        case member:
//	            uint32 leaf_index;
//	        case external:
//	            uint32 sender_index;
//	        case new_member_commit:
//	        case new_member_proposal:
//	            struct{};
//	    };
//	} Sender;
type Sender struct {
	SenderType  SenderType
	LeafIndex   LeafIndex // member
	SenderIndex uint32    // external
}

// Member is the sender at leaf i.
func Member(i LeafIndex) Sender { return Sender{SenderType: SenderTypeMember, LeafIndex: i} }

// Encode writes s.
func (s Sender) Encode(w *Writer) {
	w.Uint8(uint8(s.SenderType))
	switch s.SenderType {
	case SenderTypeMember:
		w.Uint32(uint32(s.LeafIndex))
	case SenderTypeExternal:
		w.Uint32(s.SenderIndex)
	case SenderTypeNewMemberProposal, SenderTypeNewMemberCommit:
	default:
		panic("BUG: encode sender of unknown type")
	}
}

// Decode reads s.
func (s *Sender) Decode(r *Reader) {
	s.SenderType = SenderType(r.Uint8())
	switch s.SenderType {
	case SenderTypeMember:
		s.LeafIndex = LeafIndex(r.Uint32())
	case SenderTypeExternal:
		s.SenderIndex = r.Uint32()
	case SenderTypeNewMemberProposal, SenderTypeNewMemberCommit:
	default:
		unknown(r, ErrUnknownSenderType, s.SenderType)
	}
}

// A FramedContent is what one message says (RFC 9420, Section 6). The field
// that ContentType names is set.
//
//	struct {
//	    opaque group_id<V>;
//	    uint64 epoch;
//	    Sender sender;
//	    opaque authenticated_data<V>;
//
//	    ContentType content_type;
//	    select (FramedContent.content_type) {
//	        case application:
//	          opaque application_data<V>;
//	        case proposal:
//	          Proposal proposal;
//	        case commit:
//	          Commit commit;
//	    };
//	} FramedContent;
type FramedContent struct {
	GroupID           []byte
	Epoch             uint64
	Sender            Sender
	AuthenticatedData []byte
	ContentType       ContentType
	ApplicationData   []byte    // application
	Proposal          *Proposal // proposal
	Commit            *Commit   // commit
}

// Encode writes c.
func (c FramedContent) Encode(w *Writer) {
	w.Opaque(c.GroupID)
	w.Uint64(c.Epoch)
	c.Sender.Encode(w)
	w.Opaque(c.AuthenticatedData)
	w.Uint8(uint8(c.ContentType))
	c.encodeContent(w)
}

// Decode reads c.
func (c *FramedContent) Decode(r *Reader) {
	c.GroupID = r.Opaque()
	c.Epoch = r.Uint64()
	c.Sender.Decode(r)
	c.AuthenticatedData = r.Opaque()
	c.ContentType = decodeContentType(r)
	c.decodeContent(r)
}

// encodeContent writes the select of content_type.
func (c *FramedContent) encodeContent(w *Writer) {
	switch c.ContentType {
	case ContentTypeApplication:
		w.Opaque(c.ApplicationData)
	case ContentTypeProposal:
		c.Proposal.Encode(w)
	case ContentTypeCommit:
		c.Commit.Encode(w)
	default:
		panic("BUG: encode content of unknown type")
	}
}

// decodeContent reads the select of content_type.
func (c *FramedContent) decodeContent(r *Reader) {
	switch c.ContentType {
	case ContentTypeApplication:
		c.ApplicationData = r.Opaque()
	case ContentTypeProposal:
		c.Proposal = decodeNew[Proposal](r)
	case ContentTypeCommit:
		c.Commit = decodeNew[Commit](r)
	}
}

// decodeContentType reads a content type that is known.
func decodeContentType(r *Reader) ContentType {
	t := ContentType(r.Uint8())
	if t < ContentTypeApplication || t > ContentTypeCommit {
		unknown(r, ErrUnknownContentType, t)
	}
	return t
}
