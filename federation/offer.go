package federation

import (
	"slices"
	"sync"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// offersPerFrame keeps an offer of many rooms in frames of moderate size.
const offersPerFrame = 500

// An offerer tells each peer which rooms it should follow: a sibling all rooms
// held here, another site the rooms of our site that it has members or readers in,
// or had, so that it still gets the entry that removed them; and what is held of
// the other site's own rooms, with the head that it has signed.
type offerer struct {
	node *Node
	wake chan struct{}

	mu    sync.Mutex
	fresh []*link                                // links that came up: at most one a node
	gone  []*link                                // and went down
	ended []ending                               // subscriptions that ended: at most one a room and link
	dirty map[groups.RoomID]struct{}             // rooms with news, bounded by the rooms held
	sent  map[*link]map[groups.RoomID]groups.Seq // what was offered until which entry; owned by run
	shown map[*link]map[groups.Hash]bool         // ordering certificates that went with offers; owned by run
}

// An ending is a room whose subscription ended with the membership of a site.
type ending struct {
	link *link
	room groups.RoomID
}

func newOfferer(n *Node) *offerer {
	return &offerer{node: n, wake: make(chan struct{}, 1),
		dirty: make(map[groups.RoomID]struct{}), sent: make(map[*link]map[groups.RoomID]groups.Seq),
		shown: make(map[*link]map[groups.Hash]bool)}
}

// up offers all rooms on a new link.
func (o *offerer) up(l *link) {
	o.mu.Lock()
	o.fresh = append(o.fresh, l)
	o.mu.Unlock()
	poke(o.wake)
}

// down forgets a link.
func (o *offerer) down(l *link) {
	o.mu.Lock()
	o.gone = append(o.gone, l)
	o.mu.Unlock()
	poke(o.wake)
}

// changed is the store's word that a room is new here or its sites changed.
func (o *offerer) changed(room groups.RoomID) {
	o.mu.Lock()
	o.dirty[room] = struct{}{}
	o.mu.Unlock()
	poke(o.wake)
}

// again offers a room anew, if it is still due, after its subscription ended.
func (o *offerer) again(l *link, room groups.RoomID) {
	o.mu.Lock()
	o.ended = append(o.ended, ending{l, room})
	o.dirty[room] = struct{}{}
	o.mu.Unlock()
	poke(o.wake)
}

// run makes offers until the node ends.
func (o *offerer) run() {
	stop := o.node.cfg.Rooms.WatchRooms(o.changed)
	defer stop()
	for {
		select {
		case <-o.wake:
		case <-o.node.ctx.Done():
			return
		}
		o.mu.Lock()
		fresh, gone, ended, dirty := o.fresh, o.gone, o.ended, o.dirty
		o.fresh, o.gone, o.ended, o.dirty = nil, nil, nil, make(map[groups.RoomID]struct{})
		o.mu.Unlock()
		for _, l := range fresh {
			o.sent[l], o.shown[l] = make(map[groups.RoomID]groups.Seq), make(map[groups.Hash]bool)
			o.offer(l, o.node.cfg.Rooms.Rooms())
			o.push(l, &linkv1.Frame{Offered: true})
		}
		for _, l := range gone {
			delete(o.sent, l)
			delete(o.shown, l)
		}
		for _, e := range ended {
			delete(o.sent[e.link], e.room)
		}
		o.tell(dirty)
	}
}

// tell offers changed rooms on all links.
func (o *offerer) tell(dirty map[groups.RoomID]struct{}) {
	var rooms []groups.RoomInfo
	for room := range dirty {
		if info, err := o.node.cfg.Rooms.Room(room); err == nil {
			rooms = append(rooms, info)
		}
	}
	if len(rooms) == 0 {
		return
	}
	for l := range o.sent {
		o.offer(l, rooms)
	}
	if o.node.gossip != nil {
		o.node.gossip.changed()
	}
}

// offer sends what l should know of rooms and has not been told.
func (o *offerer) offer(l *link, rooms []groups.RoomInfo) {
	sent := o.sent[l]
	var f linkv1.Frame
	flush := func() {
		if len(f.Offers) > 0 {
			o.push(l, &f)
		}
		f.Offers = nil
	}
	for _, info := range rooms {
		until, ok := o.due(l, info)
		if was, told := sent[info.Room]; !ok || told && was == until {
			continue
		}
		m := &linkv1.Offer{Room: string(info.Room), Owner: string(o.owner(info)), Seq: uint64(info.Head.Seq), Until: uint64(until)}
		if info.Room.Site() == l.peer.Site() && !info.Owned {
			head := o.node.latest(info)
			if head == nil {
				continue
			}
			m.Head, m.Signer = head.Marshal(), o.chain(l, head.Signer)
		}
		sent[info.Room] = until
		f.Offers = append(f.Offers, m)
		if len(f.Offers) == offersPerFrame {
			flush()
		}
	}
	flush()
}

// push puts offers on the way.
func (o *offerer) push(l *link, f *linkv1.Frame) {
	if l.lanes[laneControl].out.add(f, hardOutbox) != nil {
		l.close(errOutboxFull)
	}
}

func (o *offerer) owner(info groups.RoomInfo) groups.NodeID {
	if info.Owned {
		return o.node.cfg.Node
	}
	if info.Owner == "" {
		return o.node.owners.get(info.Room)
	}
	return info.Owner
}

// due says whether a peer should follow a room, and until which entry: zero
// means without end.
func (o *offerer) due(l *link, info groups.RoomInfo) (until groups.Seq, ok bool) {
	if l.sibling() {
		return 0, true
	}
	return mayFollow(info, l.peer.Site(), o.node.site)
}

// mayFollow says whether a site may follow a room from a node of hub, and until
// which entry: zero means without end. The room's own site may have it back from
// anybody.
func mayFollow(info groups.RoomInfo, site, hub groups.SiteID) (until groups.Seq, ok bool) {
	if info.Room.Site() == site {
		return 0, true
	}
	if info.Room.Site() != hub {
		return 0, false
	}
	if slices.Contains(info.Sites, site) || slices.Contains(info.Readers, site) {
		return 0, true
	}
	until = info.Left[site]
	return until, until != 0
}
