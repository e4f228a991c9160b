package federation

import (
	"time"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// A report is an offer to a node of the room's own site: this is how far a copy
// goes, and here is your site's word for it. The owner holds it against its own
// log, which may have been put back to an older copy, and if it lacks something
// follows the room from there until it has it back.

// latest returns the latest signed head that is held of a room, nil without one.
func (n *Node) latest(info groups.RoomInfo) *groups.SignedHead {
	if info.Head.Seq == 0 {
		return nil
	}
	page, err := n.cfg.Log.Read(info.Room, info.Head.Seq, 1)
	if err != nil {
		return nil
	}
	return page.Head
}

// reported takes an offer of a room of this site. source says whether the room may
// be followed from the peer: a sibling's always, another site's when it has
// something back to give.
func (f *follower) reported(l *link, room groups.RoomID, o *linkv1.Offer) (source bool) {
	info, err := f.node.cfg.Rooms.Room(room)
	lost := kindOf(err) == groups.NotFound && groups.NodeID(o.Owner) == f.node.cfg.Node
	if len(o.Head) == 0 || !lost && (err != nil || !info.Owned) {
		return l.sibling()
	}
	if len(o.Signer) > 0 {
		if err := f.learn(o.Signer); err != nil {
			f.node.doubt(l, room, err)
			return l.sibling()
		}
	}
	if err := f.node.fence(l, room, o.Head); err != nil {
		return l.sibling()
	}
	info, err = f.node.cfg.Rooms.Room(room)
	return l.sibling() || err == nil && info.Fenced > 0
}

// fence holds a head that a peer shows against the log of a room that this node
// orders. The error says that it does not count.
func (n *Node) fence(l *link, room groups.RoomID, head []byte) error {
	before, _ := n.cfg.Rooms.Room(room)
	shown, err := groups.ParseSignedHead(head)
	if err == nil && shown.Head.Room != room {
		err = groups.Errorf(groups.Invalid, "the head of %s is shown for %s", shown.Head.Room, room)
	}
	if err == nil {
		err = n.cfg.Rooms.Fence(shown)
	}
	if err != nil {
		n.doubt(l, room, err)
		return err
	}
	if after, err := n.cfg.Rooms.Room(room); err == nil && after.Parked != "" && after.Parked != before.Parked {
		n.metrics.reports.WithLabelValues("fenced").Inc()
		n.log.Error("a follower holds what its owner here does not: the room is read-only", "room", string(room),
			"peer", string(l.peer), "ours", uint64(after.Head.Seq), "theirs", uint64(shown.Head.Seq), "reason", after.Parked)
	}
	return nil
}

// doubt tells of a head that a peer shows and that does not count.
func (n *Node) doubt(l *link, room groups.RoomID, err error) {
	n.metrics.reports.WithLabelValues("refused").Inc()
	if n.refusals.Allow() {
		n.log.Warn("a peer shows a head that does not count here", "room", string(room), "peer", string(l.peer), "error", err)
	}
}

// Look looks at a room anew: sources that were not good are tried again, and
// followers hear where it stands now. It is for an operator, and for who changed
// the room by other ways than an entry.
func (n *Node) Look(room groups.RoomID) {
	n.mu.Lock()
	started := n.started
	n.mu.Unlock()
	if !started {
		return
	}
	n.follower.ask(func() {
		if r := n.follower.rooms[room]; r != nil {
			r.pardon()
			r.conflicts, r.retryAt = 0, time.Time{}
			n.follower.countParked()
			n.follower.choose(r)
		}
	})
	for _, l := range n.allLinks(func(*link) bool { return true }) {
		l.server.mu.Lock()
		s := l.server.byRoom[room]
		l.server.mu.Unlock()
		if s != nil {
			l.server.dirty(s)
		}
	}
}

// chain returns the chain that a head was signed under, the first time.
func (o *offerer) chain(l *link, signer groups.Hash) [][]byte {
	if o.shown[l][signer] {
		return nil
	}
	chain := o.node.cfg.Orderings.OrderingChain(signer)
	if chain != nil {
		o.shown[l][signer] = true
	}
	return chain
}
