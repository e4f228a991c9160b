package client

import (
	"slices"
	"time"

	"parley/groups"
)

// A RoomState is where a room stands with this device.
type RoomState uint8

// The states of a room.
const (
	RoomCreating RoomState = iota + 1 // its create entry has not been accepted yet
	RoomLive                          // this device is a member
	RoomClosed                        // it is no longer; the history stays
	RoomReading                       // it never was: its policy lets this device read
)

var roomStateNames = [...]string{"", "creating", "live", "closed", "reading"}

// String returns the state's name.
func (s RoomState) String() string { return roomStateNames[min(int(s), len(roomStateNames)-1)] }

// MarshalText writes the state's name.
func (s RoomState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *RoomState) UnmarshalText(b []byte) error {
	i := slices.Index(roomStateNames[:], string(b))
	if i < 0 {
		return wrongArgument("%q is not the state of a room", clip(string(b)))
	}
	*s = RoomState(i)
	return nil
}

// A RoomInfo is what a device knows of a room.
type RoomInfo struct {
	Room   groups.RoomID
	State  RoomState
	Why    string // it is closed
	Joined groups.Seq
	Seq    groups.Seq // the last entry read
	Hash   groups.Hash
	Epoch  groups.Epoch
	Suite  string // the cipher suite's name
	Policy groups.Policy
	// Admin says that this person administers the room.
	Admin          bool
	Users, Devices int
	KeyMade        time.Time // when the current key was made, by the hub's clock
	KeyMessages    uint64    // messages under it
	KeyMaker       groups.DeviceID
	KeyEnds        time.Time // by its record; zero if it does not end by time, or has none
	KeyDenied      string    // why nothing is sent: a community's certificate was revoked
	KeyProblem     string    // why nothing is sent under this key
	// Authenticator is the epoch authenticator: people who see the same one
	// have the same key (RFC 9420, Section 8.7).
	Authenticator []byte
	Last          time.Time // of the last message
	Unread        int
	Outbox        int        // messages that wait for a receipt
	Waiting       string     // why they wait, if the hub said so; it may pass
	Read          groups.Seq // MarkRead's
	Alarms        []Alarm    // the first maxAlarms
	Parked        bool       // the log can not be followed now: see Alarms
	Leaving       bool       // this device has asked to be removed
	// Sealed counts the messages that this device has and can not read, by why
	// not: of a room that it reads without being a member.
	Sealed map[string]int
}

// maxAlarms bounds the alarms kept with a room; the first ones are kept.
const maxAlarms = 16

// A Member is a device of a room.
type Member struct {
	Device groups.DeviceID
	User   groups.UserID
	Leaf   uint32
	Admin  bool
	Own    bool      // this very device
	Bot    bool      // no person sits at it: its certificate says so
	Until  time.Time // its certificate's end; zero for a basic credential
}

// A LogEntry is a line about an entry of a room's log.
type LogEntry struct {
	Seq    groups.Seq
	Hash   groups.Hash
	Epoch  groups.Epoch
	Kind   groups.EntryKind
	Device groups.DeviceID // who submitted it
	ID     MessageID
	Time   time.Time
	Size   int    // of its body
	Note   string // what a commit did, or what was wrong with the entry
}

// A Wish is a person who is to be added to a room and is not in it yet.
type Wish struct {
	Room  groups.RoomID
	User  groups.UserID
	Since time.Time
	Why   string    // it has not been fulfilled: the last attempt's error
	Tries int       // attempts so far
	Next  time.Time // when the next one is made by itself
}
