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
// or had, so that it still gets the entry that removed them.
type offerer struct {
	node *Node
	wake chan struct{}

	mu    sync.Mutex
	fresh []*link                                // links that came up: at most one a node
	gone  []*link                                // and went down
	ended []ending                               // subscriptions that ended: at most one a room and link
	dirty map[groups.RoomID]struct{}             // rooms with news, bounded by the rooms held
	sent  map[*link]map[groups.RoomID]groups.Seq // what was offered until which entry; owned by run
}

// An ending is a room whose subscription ended with the membership of a site.
type ending struct {
	link *link
	room groups.RoomID
}

func newOfferer(n *Node) *offerer {
	return &offerer{node: n, wake: make(chan struct{}, 1),
		dirty: make(map[groups.RoomID]struct{}), sent: make(map[*link]map[groups.RoomID]groups.Seq)}
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
			o.sent[l] = make(map[groups.RoomID]groups.Seq)
			o.offer(l, o.node.cfg.Rooms.Rooms())
		}
		for _, l := range gone {
			delete(o.sent, l)
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
		if len(f.Offers) > 0 && l.lanes[laneControl].out.add(&f, hardOutbox) != nil {
			l.close(errOutboxFull)
		}
		f.Offers = nil
	}
	for _, info := range rooms {
		until, ok := o.due(l, info)
		if was, told := sent[info.Room]; !ok || told && was == until {
			continue
		}
		sent[info.Room] = until
		f.Offers = append(f.Offers, &linkv1.Offer{Room: string(info.Room), Owner: string(o.owner(info)),
			Seq: uint64(info.Head.Seq), Until: uint64(until)})
		if len(f.Offers) == offersPerFrame {
			flush()
		}
	}
	flush()
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
// which entry: zero means without end.
func mayFollow(info groups.RoomInfo, site, hub groups.SiteID) (until groups.Seq, ok bool) {
	if info.Room.Site() != hub {
		return 0, false
	}
	if slices.Contains(info.Sites, site) || slices.Contains(info.Readers, site) {
		return 0, true
	}
	until = info.Left[site]
	return until, until != 0
}
