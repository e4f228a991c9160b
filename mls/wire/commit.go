package wire

// ProposalOrRefType says how a commit covers a proposal (RFC 9420,
// Section 12.4).
type ProposalOrRefType uint8

// The ways of RFC 9420.
const (
	ProposalOrRefTypeProposal  ProposalOrRefType = 1
	ProposalOrRefTypeReference ProposalOrRefType = 2
)

// String returns the name of the RFC, or the number.
func (t ProposalOrRefType) String() string { return name(t, "proposal", "reference") }

// A ProposalOrRef covers a proposal by value or by the hash of the
// AuthenticatedContent that carried it (RFC 9420, Section 12.4).
//
//	struct {
//	  ProposalOrRefType type;
//	  select (ProposalOrRef.type) {
//	    case proposal:  Proposal proposal;
//	    case reference: ProposalRef reference;
//	  };
//	} ProposalOrRef;
type ProposalOrRef struct {
	Type      ProposalOrRefType
	Proposal  *Proposal // proposal
	Reference []byte    // reference
}

// ByValue covers p by value.
func ByValue(p Proposal) ProposalOrRef {
	return ProposalOrRef{Type: ProposalOrRefTypeProposal, Proposal: &p}
}

// ByReference covers the proposal of that ProposalRef.
func ByReference(ref []byte) ProposalOrRef {
	return ProposalOrRef{Type: ProposalOrRefTypeReference, Reference: ref}
}

// Encode writes p.
func (p ProposalOrRef) Encode(w *Writer) {
	w.Uint8(uint8(p.Type))
	switch p.Type {
	case ProposalOrRefTypeProposal:
		p.Proposal.Encode(w)
	case ProposalOrRefTypeReference:
		w.Opaque(p.Reference)
	default:
		panic("BUG: encode proposal or reference of unknown type")
	}
}

// Decode reads p.
func (p *ProposalOrRef) Decode(r *Reader) {
	p.Type = ProposalOrRefType(r.Uint8())
	switch p.Type {
	case ProposalOrRefTypeProposal:
		p.Proposal = decodeNew[Proposal](r)
	case ProposalOrRefTypeReference:
		p.Reference = r.Opaque()
	default:
		unknown(r, ErrUnknownProposalOrRefType, p.Type)
	}
}

// A Commit begins a new epoch (RFC 9420, Section 12.4). A nil Path is an
// absent one.
//
//	struct {
//	    ProposalOrRef proposals<V>;
//	    optional<UpdatePath> path;
//	} Commit;
type Commit struct {
	Proposals []ProposalOrRef
	Path      *UpdatePath
}

// Encode writes c.
func (c Commit) Encode(w *Writer) {
	encodeList(w, c.Proposals)
	w.Bool(c.Path != nil)
	if c.Path != nil {
		c.Path.Encode(w)
	}
}

// Decode reads c.
func (c *Commit) Decode(r *Reader) {
	c.Proposals = decodeList[ProposalOrRef](r)
	c.Path = nil
	if r.Bool() {
		c.Path = decodeNew[UpdatePath](r)
	}
}
