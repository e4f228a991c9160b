package client

import (
	"sync"

	"parley/groups"
)

// An EventKind says what has happened.
type EventKind uint8

// The kinds of event.
const (
	EventMessage    EventKind = iota + 1 // a message is new or has changed: Message
	EventDelivery                        // one of our messages has come further: Message
	EventRoom                            // a room is new, or its members, epoch, policy or state have changed: Room
	EventConnection                      // we came online, caught up or went offline: Connection, Err
	EventAlarm                           // something that must not happen: Alarm
	EventRefresh                         // the subscriber was too slow and has missed events: read everything again
)

var eventNames = [...]string{"", "message", "delivery", "room", "connection", "alarm", "refresh"}

// String returns the kind's name.
func (k EventKind) String() string { return eventNames[min(int(k), len(eventNames)-1)] }

// An Event tells a subscriber what has happened. It is told after it is
// durable.
type Event struct {
	Kind       EventKind
	Room       groups.RoomID
	Message    *Message // not to be changed
	Connection Connection
	Alarm      *Alarm
	Err        error // why the connection was lost
}

// A Connection is the state of a device's way to its gateway.
type Connection uint8

// The states of a connection.
const (
	Offline    Connection = iota // Run is not running
	Connecting                   // Run is trying
	Syncing                      // logged in, reading what happened meanwhile
	Online                       // everything that was there has been read
)

var connectionNames = [...]string{"offline", "connecting", "syncing", "online"}

// String returns the state's name.
func (c Connection) String() string { return connectionNames[min(int(c), len(connectionNames)-1)] }

// An Alarm says that somebody has done what a working, honest system never
// does. It is a person's business, so it is kept with the room.
type Alarm struct {
	Room   groups.RoomID
	Seq    groups.Seq // where it was found
	Kind   AlarmKind
	Device groups.DeviceID // whose message showed it, empty if the hub alone did
	Text   string          // for a person
}

// Error returns the kind and the words.
func (a *Alarm) Error() string { return "alarm: " + string(a.Kind) + ": " + a.Text }

// An AlarmKind names what was found.
type AlarmKind string

// The kinds of alarm.
const (
	// AlarmFork: the hub has shown this device another history than it has
	// shown to somebody else, or than it has signed (equivocation).
	AlarmFork AlarmKind = "fork"
	// AlarmChain: an entry does not follow from the one before it.
	AlarmChain AlarmKind = "chain"
	// AlarmHead: a head is not signed by the room's hub.
	AlarmHead AlarmKind = "head"
	// AlarmCommit: the hub has ordered a commit that breaks the room's rules.
	AlarmCommit AlarmKind = "commit"
	// AlarmKey: a member made a key whose record is not right.
	AlarmKey AlarmKind = "key"
	// AlarmForged: an entry in our name is not what we have sent.
	AlarmForged AlarmKind = "forged"
)

// A Subscription is a queue of events. When its reader is slow, what does not
// fit is dropped and one EventRefresh stands in its place.
type Subscription struct {
	C    <-chan Event
	feed *feed
	ch   chan Event
	lost bool // a refresh is the last in the queue; guarded by feed.mu
}

// Close ends the subscription and closes C.
func (s *Subscription) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	if _, ok := s.feed.subs[s]; ok {
		delete(s.feed.subs, s)
		close(s.ch)
	}
}

// maxSubscribers bounds the subscriptions of a device.
const maxSubscribers = 64

// A feed hands events to subscribers and never waits for one.
type feed struct {
	mu   sync.Mutex
	subs map[*Subscription]struct{}
}

// subscribe adds a queue of n events and one refresh.
func (f *feed) subscribe(n int) *Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan Event, max(n, 1)+1)
	s := &Subscription{C: ch, ch: ch, feed: f}
	if f.subs == nil {
		f.subs = make(map[*Subscription]struct{})
	}
	if len(f.subs) >= maxSubscribers {
		close(ch) // told nothing, rather than everybody slowed down
		return s
	}
	f.subs[s] = struct{}{}
	return s
}

// publish hands events to all.
func (f *feed) publish(events ...Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs {
		for _, e := range events {
			s.put(e)
		}
	}
}

// put queues an event, or a refresh in the last place. After a refresh nothing
// is queued until the reader has taken it: it will read everything anyway.
func (s *Subscription) put(e Event) {
	if s.lost && len(s.ch) == 0 {
		s.lost = false
	}
	switch {
	case s.lost:
	case len(s.ch) < cap(s.ch)-1:
		s.ch <- e
	default:
		s.lost = true
		s.ch <- Event{Kind: EventRefresh}
	}
}

// close ends all subscriptions.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs {
		delete(f.subs, s)
		close(s.ch)
	}
}
