package groups

import "parley/mls/wire"

// An Outcome is what became of a submission: a receipt with the signed head
// that covers it, or a refusal. Head may be nil when several outcomes of one
// batch share a head and another of them carried it.
type Outcome struct {
	ID      SubmissionID
	Receipt Receipt
	Head    *SignedHead
	Err     error
}

// A Stored is one entry as it lies in the log; Bytes is Entry.Marshal, shared
// by all readers and never written to.
type Stored struct {
	Seq   Seq
	Kind  EntryKind
	Bytes []byte
}

// A Page is a run of consecutive entries and the latest signed head.
type Page struct {
	Entries []Stored
	Head    *SignedHead
}

// A RoomInfo is what a node knows of a room.
type RoomInfo struct {
	Room    RoomID
	Owner   NodeID // node that orders it, as far as this node knows
	Owned   bool   // this node is the owner
	Head    Head
	Members int // devices
	Sites   []SiteID
	Left    map[SiteID]Seq // sites that get no more of it, and the last entry they get; nil when not known
	Readers []SiteID       // sites whose devices may read it without a leaf
	History HistoryMode    // what a member may read of the time before it joined
	Parked  string         // why it is read-only, empty when live
	Damaged bool           // parked until the node's next start, which mends its log
	Fenced  Seq            // entry that makes a parked room live again when a copy has refilled the log up to it, 0 if nothing does
}

// A Welcome is what a device needs to join a room.
type Welcome struct {
	Room      RoomID
	Seq       Seq // of the commit that added the device
	Epoch     Epoch
	Bytes     []byte // MLSMessage
	Tree      Hash   // of the public tree's bytes, a blob
	EntryHash Hash   // of the commit's header: where the device's chain begins
	Head      *SignedHead
	KeyRecord []byte // of the commit's epoch, nil if it has none
}

// A Replica is an entry on its way to a follower, with what its body names.
type Replica struct {
	Entry       *Entry
	Bytes       []byte // what Entry was parsed from, to be stored as it is; nil: Entry is encoded
	Attachments [][]byte
}

// A Batch is a run of consecutive entries of one room and a head signed by its
// hub at or after the last of them.
type Batch struct {
	Room    RoomID
	Entries []Replica
	Head    *SignedHead
}

// A KeyPackage is one device's, as its MLSMessage bytes (RFC 9420, Section 10).
type KeyPackage struct {
	Device DeviceID
	Suite  wire.CipherSuite
	Bytes  []byte
}

// A DeviceRecord is what a node knows of one of its site's devices.
type DeviceRecord struct {
	Device      DeviceID
	KeyPackages int    // unused ones
	LastSeen    uint64 // ms since 1970, of its last login; 0 if never
}
