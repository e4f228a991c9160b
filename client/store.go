package client

import "errors"

// A Store keeps what a device must not forget. It is safe for many
// goroutines. An Update is one transaction: when it returns nil all its writes
// are durable, when it returns an error none of them has happened. Updates are
// made one after the other; a View sees the state between two of them.
type Store interface {
	// View calls fn with a consistent state. What the Tx returns must not be
	// changed, nor kept after fn has returned.
	View(fn func(Tx) error) error
	// Update calls fn and makes its writes durable. It returns fn's error.
	Update(fn func(Tx) error) error
	// Close releases the store; calls under way end first.
	Close() error
}

// A Tx is a transaction of a Store: tables of rows in the order of their keys.
// It belongs to the goroutine of its View or Update.
type Tx interface {
	// Get returns the row under key, or nil if there is none.
	Get(t Table, key []byte) ([]byte, error)
	// Put writes a row; a nil value is written as an empty one.
	Put(t Table, key, value []byte) error
	// Delete removes a row, if it is there.
	Delete(t Table, key []byte) error
	// Scan calls fn for the rows in r, in order, until it returns false.
	// The table must not be written to while it is scanned.
	Scan(t Table, r Range, fn func(key, value []byte) bool) error
}

// ErrReadOnly says that a View was asked to write.
var ErrReadOnly = errors.New("write in a view")

// A Range is the rows of a table whose keys begin with Prefix.
type Range struct {
	Prefix []byte
	From   []byte // the first key, or the last if Reverse; nil means from the end of the prefix's rows
	// Reverse walks from high keys to low ones.
	Reverse bool
}

// A Table is one kind of row.
type Table uint8

// The tables of a device.
const (
	TableIdentity      Table = iota // who the device is: one row
	TableKeyPackages                // unused key packages, with their private parts
	TableRooms                      // what is known of a room, its cursor included
	TableGroups                     // records of a room's MLS group
	TablePending                    // commits that have left and are not in the log yet
	TableLog                        // a line for each entry of a room
	TableMessages                   // what was said, in the order of the log
	TableIDs                        // where a message is
	TableOutbox                     // what is to be said
	TableWishes                     // people to be added
	TableBlobs                      // pieces of files to be uploaded
	TableKeys                       // key records, by epoch
	TablePast                       // messages from before our time that are not opened yet
	TableTrail                      // what shows to an unwrap service that a later key is the room's, by epoch
	TableAnnouncements              // keys that unwrap services are to be told of
	TableReading                    // what is known of a room that is read without being a member
	TableCertificates               // when the newest certificate was made that was shown of a community
	NumTables
)

// String returns the table's name.
func (t Table) String() string {
	names := [...]string{
		"identity", "key_packages", "rooms", "groups", "pending", "log",
		"messages", "ids", "outbox", "wishes", "blobs", "keys", "past", "trail", "announcements", "reading",
		"certificates",
	}
	if t < NumTables {
		return names[t]
	}
	return "unknown"
}
