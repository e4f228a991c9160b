package groups

import "parley/mls/wire"

// A CommitBundle is the body of a commit entry. The Welcome and the GroupInfo
// of the new epoch (without tree) travel beside it, bound by hash, so that a
// member that needs neither does not download them. The key record of the new
// epoch is in it, where the room's policy names Communities of Interest.
//
//	struct {
//	  opaque commit<V>;                    // MLSMessage, PublicMessage
//	  optional<Hash> welcome;              // SHA-256 of the MLSMessage
//	  Hash group_info;                     // SHA-256 of the MLSMessage
//	  optional<opaque> key_record<V>;      // KeyRecord
//	  select (more octets follow) {
//	    case true: Warrant warrants<V>;    // at least one
//	  }
//	} CommitBundle;
type CommitBundle struct {
	Commit    []byte
	Welcome   *Hash
	GroupInfo Hash
	KeyRecord []byte // nil if there is none
	Warrants  []Warrant
}

// Marshal returns the body.
func (c *CommitBundle) Marshal() []byte {
	w := wire.NewWriter(make([]byte, 0, len(c.Commit)+len(c.KeyRecord)+80))
	w.Opaque(c.Commit)
	w.Bool(c.Welcome != nil)
	if c.Welcome != nil {
		w.Raw(c.Welcome[:])
	}
	w.Raw(c.GroupInfo[:])
	encodeOptionalRecord(w, c.KeyRecord)
	encodeWarrants(w, c.Warrants)
	return w.Bytes()
}

// ParseCommitBundle reads the body of a commit entry; what it holds is not
// parsed.
func ParseCommitBundle(b []byte) (*CommitBundle, error) {
	r := wire.NewReader(b)
	c := &CommitBundle{Commit: r.OpaqueMax(MaxBody)}
	if r.Bool() {
		h := Hash(r.Hash())
		c.Welcome = &h
	}
	c.GroupInfo = r.Hash()
	c.KeyRecord = decodeOptionalRecord(r)
	c.Warrants = decodeWarrants(r)
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "commit bundle: %w", err)
	}
	return c, nil
}

// A Genesis is the body of a create entry: the creator's signed GroupInfo of
// epoch 0, with the ratchet_tree extension of its single leaf and the room's
// policy in the GroupContext. The room's URI is the group id.
//
//	struct {
//	  opaque group_info<V>;
//	  AuthenticatedData stamp<V>;
//	  optional<opaque> key_record<V>;      // KeyRecord of epoch 0
//	} Genesis;
type Genesis struct {
	GroupInfo []byte // MLSMessage
	Stamp     AuthenticatedData
	KeyRecord []byte // nil if there is none
}

// Marshal returns the body.
func (g *Genesis) Marshal() []byte {
	w := wire.NewWriter(nil)
	w.Opaque(g.GroupInfo)
	w.Opaque(g.Stamp.Marshal())
	encodeOptionalRecord(w, g.KeyRecord)
	return w.Bytes()
}

// ParseGenesis reads the body of a create entry.
func ParseGenesis(b []byte) (*Genesis, error) {
	r := wire.NewReader(b)
	g := &Genesis{GroupInfo: r.OpaqueMax(MaxBody)}
	stamp := r.OpaqueMax(MaxBody)
	g.KeyRecord = decodeOptionalRecord(r)
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "genesis: %w", err)
	}
	var err error
	g.Stamp, err = ParseAuthenticatedData(stamp)
	return g, err
}

// encodeOptionalRecord writes optional<opaque> key_record<V>.
func encodeOptionalRecord(w *wire.Writer, record []byte) {
	w.Bool(len(record) > 0)
	if len(record) > 0 {
		w.Opaque(record)
	}
}

// decodeOptionalRecord reads optional<opaque> key_record<V>; an empty one is
// malformed.
func decodeOptionalRecord(r *wire.Reader) []byte {
	if !r.Bool() {
		return nil
	}
	record := r.OpaqueMax(MaxKeyRecord)
	if len(record) == 0 {
		r.Fail(wire.ErrMalformed)
		return nil
	}
	return record
}
