package federation

import (
	"context"
	"fmt"
	"slices"
	"sync"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// A server sends the rooms that the peer of a link follows: live, after a night
// or after a week it is the same loop. Each subscription is a cursor in this
// node's verified copy of the log; a new entry makes it dirty, the loop reads
// what is after the cursor and sends it. What is sent and not acknowledged is
// bounded for each room and for the link; at the bound the loop goes on with
// other rooms.
type server struct {
	link *link
	wake chan struct{}
	told map[told]bool // by the goroutine that sends

	mu      sync.Mutex // guards what follows; nothing is called under it
	byRoom  map[groups.RoomID]*subscription
	byID    map[uint64]*subscription
	queue   []*subscription // dirty ones, each once
	full    []*subscription // dirty ones at a bound, each once
	unacked int
	ended   bool
}

// A subscription is one room on its way to a follower.
type subscription struct {
	room    groups.RoomID
	id      uint64
	start   groups.Head // the follower's, checked before anything is sent
	stop    func()      // of the store's watch
	dirty   bool        // in queue or full
	gone    bool        // replaced or closed
	sent    groups.Seq
	acked   groups.Seq
	marks   []mark
	unacked int

	// Owned by the loop.
	checked bool
	until   groups.Seq // the last entry the peer may have, or wants; 0 without end
}

// A mark says how many bytes were sent up to an entry.
type mark struct {
	seq   groups.Seq
	bytes int
}

func newServer(l *link) *server {
	return &server{link: l, wake: make(chan struct{}, 1), told: make(map[told]bool),
		byRoom: make(map[groups.RoomID]*subscription), byID: make(map[uint64]*subscription)}
}

// subscribe begins a subscription, or refuses it on lane 0. An error ends the
// link.
func (v *server) subscribe(m *linkv1.Subscribe) error {
	room, err := groups.ParseRoomID(m.Room)
	if err != nil || len(m.Hash) != len(groups.Hash{}) {
		return fmt.Errorf("%w: bad subscription", errProtocol)
	}
	info, err := v.link.node.cfg.Rooms.Room(room)
	if err == nil && !v.link.sibling() {
		if _, ok := mayFollow(info, v.link.peer.Site(), v.link.node.site); !ok {
			err = groups.Errorf(groups.Denied, "%s has neither members nor readers in %s", v.link.peer.Site(), room)
		}
	}
	if err == nil && info.Owned && groups.Seq(m.Seq) > info.Head.Seq && len(m.Head) > 0 {
		if err = v.link.node.fence(v.link, room, m.Head); kindOf(err) == groups.Conflict {
			err = groups.Errorf(groups.Invalid, "%w", err) // for good
		}
	}
	if err != nil {
		v.refuse(m.Subscription, groups.Seq(m.Seq), err)
		return nil
	}
	s := &subscription{room: room, id: m.Subscription, sent: groups.Seq(m.Seq), acked: groups.Seq(m.Seq), until: groups.Seq(m.Until),
		start: groups.Head{Room: room, Seq: groups.Seq(m.Seq), Hash: groups.Hash(m.Hash)}}
	v.mu.Lock()
	old := v.byRoom[room]
	if old == nil && len(v.byRoom) >= maxRooms || v.byID[s.id] != nil || v.ended {
		v.mu.Unlock()
		return fmt.Errorf("%w: too many subscriptions, or one twice", errProtocol)
	}
	v.remove(old)
	v.byRoom[room], v.byID[s.id] = s, s
	v.compact()
	v.mu.Unlock()
	if old != nil {
		old.stop()
	}
	stop := v.link.node.cfg.Log.Watch(room, func() { v.dirty(s) })
	v.mu.Lock()
	s.stop = stop
	late := s.gone
	v.mu.Unlock()
	if late {
		stop()
	}
	v.dirty(s)
	return nil
}

// remove forgets s. Called under mu; the caller calls s.stop after.
func (v *server) remove(s *subscription) {
	if s == nil || s.gone {
		return
	}
	s.gone = true
	v.unacked -= s.unacked
	s.unacked, s.marks = 0, nil
	delete(v.byID, s.id)
	if v.byRoom[s.room] == s {
		delete(v.byRoom, s.room)
	}
}

// compact forgets what was replaced while it was dirty, once it is more than there
// is otherwise: a peer that subscribes again and again fills no queue. Called under mu.
func (v *server) compact() {
	if len(v.queue)+len(v.full) > 2*len(v.byRoom)+minQueue {
		gone := func(s *subscription) bool { return s.gone }
		v.queue, v.full = slices.DeleteFunc(v.queue, gone), slices.DeleteFunc(v.full, gone)
	}
}

// end closes a subscription and tells the peer why; nil means that its site has
// left the room.
func (v *server) end(s *subscription, why error) {
	v.mu.Lock()
	if s.gone {
		v.mu.Unlock()
		return
	}
	v.remove(s)
	stop := s.stop
	v.mu.Unlock()
	if stop != nil {
		stop()
	}
	v.refuse(s.id, s.sent, why)
	if why == nil {
		v.link.node.offerer.again(v.link, s.room)
	}
}

func (v *server) refuse(id uint64, seq groups.Seq, why error) {
	c := &linkv1.Closed{Subscription: id, Seq: uint64(seq)}
	if why != nil {
		c.Why = refusal(why)
	}
	if v.link.lanes[laneControl].out.add(&linkv1.Frame{Closed: []*linkv1.Closed{c}}, hardOutbox) != nil {
		v.link.close(errOutboxFull)
	}
}

// dirty makes the loop look at s. It is the store's wake and must not block.
func (v *server) dirty(s *subscription) {
	v.mu.Lock()
	if s.dirty || s.gone {
		v.mu.Unlock()
		return
	}
	s.dirty = true
	v.queue = append(v.queue, s)
	v.mu.Unlock()
	poke(v.wake)
}

// acked moves cursors; what was at a bound is looked at again.
func (v *server) acked(acks []*linkv1.Ack) {
	moved := false
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, a := range acks {
		s := v.byID[a.Subscription]
		if s == nil || groups.Seq(a.Seq) <= s.acked {
			continue
		}
		s.acked = min(groups.Seq(a.Seq), s.sent)
		n := 0
		for n < len(s.marks) && s.marks[n].seq <= s.acked {
			s.unacked -= s.marks[n].bytes
			v.unacked -= s.marks[n].bytes
			n++
		}
		s.marks = append(s.marks[:0], s.marks[n:]...)
		moved = moved || n > 0
	}
	if moved && len(v.full) > 0 {
		v.queue = append(v.queue, v.full...)
		v.full = v.full[:0]
		poke(v.wake)
	}
}

// next takes a dirty subscription that may send; nil if there is none.
func (v *server) next() *subscription {
	v.mu.Lock()
	defer v.mu.Unlock()
	for len(v.queue) > 0 {
		s := v.queue[0]
		v.queue = v.queue[1:]
		if s.gone {
			continue
		}
		if s.unacked >= windowBytes || v.unacked >= windowLink && s.unacked > 0 {
			v.full = append(v.full, s)
			continue
		}
		s.dirty = false
		return s
	}
	v.queue = nil
	return nil
}

// account records what is about to be sent of s, and looks at it again: there
// may be more.
func (v *server) account(s *subscription, sent mark) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.gone {
		return
	}
	s.sent = sent.seq
	s.marks = append(s.marks, sent)
	s.unacked += sent.bytes
	v.unacked += sent.bytes
	if !s.dirty {
		s.dirty = true
		v.queue = append(v.queue, s)
	}
}

// run sends until ctx ends.
func (v *server) run(ctx context.Context) error {
	for {
		s := v.next()
		if s == nil {
			select {
			case <-v.wake:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err := v.serve(ctx, s); err != nil {
			return err
		}
	}
}

// stop ends all subscriptions with the link.
func (v *server) stop() {
	v.mu.Lock()
	v.ended = true
	all := make([]*subscription, 0, len(v.byID))
	for _, s := range v.byID {
		all = append(all, s)
	}
	for _, s := range all {
		v.remove(s)
	}
	v.mu.Unlock()
	for _, s := range all {
		if s.stop != nil {
			s.stop()
		}
	}
}
