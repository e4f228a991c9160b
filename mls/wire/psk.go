package wire

// PSKType says where a pre-shared key comes from (RFC 9420, Section 8.4).
type PSKType uint8

// The PSK types of RFC 9420.
const (
	PSKTypeExternal   PSKType = 1
	PSKTypeResumption PSKType = 2
)

// String returns the name of the RFC, or the number.
func (t PSKType) String() string { return name(t, "external", "resumption") }

// ResumptionPSKUsage says what a resumption PSK is used for (RFC 9420,
// Section 8.4).
type ResumptionPSKUsage uint8

// The usages of RFC 9420.
const (
	ResumptionPSKUsageApplication ResumptionPSKUsage = 1
	ResumptionPSKUsageReInit      ResumptionPSKUsage = 2
	ResumptionPSKUsageBranch      ResumptionPSKUsage = 3
)

// String returns the name of the RFC, or the number.
func (u ResumptionPSKUsage) String() string { return name(u, "application", "reinit", "branch") }

// A PreSharedKeyID names a pre-shared key (RFC 9420, Section 8.4).
//
//	struct {
//	  PSKType psktype;
//	  select (PreSharedKeyID.psktype) {
//	    case external:
//	      opaque psk_id<V>;
//
//	    case resumption:
//	      ResumptionPSKUsage usage;
//	      opaque psk_group_id<V>;
//	      uint64 psk_epoch;
//	  };
//	  opaque psk_nonce<V>;
//	} PreSharedKeyID;
type PreSharedKeyID struct {
	PSKType    PSKType
	PSKID      []byte             // external
	Usage      ResumptionPSKUsage // resumption
	PSKGroupID []byte             // resumption
	PSKEpoch   uint64             // resumption
	PSKNonce   []byte
}

// Encode writes p.
func (p PreSharedKeyID) Encode(w *Writer) {
	w.Uint8(uint8(p.PSKType))
	switch p.PSKType {
	case PSKTypeExternal:
		w.Opaque(p.PSKID)
	case PSKTypeResumption:
		w.Uint8(uint8(p.Usage))
		w.Opaque(p.PSKGroupID)
		w.Uint64(p.PSKEpoch)
	default:
		panic("BUG: encode psk of unknown type")
	}
	w.Opaque(p.PSKNonce)
}

// Decode reads p.
func (p *PreSharedKeyID) Decode(r *Reader) {
	p.PSKType = PSKType(r.Uint8())
	switch p.PSKType {
	case PSKTypeExternal:
		p.PSKID = r.Opaque()
	case PSKTypeResumption:
		p.Usage = ResumptionPSKUsage(r.Uint8())
		if p.Usage < ResumptionPSKUsageApplication || p.Usage > ResumptionPSKUsageBranch {
			unknown(r, ErrUnknownPSKType, p.Usage)
		}
		p.PSKGroupID = r.Opaque()
		p.PSKEpoch = r.Uint64()
	default:
		unknown(r, ErrUnknownPSKType, p.PSKType)
	}
	p.PSKNonce = r.Opaque()
}

// A PSKLabel places one pre-shared key among those of a commit (RFC 9420,
// Section 8.4).
//
//	struct {
//	    PreSharedKeyID id;
//	    uint16 index;
//	    uint16 count;
//	} PSKLabel;
type PSKLabel struct {
	ID    PreSharedKeyID
	Index uint16
	Count uint16
}

// Encode writes l.
func (l PSKLabel) Encode(w *Writer) {
	l.ID.Encode(w)
	w.Uint16(l.Index)
	w.Uint16(l.Count)
}
