package storage

import (
	"encoding/binary"
	"time"

	"parley/groups"
)

// The first byte of a key says what the row is. Numbers are big-endian, so
// that the order of keys is the order of what they count; names end in a zero
// byte, which no name contains.
const (
	rowSerial     = 'q' // -> serial of the last batch
	rowKeyFloor   = 'f' // -> serial up to which key packages are not trusted
	rowRoom       = 'r' // room name -> number, owner
	rowHead       = 'h' // number -> where the log stands, signed head
	rowFence      = 'g' // number -> what was given up, the head that a follower has shown
	rowMend       = 'l' // number -> 1: its log was found damaged, see mend.go
	rowInfo       = 'i' // number -> members, sites, GroupInfo
	rowSegment    = 'e' // number, last seq -> consecutive entries
	rowSnapshot   = 'n' // number -> seq, hash of a ledger's snapshot
	rowStay       = 'm' // device 0 number seq -> what the entry did to its membership
	rowWelcome    = 'w' // device 0 number seq -> Welcome route
	rowTreeUse    = 't' // tree hash, device 0 number seq -> nothing
	rowCursor     = 'c' // device 0 room -> seq
	rowKeyPackage = 'k' // user 0 device name 0 suite order -> key package
	rowDevice     = 'd' // user 0 device name -> last seen
	rowHeld       = 'a' // hash -> size: bytes the log refers to
	rowHeldChunk  = 'A' // hash, index -> chunk
	rowBlob       = 'b' // hash -> size, have, touched: what devices uploaded
	rowBlobChunk  = 'B' // hash, index -> chunk
	rowPartial    = 'p' // hash -> nothing: a blob that is not complete
	rowWanted     = 'x' // hash -> site to ask: a blob that is not here
)

// A row is one key and its value on its way to Badger.
type row struct {
	key, value []byte
	gone       bool          // delete it
	life       time.Duration // after which Badger forgets it; zero: never
}

// rowOverhead is what a row costs a transaction beside its bytes, rounded up.
const rowOverhead = 64

func weigh(rows []row) int {
	n := 0
	for _, r := range rows {
		n += len(r.key) + len(r.value) + rowOverhead
	}
	return n
}

// numberKey is the key of a room's only row of a kind.
func numberKey(kind byte, room uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, room)
}

// segmentKey is the key of the segment whose last entry is seq. Segments are
// found by their last entry, so that a seek to seq lands on the one that holds
// it.
func segmentKey(room uint64, seq groups.Seq) []byte {
	k := make([]byte, 0, segmentKeyLen)
	k = append(k, rowSegment)
	k = binary.BigEndian.AppendUint64(k, room)
	return binary.BigEndian.AppendUint64(k, uint64(seq))
}

// nameKey is kind, name, zero: a key, or the prefix of a name's rows.
func nameKey[N ~string](kind byte, name N) []byte {
	k := make([]byte, 0, len(name)+18)
	k = append(k, kind)
	k = append(k, name...)
	return append(k, 0)
}

// deviceKey is a device's row for a room.
func deviceKey(kind byte, d groups.DeviceID, room uint64) []byte {
	return binary.BigEndian.AppendUint64(nameKey(kind, d), room)
}

// stayKey is what an entry of a room did to a device's membership.
func stayKey(d groups.DeviceID, room uint64, seq groups.Seq) []byte {
	return binary.BigEndian.AppendUint64(deviceKey(rowStay, d, room), uint64(seq))
}

// welcomeKey is the route of a device's Welcome.
func welcomeKey(d groups.DeviceID, room uint64, seq groups.Seq) []byte {
	return binary.BigEndian.AppendUint64(deviceKey(rowWelcome, d, room), uint64(seq))
}

// hashKey is the key of what a hash names.
func hashKey(kind byte, h groups.Hash) []byte {
	return append([]byte{kind}, h[:]...)
}

// chunkKey is the key of a chunk of what a hash names.
func chunkKey(kind byte, h groups.Hash, index uint32) []byte {
	return binary.BigEndian.AppendUint32(hashKey(kind, h), index)
}
