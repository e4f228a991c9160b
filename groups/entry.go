package groups

import (
	"crypto/sha256"
	"fmt"

	"parley/mls/wire"
)

// A Seq numbers the entries of a room: 1, 2, 3, ... without gap.
type Seq uint64

// An Epoch numbers the keys of a room's group (RFC 9420, Section 8).
type Epoch uint64

// A Term is the owner's fencing token: it never falls.
type Term uint64

// A Hash is a SHA-256.
type Hash [32]byte

// String returns the first eight bytes in hex, enough to compare by eye.
func (h Hash) String() string { return fmt.Sprintf("%x", h[:8]) }

// EntryVersion is the version of EntryHeader this package writes and reads.
const EntryVersion = 1

// An EntryKind says what the body of an entry is.
type EntryKind uint8

// The kinds of entry. HubMove is reserved by the log format and not accepted
// by this version.
const (
	KindCreate EntryKind = iota + 1
	KindCommit
	KindProposal
	KindMessage
	KindKeyRecord
	KindHubMove
	KindFlag
)

var entryKindNames = [...]string{"", "create", "commit", "proposal", "message", "key_record", "hub_move", "flag"}

// String returns the kind's name.
func (k EntryKind) String() string {
	if int(k) < len(entryKindNames) && k != 0 {
		return entryKindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// EntryHeader is one link of a room's hash chain.
//
//	struct {
//	  uint8 version;
//	  opaque room<V>;
//	  uint64 seq;
//	  uint64 term;
//	  uint64 epoch;
//	  EntryKind kind;
//	  uint64 accepted_at;
//	  opaque body_hash[32];
//	  opaque prev[32];
//	} EntryHeader;
type EntryHeader struct {
	Room       RoomID
	Seq        Seq
	Term       Term
	Epoch      Epoch // the epoch the body belongs to, read from its MLS bytes
	Kind       EntryKind
	AcceptedAt uint64 // hub's clock, ms since 1970; information, never order
	BodyHash   Hash
	Prev       Hash // hash of the previous header, zero for seq 1
}

// Encode writes the header.
func (h *EntryHeader) Encode(w *wire.Writer) {
	w.Uint8(EntryVersion)
	w.String(string(h.Room))
	w.Uint64(uint64(h.Seq))
	w.Uint64(uint64(h.Term))
	w.Uint64(uint64(h.Epoch))
	w.Uint8(uint8(h.Kind))
	w.Uint64(h.AcceptedAt)
	w.Raw(h.BodyHash[:])
	w.Raw(h.Prev[:])
}

// Decode reads a header; an unknown version is malformed.
func (h *EntryHeader) Decode(r *wire.Reader) {
	if v := r.Uint8(); r.Err() == nil && v != EntryVersion {
		r.Fail(fmt.Errorf("%w: entry version %d", wire.ErrMalformed, v))
	}
	h.Room = RoomID(r.OpaqueMax(MaxName))
	h.Seq = Seq(r.Uint64())
	h.Term = Term(r.Uint64())
	h.Epoch = Epoch(r.Uint64())
	h.Kind = EntryKind(r.Uint8())
	h.AcceptedAt = r.Uint64()
	h.BodyHash = r.Hash()
	h.Prev = r.Hash()
}

// Hash returns SHA-256 of the encoded header: the room's head after it.
func (h *EntryHeader) Hash() Hash {
	var buf [512]byte
	w := wire.NewWriter(buf[:0])
	h.Encode(w)
	return sha256.Sum256(w.Bytes())
}

// An Entry is a header and its body as the device made it. Bodies of commits
// name their attachments (Welcome, GroupInfo) by hash; those travel beside the
// entry and are not part of it.
//
//	struct { EntryHeader header; opaque body<V>; } Entry;
type Entry struct {
	EntryHeader
	Body []byte
}

// Encode writes header and body.
func (e *Entry) Encode(w *wire.Writer) {
	e.EntryHeader.Encode(w)
	w.Opaque(e.Body)
}

// Decode reads header and body; the body aliases the input. It does not
// check the body's hash: Ledger.Verify does.
func (e *Entry) Decode(r *wire.Reader) {
	e.EntryHeader.Decode(r)
	e.Body = r.OpaqueMax(MaxBody)
}

// Marshal returns the encoded entry.
func (e *Entry) Marshal() []byte {
	w := wire.NewWriter(make([]byte, 0, 192+len(e.Room)+len(e.Body)))
	e.Encode(w)
	return w.Bytes()
}

// ParseEntry reads one entry and nothing after it.
func ParseEntry(b []byte) (*Entry, error) {
	r := wire.NewReader(b)
	e := new(Entry)
	e.Decode(r)
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "entry: %w", err)
	}
	return e, nil
}
