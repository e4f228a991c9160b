package federation

import (
	"slices"
	"strings"
	"time"

	"parley/groups"
)

// A PeerStatus is what an operator should know of another site, or of one link
// to it.
type PeerStatus struct {
	Site      groups.SiteID
	Node      groups.NodeID // of the link, empty without one
	Address   string        // of the link, else where it is dialled
	Software  string
	State     string // up, dialling, waiting (for the next dial), expected (to dial us)
	Since     time.Time
	LastError string                   // of the last dial that failed
	RTT       time.Duration            // smoothed, zero without a link
	Behind    map[groups.RoomID]uint64 // entries sent and not acknowledged, by room; rooms without any are left out
	InFlight  int                      // submissions relayed and not answered
}

// A NodeStatus is what an operator should know of a node of this site.
type NodeStatus struct {
	Node    groups.NodeID
	State   string // self; alive, leaving, left, failed (not heard of), suspect (not heard of, but linked); linked (without gossip)
	Address string // of its links
	Linked  bool
	Since   time.Time
	Rooms   uint32
	Load    uint32 // percent
	RTT     time.Duration
}

// A ParkedRoom is a room that is not followed because of what its sources sent.
type ParkedRoom struct {
	Room  groups.RoomID
	Held  groups.Seq
	Why   string
	Since time.Time
}

// Peers tells of every peer site: a line for each link, or one that says why
// there is none. By site and node.
func (n *Node) Peers() []PeerStatus {
	var out []PeerStatus
	for site, p := range n.sites {
		links := n.linksOf(site)
		for _, l := range links {
			s := l.status()
			out = append(out, s)
		}
		if len(links) == 0 {
			out = append(out, n.unlinked(p))
		}
	}
	slices.SortFunc(out, func(a, b PeerStatus) int {
		return strings.Compare(string(a.Site)+string(a.Node), string(b.Site)+string(b.Node))
	})
	return out
}

func (l *link) status() PeerStatus {
	s := PeerStatus{Site: l.peer.Site(), Node: l.peer, Address: l.address, Software: l.software,
		State: "up", Since: l.since, RTT: l.conn.ConnectionStats().SmoothedRTT, Behind: make(map[groups.RoomID]uint64)}
	l.server.mu.Lock()
	for room, sub := range l.server.byRoom {
		if sub.sent > sub.acked {
			s.Behind[room] = uint64(sub.sent - sub.acked)
		}
	}
	l.server.mu.Unlock()
	l.relays.mu.Lock()
	s.InFlight = len(l.relays.waiting)
	l.relays.mu.Unlock()
	return s
}

// unlinked tells why there is no link to a site.
func (n *Node) unlinked(p Peer) PeerStatus {
	s := PeerStatus{Site: p.Site, State: "expected", Address: strings.Join(p.Addresses, " ")}
	n.mu.Lock()
	d := n.dialers[string(p.Site)]
	n.mu.Unlock()
	if d == nil {
		return s
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.State, s.Since = d.state, d.since
	if d.last != nil {
		s.LastError = d.last.Error()
	}
	return s
}

// Nodes tells of the nodes of this site, this one first, then by name.
func (n *Node) Nodes() []NodeStatus {
	var out []NodeStatus
	seen := make(map[groups.NodeID]bool)
	if n.gossip != nil {
		out = n.gossip.status()
	}
	for i := range out {
		seen[out[i].Node] = true
		if l := n.linkTo(out[i].Node); l != nil {
			out[i].Linked, out[i].RTT = true, l.conn.ConnectionStats().SmoothedRTT
			if out[i].State == "failed" {
				out[i].State = "suspect"
			}
		}
	}
	for _, l := range n.linksOf(n.site) {
		if !seen[l.peer] {
			out = append(out, NodeStatus{Node: l.peer, State: "linked", Address: l.address, Linked: true,
				Since: l.since, RTT: l.conn.ConnectionStats().SmoothedRTT})
		}
	}
	slices.SortFunc(out, func(a, b NodeStatus) int { return strings.Compare(string(a.Node), string(b.Node)) })
	self := NodeStatus{Node: n.cfg.Node, State: "self", Rooms: uint32(len(n.cfg.Rooms.Rooms())), Load: n.cfg.Load()}
	if a := n.Addr(); a != nil {
		self.Address = a.String()
	}
	return append([]NodeStatus{self}, out...)
}

// status tells of the members that gossip knows.
func (g *gossip) status() []NodeStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []NodeStatus
	for id, m := range g.members {
		out = append(out, NodeStatus{Node: id, State: m.state, Address: m.link, Since: m.since, Rooms: m.rooms, Load: m.load})
	}
	return out
}

// Parked tells of the rooms that are not followed because of a bad entry.
func (n *Node) Parked() []ParkedRoom {
	var out []ParkedRoom
	n.mu.Lock()
	started := n.started
	n.mu.Unlock()
	if !started {
		return nil
	}
	n.follower.ask(func() {
		for _, r := range n.follower.rooms {
			if r.parked != "" {
				out = append(out, ParkedRoom{r.room, r.held.Seq, r.parked, r.parkedAt})
			}
		}
	})
	slices.SortFunc(out, func(a, b ParkedRoom) int { return strings.Compare(string(a.Room), string(b.Room)) })
	return out
}
