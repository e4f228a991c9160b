package federation

import (
	"crypto/tls"
	"time"

	"parley/groups"
)

// Peers proves who a certificate belongs to. It is safe for many goroutines.
type Peers interface {
	// VerifyNode checks a chain, leaf first, DER, under the CA of the site it
	// names, and returns the node and when its certificate ends. A site without
	// a CA here is Denied.
	VerifyNode(chain [][]byte, now time.Time) (groups.NodeID, time.Time, error)
}

// Orderings knows the ordering certificates of sites: whoever passes a signed
// head on passes on what it was signed under. It is safe for many goroutines.
type Orderings interface {
	// OrderingChain returns the chain of a certificate by its hash, leaf first,
	// DER; nil if it is not known.
	OrderingChain(signer groups.Hash) [][]byte
	// LearnOrdering verifies a chain under the CA of the site it names and
	// keeps it; one that is known already costs little.
	LearnOrdering(chain [][]byte) error
}

// Certificates gives this node's own certificate. It is safe for many
// goroutines and asked at every handshake, so that a renewed one is used.
type Certificates func() (*tls.Certificate, error)

// A Log is this node's room logs. Its callbacks (done, wake) must not block and
// may come from any goroutine; it is safe for many goroutines.
type Log interface {
	// Submit asks for the next place in a room this node owns. done is called
	// once, after the entry is durable, or with the refusal.
	Submit(sub groups.Submission, done func(groups.Outcome))
	// Replicate verifies and stores a run of entries; what is held already is
	// skipped. done is called once with the head held then. A gap or an entry
	// that was taken under another head is a Conflict.
	Replicate(b groups.Batch, done func(groups.Head, error))
	// Read returns entries after a number, whole, at least one if there is one.
	Read(room groups.RoomID, after groups.Seq, maxBytes int) (groups.Page, error)
	// Attachments returns what a commit's body names.
	Attachments(e *groups.Entry) ([][]byte, error)
	// Watch calls wake after every durable batch that touched room.
	Watch(room groups.RoomID, wake func()) (stop func())
}

// Rooms is what this node knows of rooms. It is safe for many goroutines.
type Rooms interface {
	// Room describes a room held here; NotFound if it is not.
	Room(room groups.RoomID) (groups.RoomInfo, error)
	// Rooms describes all of them.
	Rooms() []groups.RoomInfo
	// SetOwner remembers who orders a room: advice, for display and relay.
	SetOwner(room groups.RoomID, node groups.NodeID)
	// Fence holds a head that a peer shows against the log of a room ordered
	// here. If this site has signed it and the log does not hold it, the room is
	// read-only, durably, until it does; Room tells. Denied is a lie, Conflict
	// what was given up.
	Fence(shown *groups.SignedHead) error
	// WatchRooms calls wake for a room that is new here or whose sites changed.
	WatchRooms(wake func(room groups.RoomID)) (stop func())
}

// Keys is the key packages published at this node. It is safe for many
// goroutines.
type Keys interface {
	// TakeKeyPackages takes one of every device of user: nobody else gets it.
	TakeKeyPackages(user groups.UserID, suite groups.CipherSuite) ([]groups.KeyPackage, error)
	// Devices lists the devices of user that were seen here.
	Devices(user groups.UserID) ([]groups.DeviceRecord, error)
}

// Blobs is the blobs held here, by hash. It is safe for many goroutines.
type Blobs interface {
	// StatBlob tells how much of a blob is here; an unknown one has nothing.
	StatBlob(hash groups.Hash) (have, size uint64, complete bool, err error)
	// PutBlob appends a chunk at offset; the last one is refused, and the blob
	// dropped, if the whole does not have the hash.
	PutBlob(hash groups.Hash, size, offset uint64, chunk []byte) (have uint64, complete bool, err error)
	// ReadBlob returns at most n bytes from offset of a complete blob.
	ReadBlob(hash groups.Hash, offset uint64, n int) (chunk []byte, size uint64, err error)
}

// Signals takes ephemeral signals of other nodes' devices to the devices
// here. It must not block.
type Signals interface {
	Signal(room groups.RoomID, device groups.DeviceID, payload []byte)
}
