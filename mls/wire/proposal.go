package wire

// A Proposal proposes one change to a group (RFC 9420, Section 12.1). The
// field that ProposalType names is set, the others are nil. A proposal of
// unknown type can not be read, since nothing says where it ends; those of
// private use are read as opaque data<V>, as other implementations write them.
// A self_remove, of draft-ietf-mls-extensions, is empty.
//
//	struct {
//	    ProposalType proposal_type;
//	    select (Proposal.proposal_type) {
//	        case add:                      Add;
//	        case update:                   Update;
//	        case remove:                   Remove;
//	        case psk:                      PreSharedKey;
//	        case reinit:                   ReInit;
//	        case external_init:            ExternalInit;
//	        case group_context_extensions: GroupContextExtensions;
//	        case self_remove:              struct{};
//	        case 0xf000..0xffff:           opaque data<V>;
//	    };
//	} Proposal;
type Proposal struct {
	ProposalType           ProposalType
	Add                    *Add
	Update                 *Update
	Remove                 *Remove
	PreSharedKey           *PreSharedKey
	ReInit                 *ReInit
	ExternalInit           *ExternalInit
	GroupContextExtensions *GroupContextExtensions
	Data                   []byte // of private use
}

// Encode writes p.
func (p Proposal) Encode(w *Writer) {
	w.Uint16(uint16(p.ProposalType))
	switch p.ProposalType {
	case ProposalTypeAdd:
		p.Add.Encode(w)
	case ProposalTypeUpdate:
		p.Update.Encode(w)
	case ProposalTypeRemove:
		p.Remove.Encode(w)
	case ProposalTypePSK:
		p.PreSharedKey.Encode(w)
	case ProposalTypeReInit:
		p.ReInit.Encode(w)
	case ProposalTypeExternalInit:
		p.ExternalInit.Encode(w)
	case ProposalTypeGroupContextExtensions:
		p.GroupContextExtensions.Encode(w)
	case ProposalTypeSelfRemove:
	default:
		if !p.ProposalType.IsPrivate() {
			panic("BUG: encode proposal of unknown type")
		}
		w.Opaque(p.Data)
	}
}

// Decode reads p.
func (p *Proposal) Decode(r *Reader) {
	p.ProposalType = ProposalType(r.Uint16())
	switch p.ProposalType {
	case ProposalTypeAdd:
		p.Add = decodeNew[Add](r)
	case ProposalTypeUpdate:
		p.Update = decodeNew[Update](r)
	case ProposalTypeRemove:
		p.Remove = decodeNew[Remove](r)
	case ProposalTypePSK:
		p.PreSharedKey = decodeNew[PreSharedKey](r)
	case ProposalTypeReInit:
		p.ReInit = decodeNew[ReInit](r)
	case ProposalTypeExternalInit:
		p.ExternalInit = decodeNew[ExternalInit](r)
	case ProposalTypeGroupContextExtensions:
		p.GroupContextExtensions = decodeNew[GroupContextExtensions](r)
	case ProposalTypeSelfRemove:
	default:
		if !p.ProposalType.IsPrivate() {
			unknown(r, ErrUnknownProposalType, p.ProposalType)
		}
		p.Data = r.Opaque()
	}
}

// decodeNew reads a T into memory of its own.
func decodeNew[T any, P decoderOf[T]](r *Reader) *T {
	v := new(T)
	P(v).Decode(r)
	return v
}

// Add proposes a new member (RFC 9420, Section 12.1.1).
//
//	struct {
//	    KeyPackage key_package;
//	} Add;
type Add struct {
	KeyPackage KeyPackage
}

// Encode writes p.
func (p Add) Encode(w *Writer) { p.KeyPackage.Encode(w) }

// Decode reads p.
func (p *Add) Decode(r *Reader) { p.KeyPackage.Decode(r) }

// Update proposes a new leaf node for its sender (RFC 9420, Section 12.1.2).
//
//	struct {
//	    LeafNode leaf_node;
//	} Update;
type Update struct {
	LeafNode LeafNode
}

// Encode writes p.
func (p Update) Encode(w *Writer) { p.LeafNode.Encode(w) }

// Decode reads p.
func (p *Update) Decode(r *Reader) { p.LeafNode.Decode(r) }

// Remove proposes to remove a member (RFC 9420, Section 12.1.3).
//
//	struct {
//	    uint32 removed;
//	} Remove;
type Remove struct {
	Removed LeafIndex
}

// Encode writes p.
func (p Remove) Encode(w *Writer) { w.Uint32(uint32(p.Removed)) }

// Decode reads p.
func (p *Remove) Decode(r *Reader) { p.Removed = LeafIndex(r.Uint32()) }

// PreSharedKey proposes to mix in a pre-shared key (RFC 9420,
// Section 12.1.4).
//
//	struct {
//	    PreSharedKeyID psk;
//	} PreSharedKey;
type PreSharedKey struct {
	PSK PreSharedKeyID
}

// Encode writes p.
func (p PreSharedKey) Encode(w *Writer) { p.PSK.Encode(w) }

// Decode reads p.
func (p *PreSharedKey) Decode(r *Reader) { p.PSK.Decode(r) }

// ReInit proposes to end the group and begin it anew (RFC 9420,
// Section 12.1.5).
//
//	struct {
//	    opaque group_id<V>;
//	    ProtocolVersion version;
//	    CipherSuite cipher_suite;
//	    Extension extensions<V>;
//	} ReInit;
type ReInit struct {
	GroupID     []byte
	Version     ProtocolVersion
	CipherSuite CipherSuite
	Extensions  Extensions
}

// Encode writes p.
func (p ReInit) Encode(w *Writer) {
	w.Opaque(p.GroupID)
	w.Uint16(uint16(p.Version))
	w.Uint16(uint16(p.CipherSuite))
	p.Extensions.Encode(w)
}

// Decode reads p.
func (p *ReInit) Decode(r *Reader) {
	p.GroupID = r.Opaque()
	p.Version = ProtocolVersion(r.Uint16())
	p.CipherSuite = CipherSuite(r.Uint16())
	p.Extensions.Decode(r)
}

// ExternalInit carries the init secret of one who joins by external commit
// (RFC 9420, Section 12.1.6).
//
//	struct {
//	  opaque kem_output<V>;
//	} ExternalInit;
type ExternalInit struct {
	KEMOutput []byte
}

// Encode writes p.
func (p ExternalInit) Encode(w *Writer) { w.Opaque(p.KEMOutput) }

// Decode reads p.
func (p *ExternalInit) Decode(r *Reader) { p.KEMOutput = r.Opaque() }

// GroupContextExtensions proposes to replace all extensions of the
// GroupContext (RFC 9420, Section 12.1.7).
//
//	struct {
//	  Extension extensions<V>;
//	} GroupContextExtensions;
type GroupContextExtensions struct {
	Extensions Extensions
}

// Encode writes p.
func (p GroupContextExtensions) Encode(w *Writer) { p.Extensions.Encode(w) }

// Decode reads p.
func (p *GroupContextExtensions) Decode(r *Reader) { p.Extensions.Decode(r) }
