package federation

import (
	"slices"
	"time"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// parkTime is how long a parked room waits before its sources are tried again:
// the operator may have put in order what was wrong.
const parkTime = 10 * time.Minute

// maxConflicts is how often a source may be asked again in a row without one
// entry more.
const maxConflicts = 3

// A follow is one room that this node follows or could follow. The follower's
// goroutine owns it.
type follow struct {
	room    groups.RoomID
	sources []source // who offers it: at most one a link
	source  *link    // who it is followed from, nil while nobody
	sub     uint64
	held    groups.Head // what the store has
	join    join
	signed  *groups.SignedHead // the latest of the source
	busy    bool               // a run is with the store
	queued  bool               // in follower.ready
	renew   bool               // subscribe again when the store has answered
	refill  bool               // this node orders it and wants back what it lost
	moved   time.Time          // when an entry was stored or asked for last

	conflicts int           // since an entry was stored
	delay     time.Duration // of the next retry
	retryAt   time.Time
	timer     *time.Timer // of retryAt; at most one a room
	parked    string      // why no source is good
	parkedAt  time.Time
}

// A source is a peer that offers a room.
type source struct {
	link  *link
	owner groups.NodeID
	seq   groups.Seq // it had when it made the offer
	until groups.Seq // our site left with this entry
	bad   string     // why it is not followed from it
}

// forget drops a link; true if the room was followed from it.
func (r *follow) forget(l *link) bool {
	r.sources = slices.DeleteFunc(r.sources, func(s source) bool { return s.link == l })
	if r.source != l {
		return false
	}
	r.source = nil
	return true
}

// pardon forgets what sources did wrong.
func (r *follow) pardon() {
	r.parked = ""
	for i := range r.sources {
		r.sources[i].bad = ""
	}
}

// blame notes what the present source did wrong.
func (r *follow) blame(why string) {
	for i := range r.sources {
		if r.sources[i].link == r.source {
			r.sources[i].bad = why
		}
	}
}

// best returns the source to follow from: the owner, then a node of the hub
// site, then a sibling with a copy. A room that this node lost a part of comes
// back from the longest copy.
func (r *follow) best() *source {
	rank := func(s *source) groups.Seq {
		switch {
		case s.bad != "" || s.until != 0 && r.held.Seq >= s.until || r.refill && s.seq <= r.held.Seq:
			return 0
		case r.refill:
			return s.seq
		case s.link.peer == s.owner:
			return 3
		case s.link.peer.Site() == r.room.Site():
			return 2
		}
		return 1
	}
	var best *source
	for i := range r.sources {
		s := &r.sources[i]
		if n := rank(s); n > 0 && (best == nil || n > rank(best) || n == rank(best) && s.link == r.source) {
			best = s
		}
	}
	return best
}

// exhausted says whether the source has given all it may give.
func (r *follow) exhausted() bool {
	best := r.best()
	return best == nil || best.link != r.source
}

// offer takes a peer's offer of a room.
func (f *follower) offer(room groups.RoomID, s source) {
	if s.link.ctx.Err() != nil {
		return
	}
	r := f.rooms[room]
	if r == nil {
		r = &follow{room: room}
	}
	i := slices.IndexFunc(r.sources, func(o source) bool { return o.link == s.link })
	if i < 0 {
		if s.link.offers >= maxRooms {
			f.node.metrics.dropped.WithLabelValues("offer").Inc()
			return
		}
		s.link.offers++
		i, r.sources = len(r.sources), append(r.sources, s)
	}
	f.rooms[room], r.sources[i] = r, s
	if s.owner != "" && (s.owner == s.link.peer || f.node.owners.get(room) == "") {
		f.node.owners.set(room, s.owner)
		f.node.cfg.Rooms.SetOwner(room, s.owner)
	}
	r.retryAt = time.Time{} // a sign of life
	f.choose(r)
}

// choose follows r from its best source, from now on or from when the store has
// answered.
func (f *follower) choose(r *follow) {
	info, err := f.node.cfg.Rooms.Room(r.room)
	r.refill = err == nil && info.Owned
	if r.refill && info.Fenced == 0 {
		f.leave(r)
		return
	}
	if !r.busy {
		r.held = groups.Head{Room: r.room}
		if err == nil {
			r.held = info.Head
		}
	}
	best := r.best()
	if best == nil {
		f.leave(r)
		f.park(r)
		return
	}
	if best.link == r.source || r.source == nil && !r.retryAt.IsZero() {
		return
	}
	f.leave(r)
	r.source = best.link
	f.begin(r)
}

// leave stops following r from its source.
func (f *follower) leave(r *follow) {
	if r.source != nil {
		delete(f.subs[r.source], r.sub)
	}
	f.empty(r)
	r.source = nil
}

// empty gives up entries that are not stored.
func (f *follower) empty(r *follow) {
	if r.source != nil {
		r.source.waiting.Add(-int64(r.join.bytes))
	}
	r.join.reset(r.held.Seq)
	r.signed = nil
}

// begin subscribes to r at its source from the held head.
func (f *follower) begin(r *follow) {
	if r.renew = r.busy; r.busy {
		return
	}
	r.retryAt, r.moved = time.Time{}, f.node.cfg.Now()
	f.empty(r)
	f.next++
	r.sub = f.next
	if f.subs[r.source] == nil {
		f.subs[r.source] = make(map[uint64]*follow)
	}
	f.subs[r.source][r.sub] = r
	m := &linkv1.Subscribe{Room: string(r.room), Subscription: r.sub, Seq: uint64(r.held.Seq), Hash: r.held.Hash[:]}
	if head := f.node.latest(groups.RoomInfo{Room: r.room, Head: r.held}); head != nil && !r.refill {
		m.Head = head.Marshal()
	}
	if best := r.best(); r.refill && best != nil && best.link == r.source {
		m.Until = uint64(best.seq)
	}
	if r.source.lanes[laneControl].out.add(&linkv1.Frame{Subscribes: []*linkv1.Subscribe{m}}, hardOutbox) != nil {
		r.source.close(errOutboxFull)
	}
}

// again asks the same source for what follows the held head.
func (f *follower) again(r *follow, reason string) {
	f.node.metrics.resubscribe.WithLabelValues(reason).Inc()
	if r.source == nil {
		f.choose(r)
		return
	}
	delete(f.subs[r.source], r.sub)
	if info, err := f.node.cfg.Rooms.Room(r.room); err == nil && !r.busy {
		r.held = info.Head
	}
	f.empty(r)
	f.begin(r)
}

// park tells the operator that a room has offers but no good source.
func (f *follower) park(r *follow) {
	why := ""
	for _, s := range r.sources {
		if s.bad != "" {
			why = s.bad
		}
	}
	if why == "" || r.parked != "" {
		return
	}
	r.parked, r.parkedAt = why, f.node.cfg.Now()
	f.countParked()
	f.node.log.Error("a room is parked: nobody sends entries that this node can accept",
		"room", string(r.room), "held", uint64(r.held.Seq), "error", why)
}

func (f *follower) countParked() {
	n := 0
	for _, r := range f.rooms {
		if r.parked != "" {
			n++
		}
	}
	f.node.metrics.parked.Set(float64(n))
}
