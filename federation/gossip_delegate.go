package federation

import (
	"slices"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/proto"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// NodeMeta says of this node what others need to link to it. Rooms are told in
// LocalState: they do not fit.
func (g *gossip) NodeMeta(limit int) []byte {
	g.mu.Lock()
	leaving := g.leaving
	g.mu.Unlock()
	b, err := proto.Marshal(&linkv1.NodeMeta{
		Node: string(g.node.cfg.Node), Address: g.link, Leaving: leaving,
		Rooms: uint32(len(g.node.cfg.Rooms.Rooms())), Load: g.node.cfg.Load(),
	})
	if err != nil || len(b) > limit {
		return nil // others then refuse this node, and say so
	}
	return b
}

// LocalState lists the rooms held here, owned ones first, as far as they fit.
func (g *gossip) LocalState(bool) []byte {
	m := &linkv1.NodeRooms{Node: string(g.node.cfg.Node)}
	size := 0
	rooms := g.node.cfg.Rooms.Rooms()
	for _, owned := range []bool{true, false} {
		for _, r := range rooms {
			if r.Owned != owned || size > maxRoomsState {
				continue
			}
			size += len(r.Room) + 4
			if owned {
				m.Owned = append(m.Owned, string(r.Room))
			} else {
				m.Held = append(m.Held, string(r.Room))
			}
		}
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil
	}
	return b
}

// MergeRemoteState takes another node's list of rooms.
func (g *gossip) MergeRemoteState(b []byte, _ bool) {
	m, err := parseNodeRooms(b)
	if err != nil {
		g.node.log.Debug("gossip: rooms of a node", "error", err)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if known := g.members[groups.NodeID(m.Node)]; known != nil {
		known.owned = known.owned[:0]
		for _, r := range m.Owned {
			known.owned = append(known.owned, groups.RoomID(r))
		}
	}
}

// parseNodeRooms reads a list of rooms that a node says it owns, of its site.
func parseNodeRooms(b []byte) (*linkv1.NodeRooms, error) {
	if len(b) > 2*maxRoomsState {
		return nil, groups.Errorf(groups.TooLarge, "%d bytes of rooms", len(b))
	}
	m := new(linkv1.NodeRooms)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, groups.Errorf(groups.Invalid, "rooms of a node: %w", err)
	}
	node, err := groups.ParseNodeID(m.Node)
	if err != nil {
		return nil, err
	}
	m.Owned = slices.DeleteFunc(m.Owned, func(r string) bool {
		room, err := groups.ParseRoomID(r)
		return err != nil || room.Site() != node.Site()
	})
	return m, nil
}

// parseMeta reads what a node says of itself and holds it against its name and
// our site.
func parseMeta(site groups.SiteID, name string, meta []byte) (*linkv1.NodeMeta, error) {
	if len(meta) > memberlist.MetaMaxSize {
		return nil, groups.Errorf(groups.TooLarge, "%d bytes of metadata", len(meta))
	}
	m := new(linkv1.NodeMeta)
	if err := proto.Unmarshal(meta, m); err != nil {
		return nil, groups.Errorf(groups.Invalid, "metadata of %q: %w", name, err)
	}
	id, err := groups.ParseNodeID(m.Node)
	if err != nil {
		return nil, err
	}
	if string(id) != name || id.Site() != site {
		return nil, groups.Errorf(groups.Denied, "%q is not a node of %s", name, site)
	}
	if _, _, err := splitPort(m.Address); err != nil {
		return nil, err
	}
	return m, nil
}

// NotifyAlive refuses nodes of other sites.
func (g *gossip) NotifyAlive(m *memberlist.Node) error {
	_, err := parseMeta(g.node.site, m.Name, m.Meta)
	return err
}

// NotifyMerge refuses a cluster that has nodes of other sites.
func (g *gossip) NotifyMerge(peers []*memberlist.Node) error {
	for _, m := range peers {
		if _, err := parseMeta(g.node.site, m.Name, m.Meta); err != nil {
			return err
		}
	}
	return nil
}

// NotifyJoin is a sign of life of a sibling.
func (g *gossip) NotifyJoin(m *memberlist.Node) { g.heard(m, "alive") }

// NotifyUpdate is new metadata of a sibling.
func (g *gossip) NotifyUpdate(m *memberlist.Node) { g.heard(m, "alive") }

// NotifyLeave is a sibling that left, or is not heard any more. It is still
// dialled in the second case: gossip may be wrong.
func (g *gossip) NotifyLeave(m *memberlist.Node) { g.heard(m, "failed") }

// heard files news of a node and has it dialled. It is called under
// memberlist's locks and does not call it.
func (g *gossip) heard(m *memberlist.Node, state string) {
	meta, err := parseMeta(g.node.site, m.Name, m.Meta)
	id := groups.NodeID(m.Name)
	if err != nil || id == g.node.cfg.Node {
		return
	}
	g.mu.Lock()
	known := g.members[id]
	if known == nil && len(g.members) >= maxMembers {
		g.mu.Unlock()
		g.node.metrics.dropped.WithLabelValues("member").Inc()
		return
	}
	if known == nil {
		known = &member{}
		g.members[id] = known
	}
	switch {
	case state == "failed" && (meta.Leaving || known.state == "left"):
		state = "left"
	case meta.Leaving:
		state = "leaving"
	}
	if known.state != state {
		known.state, known.since = state, g.node.cfg.Now()
	}
	known.gossip, known.link, known.rooms, known.load = m.Address(), meta.Address, meta.Rooms, meta.Load
	g.mu.Unlock()
	g.node.sibling(id, meta.Address, state)
}

// NotifyMsg drops messages: gossip carries none (protocol.md, section 7).
func (g *gossip) NotifyMsg([]byte) {}

// GetBroadcasts has none.
func (g *gossip) GetBroadcasts(int, int) [][]byte { return nil }

// sibling dials what gossip tells of, the node with the lower name at once. One
// that left is not dialled any more.
func (n *Node) sibling(id groups.NodeID, address, state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.dialers[string(id)]
	switch {
	case d != nil && (state == "left" || state == "leaving" || d.addresses[0] != address):
		d.stop()
		delete(n.dialers, d.name)
	case d != nil && state == "alive":
		poke(d.wake)
		return
	case d != nil:
		return
	}
	if state == "alive" {
		n.startDialer(&dialer{name: string(id), site: n.site, expect: id, peer: id, addresses: []string{address}, polite: n.cfg.Node > id})
	}
}
