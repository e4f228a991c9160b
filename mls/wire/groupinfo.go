package wire

// A GroupInfo lets a newcomer verify the state of a group (RFC 9420,
// Section 12.4.3).
//
//	struct {
//	    GroupContext group_context;
//	    Extension extensions<V>;
//	    MAC confirmation_tag;
//	    uint32 signer;
//	    /* SignWithLabel(., "GroupInfoTBS", GroupInfoTBS) */
//	    opaque signature<V>;
//	} GroupInfo;
type GroupInfo struct {
	GroupContext    GroupContext
	Extensions      Extensions
	ConfirmationTag []byte
	Signer          LeafIndex
	Signature       []byte
}

// Encode writes g.
func (g GroupInfo) Encode(w *Writer) {
	GroupInfoTBS(g).Encode(w)
	w.Opaque(g.Signature)
}

// Decode reads g.
func (g *GroupInfo) Decode(r *Reader) {
	g.GroupContext.Decode(r)
	g.Extensions.Decode(r)
	g.ConfirmationTag = r.Opaque()
	g.Signer = LeafIndex(r.Uint32())
	g.Signature = r.Opaque()
}

// GroupInfoTBS is what the signature of a GroupInfo covers: all but itself
// (RFC 9420, Section 12.4.3).
//
//	struct {
//	    GroupContext group_context;
//	    Extension extensions<V>;
//	    MAC confirmation_tag;
//	    uint32 signer;
//	} GroupInfoTBS;
type GroupInfoTBS GroupInfo

// Encode writes g without its signature.
func (g GroupInfoTBS) Encode(w *Writer) {
	g.GroupContext.Encode(w)
	g.Extensions.Encode(w)
	w.Opaque(g.ConfirmationTag)
	w.Uint32(uint32(g.Signer))
}
