package gateway

import (
	"context"
	"crypto"
	"time"

	"parley/groups"
	"parley/mls/wire"
)

// A Log is the room logs this node holds. It is safe for many goroutines.
type Log interface {
	// Read returns the entries after a sequence number, consecutive, of about
	// maxBytes together but at least one if there is one, and the latest signed
	// head. Their bytes are shared by all readers and never written to. An
	// unknown room is NotFound.
	Read(room groups.RoomID, after groups.Seq, maxBytes int) (groups.Page, error)
	// Watch calls wake after every durable change of the room, until stop.
	// wake does not block. A call of wake may still run when stop returns.
	Watch(room groups.RoomID, wake func()) (stop func())
}

// Rooms is what this node knows of rooms and their members. What a log says
// of a membership is visible here no later than the entry is in the Log.
type Rooms interface {
	// Room describes a room; NotFound if this node does not hold it.
	Room(room groups.RoomID) (groups.RoomInfo, error)
	// RoomsOf lists the rooms a device is or was a member of.
	RoomsOf(device groups.DeviceID) ([]groups.Membership, error)
	// Membership returns one of them.
	Membership(room groups.RoomID, device groups.DeviceID) (groups.Membership, bool)
	// WatchDevice calls wake when a Welcome waits for the device or a
	// membership ended, until stop. wake does not block.
	WatchDevice(device groups.DeviceID, wake func()) (stop func())
	// GroupInfo returns the GroupInfo of the current epoch and the head it
	// belongs to.
	GroupInfo(room groups.RoomID) (info []byte, head groups.Head, err error)
}

// A Roster lists the members of rooms.
type Roster interface {
	// Members returns the devices in a room, sorted.
	Members(room groups.RoomID) ([]groups.DeviceID, error)
}

// A Mailbox is what waits for a device, and how far it has read. Writes are
// durable when they return.
type Mailbox interface {
	// Welcomes returns the Welcomes that wait, oldest first.
	Welcomes(device groups.DeviceID) ([]groups.Welcome, error)
	// ForgetWelcome drops one; one that is not there is no error.
	ForgetWelcome(device groups.DeviceID, room groups.RoomID, seq groups.Seq) error
	// SaveCursors notes the last entry the device holds, per room. A cursor
	// never moves back.
	SaveCursors(device groups.DeviceID, cursors map[groups.RoomID]groups.Seq) error
	// Cursors returns what SaveCursors noted.
	Cursors(device groups.DeviceID) (map[groups.RoomID]groups.Seq, error)
}

// A Registry is the devices of this site and their key packages.
type Registry interface {
	// PutKeyPackages stores key packages of one device durably and returns how
	// many it has now; TooLarge over groups.MaxKeyPackages.
	PutKeyPackages(device groups.DeviceID, packages []groups.KeyPackage) (count int, err error)
	// CountKeyPackages returns how many are left.
	CountKeyPackages(device groups.DeviceID) (int, error)
	// SawDevice notes that a device has logged in, durably some time later.
	SawDevice(device groups.DeviceID, now time.Time)
}

// Blobs is content by its SHA-256.
type Blobs interface {
	// StatBlob tells how much has arrived; NotFound if nothing has.
	StatBlob(hash groups.Hash) (have, size uint64, complete bool, err error)
	// PutBlob appends a chunk of groups.BlobChunk bytes, the last one what
	// remains, at offset. An offset before what is there changes nothing and
	// answers what is there; one after it is a Conflict. A blob whose content
	// is not its hash is dropped when it is complete, with Invalid.
	PutBlob(hash groups.Hash, size, offset uint64, chunk []byte) (have uint64, complete bool, err error)
	// ReadBlob returns at most n bytes of a complete blob; NotFound otherwise.
	ReadBlob(hash groups.Hash, offset uint64, n int) (chunk []byte, size uint64, err error)
}

// A Submitter puts submissions before their room's owner: this node's log, or
// a relay to another node. done is called exactly once, not before the entry
// is durable, and does not block (I2).
type Submitter interface {
	Submit(sub groups.Submission, done func(groups.Outcome))
}

// A KeySource knows the devices of people and their key packages, wherever they
// lie.
type KeySource interface {
	// Devices lists the devices of a user of this site that were seen at any of
	// its nodes; a node that is not reached is passed over.
	Devices(ctx context.Context, user groups.UserID) ([]groups.DeviceRecord, error)
	// Claim takes key packages of users of any site, one of each device, each
	// given out once. Users of which nothing could be had stand in failures.
	Claim(ctx context.Context, users []groups.UserID, room groups.RoomID, suite wire.CipherSuite) (packages []groups.KeyPackage, failures map[groups.UserID]error)
}

// An Authenticator says whose certificate chain (DER, leaf first) it is. What
// it does not trust is Denied.
type Authenticator interface {
	Device(chain [][]byte, now time.Time) (device groups.DeviceID, key crypto.PublicKey, notAfter time.Time, err error)
}

// Signals carries ephemeral signals to the other nodes of a room. It does not
// block; what it can not carry is lost.
type Signals interface {
	Signal(room groups.RoomID, device groups.DeviceID, payload []byte)
}
