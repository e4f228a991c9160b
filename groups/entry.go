package groups

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
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

// Hex returns all of the hash, to be compared with what another tool prints.
func (h Hash) Hex() string { return hex.EncodeToString(h[:]) }

// MarshalText writes all of the hash in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.Hex()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 2*len(h) {
		return Errorf(Invalid, "a hash of %d digits: it has %d", len(b), 2*len(h))
	}
	var read Hash
	if _, err := hex.Decode(read[:], b); err != nil {
		return Errorf(Invalid, "hash: %w", err)
	}
	*h = read
	return nil
}

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
func (h *EntryHeader) Encode(w *wire.Writer) { w.Raw(h.append(make([]byte, 0, h.size()))) }

// append appends the encoded header. It is called for every message, more than
// once: where b has room it does not allocate.
func (h *EntryHeader) append(b []byte) []byte {
	b = append(b, EntryVersion)
	b = append(wire.AppendVarint(b, len(h.Room)), h.Room...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Term))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Epoch))
	b = append(b, uint8(h.Kind))
	b = binary.BigEndian.AppendUint64(b, h.AcceptedAt)
	b = append(b, h.BodyHash[:]...)
	return append(b, h.Prev[:]...)
}

// size is the room that the encoded header needs, at most.
func (h *EntryHeader) size() int { return 1 + 4 + len(h.Room) + 4*8 + 1 + 2*len(Hash{}) }

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

// maxHeader is the room for a header of any room, in bytes.
const maxHeader = 512

// Hash returns SHA-256 of the encoded header: the room's head after it.
func (h *EntryHeader) Hash() Hash {
	var buf [maxHeader]byte
	return sha256.Sum256(h.append(buf[:0]))
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

// Decode reads header and body; the body aliases the input. It does not
// check the body's hash: Ledger.Verify does.
func (e *Entry) Decode(r *wire.Reader) {
	e.EntryHeader.Decode(r)
	e.Body = r.OpaqueMax(MaxBody)
}

// Marshal returns the encoded entry.
func (e *Entry) Marshal() []byte {
	b := e.append(make([]byte, 0, e.size()+4+len(e.Body)))
	return append(wire.AppendVarint(b, len(e.Body)), e.Body...)
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
