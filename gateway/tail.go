package gateway

import (
	"context"
	"sync"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// maxSignals bounds the signals that wait for one tail; at it the oldest is
// lost, as a later signal of the same kind says more.
const maxSignals = 64

// A tail is one reader of many rooms. It has no queue: what it has not read
// stands in the logs, and all it keeps is a cursor and a flag per room.
type tail struct {
	s      *Server
	device groups.DeviceID
	all    bool // also rooms that are joined meanwhile
	follow bool
	past   bool // reads what the device may read without having been there

	// Of the goroutine that runs the call.
	rooms    map[groups.RoomID]*tailRoom // at most Limits.TailRooms
	welcomed map[welcomeKey]bool         // Welcomes sent that still wait
	held     map[groups.RoomID]bool      // rooms of which a Welcome is held back
	closed   []*devicev1.RoomClosed      // to be sent
	behind   int                         // rooms that have not caught up
	caughtUp bool                        // said so

	bell chan struct{} // capacity 1: something below has changed

	mu      sync.Mutex
	dirty   []*tailRoom // rooms with something to read, in order
	mailbox bool        // a Welcome waits or a membership ended
	signals []*signal   // at most maxSignals
}

// A tailRoom is one room of one tail.
type tailRoom struct {
	tail *tail
	room groups.RoomID
	ring *ring

	place  int        // in the ring's list; under the ring's lock
	marked bool       // stands in the tail's list dirty; under the tail's lock
	cursor groups.Seq // the last entry sent
	joined groups.Seq // where the stay began that is being sent
	behind bool       // has not caught up with target
	read   bool       // once, so that target is known
	target groups.Seq // where the log stood when it was first read
}

// A signal is on its way to the tails of a room.
type signal struct {
	room    groups.RoomID
	device  groups.DeviceID
	payload []byte
}

type welcomeKey struct {
	room groups.RoomID
	seq  groups.Seq
}

// tail answers the call Tail.
func (s *Server) tail(ctx context.Context, req *connect.Request[devicev1.TailRequest], stream *connect.ServerStream[frame]) error {
	c := callOf(ctx)
	c.asked()
	t := &tail{
		s: s, device: c.session.device, all: req.Msg.AllRooms, follow: req.Msg.Follow, past: req.Msg.History,
		rooms: make(map[groups.RoomID]*tailRoom), bell: make(chan struct{}, 1),
	}
	s.metrics.tails.Inc()
	defer s.metrics.tails.Dec()
	defer t.close()
	if t.all {
		defer s.config.Rooms.WatchDevice(t.device, t.look)()
	}
	if err := t.open(req.Msg.Cursors); err != nil {
		return err
	}
	guard := s.stalls.watch(c)
	defer guard.close()
	return t.run(ctx, func(f *frame) error {
		s.metrics.deliveries.Add(float64(f.entries))
		s.metrics.responses.Inc()
		return guard.write(func() error { return stream.Send(f) })
	})
}

// run sends until the tail has caught up or, if it follows, until it is ended.
func (t *tail) run(ctx context.Context, send func(*frame) error) error {
	for {
		f, err := t.collect()
		if err != nil {
			return err
		}
		if !f.empty() {
			if err := send(f); err != nil {
				return err
			}
			select {
			case <-t.s.draining:
				return errDraining
			default:
				continue // there may be more
			}
		}
		if !t.follow && t.caughtUp {
			return nil
		}
		select {
		case <-t.bell:
		case <-ctx.Done():
			return ctx.Err()
		case <-t.s.draining:
			return errDraining
		}
	}
}

// close leaves all rooms.
func (t *tail) close() {
	for _, tr := range t.rooms {
		t.s.rings.leave(tr)
	}
}

// mark notes that a room has something to read. It does not block.
func (t *tail) mark(tr *tailRoom) {
	t.mu.Lock()
	if !tr.marked {
		tr.marked = true
		t.dirty = append(t.dirty, tr)
	}
	t.mu.Unlock()
	t.ring()
}

// look notes that the device's mailbox or memberships changed.
func (t *tail) look() {
	t.mu.Lock()
	t.mailbox = true
	t.mu.Unlock()
	t.ring()
}

// hear takes a signal, unless it is the device's own; signals are for members.
func (t *tail) hear(sig *signal) {
	if sig.device == t.device || t.past {
		return
	}
	t.mu.Lock()
	if len(t.signals) >= maxSignals {
		t.signals = append(t.signals[:0], t.signals[1:]...)
		t.s.metrics.lostSignals.Inc()
	}
	t.signals = append(t.signals, sig)
	t.mu.Unlock()
	t.ring()
}

func (t *tail) ring() {
	select {
	case t.bell <- struct{}{}:
	default: // it will look anyway
	}
}

// nextDirty takes the first room that has something to read.
func (t *tail) nextDirty() *tailRoom {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.dirty) == 0 {
		return nil
	}
	tr := t.dirty[0]
	t.dirty[0] = nil
	t.dirty = t.dirty[1:]
	tr.marked = false
	return tr
}

// takeEvents takes what is no entry.
func (t *tail) takeEvents() (mailbox bool, signals []*signal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mailbox, signals = t.mailbox, t.signals
	t.mailbox, t.signals = false, nil
	return mailbox, signals
}
