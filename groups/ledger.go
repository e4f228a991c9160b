package groups

import (
	"maps"
	"slices"

	"parley/mls/tree"
	"parley/mls/wire"
)

// A Ledger is one room at one point of its log: what may come next is decided
// by it and nothing else. It is a value: Accept and Verify return the next one
// in a Step and leave it as it was, to the byte. It is safe for many goroutines.
type Ledger struct {
	directory Directory
	head      Head
	room      *epochState // shared by the ledgers of one epoch
	messages  uint64      // entries of kind message in this epoch
}

// epochState is what stays the same from commit to commit.
type epochState struct {
	observer *tree.Observer
	policy   Policy
	roster   roster
	left     map[SiteID]Seq // sites that had devices or readers and have none
	began    uint64         // AcceptedAt of the entry that began the epoch
	keys     keyState
}

// A Step is what an entry does: the next ledger, and what has to become
// durable with it.
type Step struct {
	Next        *Ledger
	Entry       Entry
	Stamp       AuthenticatedData
	Attachments [][]byte   // to be kept by hash
	GroupInfo   []byte     // of the new epoch, nil if the epoch stays
	Added       []DeviceID // members since this entry
	Removed     []DeviceID // members until this entry
	Welcome     []byte     // for Added, nil if there are none
	Tree        []byte     // public tree of the new epoch, nil if Added is empty
	KeyRecord   *KeyRecord // that the entry brought, nil if none
}

// NewLedger returns the ledger of a room before its first entry.
func NewLedger(room RoomID, d Directory) *Ledger {
	return &Ledger{directory: d, head: Head{Room: room}}
}

// Head returns where the log stands; Seq is 0 before the first entry.
func (l *Ledger) Head() Head { return l.head }

// Policy returns the room's policy.
func (l *Ledger) Policy() Policy {
	if l.room == nil {
		return Policy{}
	}
	return l.room.policy
}

// Member says whether a device is in the room now.
func (l *Ledger) Member(d DeviceID) bool {
	if l.room == nil {
		return false
	}
	_, ok := l.room.roster.lookup(d)
	return ok
}

// Members returns the number of devices in the room.
func (l *Ledger) Members() int {
	if l.room == nil {
		return 0
	}
	return l.room.roster.n
}

// Devices returns the devices in the room, sorted. It takes time in proportion
// to their number.
func (l *Ledger) Devices() []DeviceID {
	if l.room == nil {
		return nil
	}
	all := l.room.roster.all()
	devices := make([]DeviceID, len(all))
	for i, m := range all {
		devices[i] = m.device
	}
	slices.Sort(devices)
	return devices
}

// Sites returns the sites that have devices in the room, sorted.
func (l *Ledger) Sites() []SiteID {
	if l.room == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(l.room.roster.sites))
}

// Readers returns the sites whose devices may read the room without a leaf,
// sorted.
func (l *Ledger) Readers() []SiteID {
	if l.room == nil {
		return nil
	}
	return l.room.policy.readerSites()
}

// Left returns the sites whose last device is gone, or last right to read, and
// with which entry: the last that they get.
func (l *Ledger) Left() map[SiteID]Seq {
	if l.room == nil {
		return nil
	}
	return maps.Clone(l.room.left)
}

// Tree returns the public tree of the current epoch as the ratchet_tree
// extension has it (RFC 9420, Section 12.4.3.3).
func (l *Ledger) Tree() []byte {
	if l.room == nil {
		return nil
	}
	return wire.Marshal(l.room.observer.Tree())
}

// KeyRecord returns the record of the current epoch's key; nil if the epoch is
// bare or the policy names no communities. It must not be changed.
func (l *Ledger) KeyRecord() *KeyRecord {
	if l.room == nil {
		return nil
	}
	return l.room.keys.record
}

// LastRecord returns the hash that the room's next key record has to follow,
// zero if there was none yet. That record may not be made before the last one.
func (l *Ledger) LastRecord() Hash {
	if l.room == nil {
		return Hash{}
	}
	return l.room.keys.last
}

// stale says where the room is to somebody who is elsewhere.
func (l *Ledger) stale(format string, args ...any) error {
	e := Errorf(StaleEpoch, format, args...)
	e.Epoch, e.Seq = l.head.Epoch, l.head.Seq
	return e
}
