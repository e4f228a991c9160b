package federation

import (
	"sync"
	"time"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// Relay takes a submission to the node that orders its room: a sibling, or any
// node of the room's hub site, which may take it one link further. done is
// called once, possibly before Relay returns, and must not block. Where the
// room can not be reached, or the link ends before the answer, the outcome is
// Unavailable: the submission may have been accepted, and the same one sent
// again gets the same receipt. Past what may be in flight it is Busy.
func (n *Node) Relay(sub groups.Submission, done func(groups.Outcome)) {
	n.relay(sub, 0, done)
}

func (n *Node) relay(sub groups.Submission, hops uint32, done func(groups.Outcome)) {
	counted := func(o groups.Outcome) {
		n.metrics.relayed.WithLabelValues(result(o.Err)).Inc()
		done(o)
	}
	l, err := n.toward(sub.Room)
	if err == nil {
		err = l.relays.send(l, sub, hops, counted)
	}
	if err != nil {
		counted(groups.Outcome{ID: sub.ID, Err: err})
	}
}

// result names what became of something, for metrics.
func result(err error) string {
	if err == nil {
		return "ok"
	}
	return kindOf(err).String()
}

// toward returns the link on which a room's owner is reached.
func (n *Node) toward(room groups.RoomID) (*link, error) {
	owner := n.ownerOf(room)
	if l := n.linkTo(owner); l != nil && owner != "" {
		return l, nil
	}
	hub := room.Site()
	if hub != n.site {
		if links := n.linksOf(hub); len(links) > 0 {
			return links[0], nil
		}
		return nil, groups.Errorf(groups.Unavailable, "%s, which orders %s, can not be reached now: try again later", hub, room)
	}
	switch owner {
	case "":
		return nil, groups.Errorf(groups.Unavailable, "no node of %s that is linked says it orders %s: try again later", n.site, room)
	case n.cfg.Node:
		return nil, groups.Errorf(groups.Unavailable, "%s should order %s and does not", owner, room)
	}
	return nil, groups.Errorf(groups.Unavailable, "%s, which orders %s, can not be reached now: try again later", owner, room)
}

// ownerOf returns the node that orders a room as far as this node knows: by
// what the peers said on their links, by the store, by gossip, in this order.
func (n *Node) ownerOf(room groups.RoomID) groups.NodeID {
	if owner := n.owners.get(room); owner != "" {
		return owner
	}
	if info, err := n.cfg.Rooms.Room(room); err == nil && info.Owner != "" {
		return info.Owner
	}
	if n.gossip != nil {
		return n.gossip.ownerOf(room)
	}
	return ""
}

// relays are the submissions on a link that are not answered.
type relays struct {
	peer groups.NodeID

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]*relayed // at most maxInFlight: then Busy
	bytes   int                 // at most inFlightBytes: then Busy
	ended   bool
}

type relayed struct {
	room groups.RoomID
	id   groups.SubmissionID
	size int
	at   time.Time
	done func(groups.Outcome)
}

func newRelays(peer groups.NodeID) *relays {
	return &relays{peer: peer, waiting: make(map[uint64]*relayed)}
}

// send puts a submission on its lane. With an error done is not called.
func (r *relays) send(l *link, sub groups.Submission, hops uint32, done func(groups.Outcome)) error {
	m := &linkv1.Submission{
		Room: string(sub.Room), Kind: uint32(sub.Kind), Id: sub.ID[:], Device: string(sub.Device),
		Body: sub.Body, Attachments: sub.Attachments, Hops: hops,
	}
	size := len(sub.Body)
	for _, a := range sub.Attachments {
		size += len(a)
	}
	out := l.lanes[laneControl].out
	if sub.Kind == groups.KindMessage {
		out = l.lanes[laneMessages].out
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended:
		return r.unreachable()
	case len(r.waiting) >= maxInFlight || r.bytes > 0 && r.bytes+size > inFlightBytes:
		return groups.Errorf(groups.Busy, "too many submissions to %s are not answered yet: try again later", r.peer)
	}
	r.next++
	m.Request = r.next
	switch err := out.add(&linkv1.Frame{Submissions: []*linkv1.Submission{m}}, maxOutbox); err {
	case nil:
	case errFrameTooLarge:
		return groups.Errorf(groups.TooLarge, "a submission of %d bytes does not fit a frame", size)
	default:
		return groups.Errorf(groups.Busy, "too much waits for %s: try again later", r.peer)
	}
	r.waiting[m.Request] = &relayed{sub.Room, sub.ID, size, time.Now(), done}
	r.bytes += size
	return nil
}

func (r *relays) unreachable() error {
	return groups.Errorf(groups.Unavailable, "the link to %s ended before an answer: send the same again", r.peer)
}

// take removes a request that was answered or given up.
func (r *relays) take(request uint64) *relayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.waiting[request]
	if w != nil {
		delete(r.waiting, request)
		r.bytes -= w.size
	}
	return w
}

// answered gives an outcome to who waits for it; an unknown one was given up.
func (r *relays) answered(n *Node, m *linkv1.Outcome) {
	w := r.take(m.Request)
	if w == nil {
		n.metrics.dropped.WithLabelValues("late outcome").Inc()
		return
	}
	o := groups.Outcome{ID: w.id}
	switch {
	case m.Refusal != nil:
		o.Err = remote(r.peer, m.Refusal)
	case len(m.Hash) != len(groups.Hash{}):
		o.Err = groups.Errorf(groups.Unavailable, "the answer of %s can not be read", r.peer)
	default:
		o.Receipt = groups.Receipt{Room: w.room, ID: w.id, Seq: groups.Seq(m.Seq), Hash: groups.Hash(m.Hash),
			Epoch: groups.Epoch(m.Epoch), AcceptedAt: m.AcceptedAt}
		if head, err := groups.ParseSignedHead(m.Head); err == nil && head.Head.Room == w.room && head.Head.Seq >= o.Receipt.Seq {
			o.Head = head // else the log brings one: the submission was accepted
		}
	}
	w.done(o)
}

// expire gives up what was sent before then and never answered.
func (r *relays) expire(then time.Time) {
	r.mu.Lock()
	var late []uint64
	for id, w := range r.waiting {
		if w.at.Before(then) {
			late = append(late, id)
		}
	}
	r.mu.Unlock()
	for _, id := range late {
		if w := r.take(id); w != nil {
			w.done(groups.Outcome{ID: w.id, Err: groups.Errorf(groups.Unavailable,
				"%s did not answer within %s: send the same again", r.peer, relayTime)})
		}
	}
}

// fail answers everything that waits: the link has ended.
func (r *relays) fail() {
	r.mu.Lock()
	waiting := r.waiting
	r.waiting, r.ended, r.bytes = make(map[uint64]*relayed), true, 0
	r.mu.Unlock()
	for _, w := range waiting {
		w.done(groups.Outcome{ID: w.id, Err: r.unreachable()})
	}
}
