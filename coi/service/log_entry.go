package service

import (
	"crypto/sha256"
	"fmt"
	"time"

	"parley/mls/wire"
)

// MaxAuditEntry bounds an entry of the log of uses, in bytes.
const MaxAuditEntry = 8 << 10

// maxAuditText bounds a text in an entry, in bytes; longer ones are cut.
const maxAuditText = 1 << 10

// A Decision is what an unwrap service did, or was told to do.
type Decision uint8

// The decisions that are logged.
const (
	Granted   Decision = iota + 1 // keys are about to be given out
	Refused                       // somebody who is known asked in vain
	Announced                     // a member has shown a newer key record
	Changed                       // an administrator changed who may use a CoI
	Exported                      // keys are about to be given to a case
)

var decisionNames = [...]string{"", "granted", "refused", "announced", "changed", "exported"}

// String returns the decision's name.
func (d Decision) String() string {
	if int(d) < len(decisionNames) {
		return decisionNames[d]
	}
	return fmt.Sprintf("decision(%d)", uint8(d))
}

// An AuditEntry is one leaf of the log of uses: who did what with the keys of
// which epochs of which room, by which right. Rooms are named by a salted hash,
// so that the log can be shown to a witness; who has the salt finds a room.
//
//	struct {
//	  uint8 version; uint8 decision; uint64 time;
//	  opaque actor<V>; opaque certificate[32]; opaque coi<V>;
//	  opaque room[32]; uint64 first; uint64 last; uint32 count;
//	  uint64 newest; opaque newest_context[32];
//	  opaque policy[32]; opaque request[32];
//	  opaque case<V>; opaque reason<V>; opaque why<V>;
//	} AuditEntry;
type AuditEntry struct {
	Decision      Decision
	Time          time.Time // in milliseconds
	Actor         string    // URI of the device, or who gave the command
	Certificate   [32]byte  // SHA-256 of the actor's certificate
	CoI           string
	Room          [32]byte // SHA-256(salt || room URI), zero where there is none
	First, Last   uint64   // epochs
	Count         uint32   // of keys
	Newest        uint64   // epoch of the newest key record proven for the room
	NewestContext [32]byte // and the hash of its GroupContext
	Policy        [32]byte // SHA-256 of the policy the last key was made under
	Request       [32]byte // SHA-256 of the request
	Case          string   // ID of the case, empty for devices
	Reason        string   // what the caller said
	Why           string   // why it was refused, or what was changed
}

// Marshal writes the entry: the bytes that the tree hashes. Texts are cut at
// their limit.
func (e *AuditEntry) Marshal() []byte {
	w := wire.NewWriter(make([]byte, 0, 512))
	w.Uint8(1)
	w.Uint8(uint8(e.Decision))
	w.Uint64(uint64(e.Time.UnixMilli()))
	w.String(cut(e.Actor))
	w.Raw(e.Certificate[:])
	w.String(cut(e.CoI))
	w.Raw(e.Room[:])
	w.Uint64(e.First)
	w.Uint64(e.Last)
	w.Uint32(e.Count)
	w.Uint64(e.Newest)
	w.Raw(e.NewestContext[:])
	w.Raw(e.Policy[:])
	w.Raw(e.Request[:])
	w.String(cut(e.Case))
	w.String(cut(e.Reason))
	w.String(cut(e.Why))
	return w.Bytes()
}

// ParseAuditEntry reads what Marshal wrote.
func ParseAuditEntry(data []byte) (*AuditEntry, error) {
	r := wire.NewReader(data)
	if v := r.Uint8(); r.Err() == nil && v != 1 {
		return nil, fmt.Errorf("entry of unknown version %d", v)
	}
	e := &AuditEntry{Decision: Decision(r.Uint8())}
	e.Time = time.UnixMilli(int64(r.Uint64())).UTC()
	text := func() string { return string(r.OpaqueMax(maxAuditText)) }
	e.Actor = text()
	e.Certificate = r.Hash()
	e.CoI = text()
	e.Room = r.Hash()
	e.First, e.Last, e.Count = r.Uint64(), r.Uint64(), r.Uint32()
	e.Newest, e.NewestContext = r.Uint64(), r.Hash()
	e.Policy, e.Request = r.Hash(), r.Hash()
	e.Case, e.Reason, e.Why = text(), text(), text()
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	return e, nil
}

// cut shortens a text to what an entry holds.
func cut(s string) string { return s[:min(len(s), maxAuditText)] }

// hashRoom names a room in a log that has this salt.
func hashRoom(salt []byte, room string) [32]byte {
	return sha256.Sum256(append(append([]byte(nil), salt...), room...))
}
