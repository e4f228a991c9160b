package client

import (
	"slices"
	"time"

	"parley/groups"
)

// A State is how far a message has come.
type State uint8

// The states of a message.
const (
	Queued   State = iota + 1 // ours, in the outbox; not sealed
	Sent                      // ours, sealed and perhaps on its way; no receipt yet
	Accepted                  // ours, with a receipt: durable at the hub (I2)
	Failed                    // ours, refused; Problem says why
	Received                  // somebody else's
)

var stateNames = [...]string{"", "queued", "sent", "accepted", "failed", "received"}

// String returns the state's name.
func (s State) String() string { return stateNames[min(int(s), len(stateNames)-1)] }

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(b []byte) error {
	i := slices.Index(stateNames[:], string(b))
	if i < 0 {
		return wrongArgument("%q is not the state of a message", clip(string(b)))
	}
	*s = State(i)
	return nil
}

// A Message is one line of a room's history: what somebody said, with the
// edits and reactions that came after it, or a change of the room.
type Message struct {
	Room    groups.RoomID
	Seq     groups.Seq      // its place in the log, 0 while it is in the outbox
	Receipt groups.Seq      // in the outbox: the place that a receipt promises, 0 before
	ID      MessageID       // zero for a change of the room
	Device  groups.DeviceID // who said it
	Epoch   groups.Epoch    // under whose key it was sealed, 0 if it is not
	Time    time.Time       // when the hub took it, or when it was queued here
	Content Content         // empty if Problem says that it could not be read
	State   State
	// Edited says that Content.Text is not the first version, Deleted that
	// its author took it back: Content then holds the kind and nothing else.
	Edited, Deleted bool
	Reactions       []Reaction // in the order they were made, at most maxReactions
	Change          *Change    // a change of the room, else nil
	// Problem is why the message was refused, or why it can not be read.
	Problem string
}

// A Reaction is an emoji that somebody put on a message.
type Reaction struct {
	User  groups.UserID
	Emoji string
}

// A Change is what a commit did to a room.
type Change struct {
	Epoch   groups.Epoch // the epoch it began
	Added   []groups.DeviceID
	Removed []groups.DeviceID
	Policy  bool // the policy is another one
}

// maxReactions bounds the reactions kept with one message; later ones are
// dropped.
const maxReactions = 256

// A HistoryQuery selects messages of a room.
type HistoryQuery struct {
	// After selects what comes after an entry; zero means from the beginning.
	After groups.Seq
	// Before selects what comes before an entry; zero means up to the end, the
	// outbox included.
	Before groups.Seq
	// Limit is the most messages to return; zero means 100. With After they
	// are the first that follow it, otherwise the last before Before.
	Limit int
}
