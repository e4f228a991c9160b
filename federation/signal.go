package federation

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// Signal sends an ephemeral signal of a device here to the other nodes whose
// devices are in its room: as a datagram, once, and it may be lost. It goes to
// all siblings, and from the hub site to one node of every other site, from a
// follower site to the hub, which passes it on.
func (n *Node) Signal(room groups.RoomID, device groups.DeviceID, payload []byte) {
	if len(payload) > groups.MaxSignal {
		n.metrics.dropped.WithLabelValues("signal").Inc()
		return
	}
	b, err := proto.Marshal(&linkv1.Signal{Room: string(room), Device: string(device), Payload: payload})
	if err == nil {
		n.spread(room, b, "")
	}
}

// spread sends a signal to siblings and to the sites that should get it from
// here, but not back to the site it came from.
func (n *Node) spread(room groups.RoomID, b []byte, from groups.SiteID) {
	info, err := n.cfg.Rooms.Room(room)
	if err != nil {
		return
	}
	sites := []groups.SiteID{room.Site()}
	if room.Site() == n.site {
		sites = info.Sites
	}
	for _, l := range n.linksOf(n.site) {
		n.cast(l, b)
	}
	for _, site := range sites {
		if links := n.linksOf(site); site != n.site && site != from && len(links) > 0 {
			n.cast(links[0], b)
		}
	}
}

func (n *Node) cast(l *link, b []byte) {
	if err := l.conn.SendDatagram(b); err != nil {
		n.metrics.dropped.WithLabelValues("signal").Inc()
	}
}

// datagrams takes the peer's signals until the link ends.
func (l *link) datagrams(ctx context.Context) error {
	for {
		b, err := l.conn.ReceiveDatagram(ctx)
		if err != nil {
			return err
		}
		m, ok := l.heard(b)
		if !ok || !l.signal.Allow() {
			l.node.metrics.dropped.WithLabelValues("signal").Inc()
			continue
		}
		l.node.cfg.Signals.Signal(groups.RoomID(m.Room), groups.DeviceID(m.Device), m.Payload)
		if !l.sibling() {
			l.node.spread(groups.RoomID(m.Room), b, l.peer.Site())
		}
	}
}

// heard reads a signal and says whether the peer may send it: a site for its
// own devices, the hub for anybody in the room, a sibling what it has checked.
func (l *link) heard(b []byte) (*linkv1.Signal, bool) {
	m, err := parseSignal(b)
	if err != nil {
		return nil, false
	}
	if l.sibling() {
		return m, true
	}
	room, site := groups.RoomID(m.Room), l.peer.Site()
	info, err := l.node.cfg.Rooms.Room(room)
	if err != nil || !slices.Contains(info.Sites, site) && room.Site() != site {
		return nil, false
	}
	return m, groups.DeviceID(m.Device).Site() == site || room.Site() == site
}

func parseSignal(b []byte) (*linkv1.Signal, error) {
	m := new(linkv1.Signal)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, groups.Errorf(groups.Invalid, "signal: %w", err)
	}
	if _, err := groups.ParseRoomID(m.Room); err != nil {
		return nil, err
	}
	if _, err := groups.ParseDeviceID(m.Device); err != nil {
		return nil, err
	}
	if len(m.Payload) > groups.MaxSignal {
		return nil, groups.Errorf(groups.TooLarge, "a signal of %d bytes, the limit is %d", len(m.Payload), groups.MaxSignal)
	}
	return m, nil
}
