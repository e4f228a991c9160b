package wire

// An MLSMessage is the outermost frame of all that travels (RFC 9420,
// Section 6). The field that WireFormat names is set, the others are nil.
//
//	struct {
//	    ProtocolVersion version = mls10;
//	    WireFormat wire_format;
//	    select (MLSMessage.wire_format) {
//	        case mls_public_message:
//	            PublicMessage public_message;
//	        case mls_private_message:
//	            PrivateMessage private_message;
//	        case mls_welcome:
//	            Welcome welcome;
//	        case mls_group_info:
//	            GroupInfo group_info;
//	        case mls_key_package:
//	            KeyPackage key_package;
//	    };
//	} MLSMessage;
type MLSMessage struct {
	WireFormat     WireFormat
	PublicMessage  *PublicMessage
	PrivateMessage *PrivateMessage
	Welcome        *Welcome
	GroupInfo      *GroupInfo
	KeyPackage     *KeyPackage
}

// Encode writes m.
func (m MLSMessage) Encode(w *Writer) {
	w.Uint16(uint16(MLS10))
	w.Uint16(uint16(m.WireFormat))
	switch m.WireFormat {
	case WireFormatPublicMessage:
		m.PublicMessage.Encode(w)
	case WireFormatPrivateMessage:
		m.PrivateMessage.Encode(w)
	case WireFormatWelcome:
		m.Welcome.Encode(w)
	case WireFormatGroupInfo:
		m.GroupInfo.Encode(w)
	case WireFormatKeyPackage:
		m.KeyPackage.Encode(w)
	default:
		panic("BUG: encode message of unknown wire format")
	}
}

// Decode reads m.
func (m *MLSMessage) Decode(r *Reader) {
	decodeMLS10(r)
	m.WireFormat = WireFormat(r.Uint16())
	switch m.WireFormat {
	case WireFormatPublicMessage:
		m.PublicMessage = decodeNew[PublicMessage](r)
	case WireFormatPrivateMessage:
		m.PrivateMessage = decodeNew[PrivateMessage](r)
	case WireFormatWelcome:
		m.Welcome = decodeNew[Welcome](r)
	case WireFormatGroupInfo:
		m.GroupInfo = decodeNew[GroupInfo](r)
	case WireFormatKeyPackage:
		m.KeyPackage = decodeNew[KeyPackage](r)
		if v := m.KeyPackage.Version; v != MLS10 {
			unknown(r, ErrUnknownVersion, v) // Section 10: the same as the frame's
		}
	default:
		unknown(r, ErrUnknownWireFormat, m.WireFormat)
	}
}

// A PublicMessage is signed, not encrypted (RFC 9420, Section 6.2). A member's
// has a MembershipTag, others do not.
//
//	struct {
//	    FramedContent content;
//	    FramedContentAuthData auth;
//	    select (PublicMessage.content.sender.sender_type) {
//	        case member:
//	            MAC membership_tag;
//	        case external:
//	        case new_member_commit:
//	        case new_member_proposal:
//	            struct{};
//	    };
//	} PublicMessage;
type PublicMessage struct {
	Content       FramedContent
	Auth          FramedContentAuthData
	MembershipTag []byte // member
}

// Encode writes m.
func (m PublicMessage) Encode(w *Writer) {
	m.Content.Encode(w)
	m.Auth.EncodeFor(w, m.Content.ContentType)
	if m.Content.Sender.SenderType == SenderTypeMember {
		w.Opaque(m.MembershipTag)
	}
}

// Decode reads m.
func (m *PublicMessage) Decode(r *Reader) {
	m.Content.Decode(r)
	m.Auth.DecodeFor(r, m.Content.ContentType)
	if m.Content.Sender.SenderType == SenderTypeMember {
		m.MembershipTag = r.Opaque()
	}
}

// Authenticated returns m without its membership tag.
func (m PublicMessage) Authenticated() AuthenticatedContent {
	return AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: m.Content, Auth: m.Auth}
}
