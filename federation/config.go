package federation

import (
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/groups"
)

// Config is what a node's links need.
type Config struct {
	// Node is this node; required. Its site is the site of its links.
	Node groups.NodeID
	// Certificate gives the node's TLS certificate; required.
	Certificate Certificates
	// Listen is the UDP address of the links, such as 0.0.0.0:7443. Empty means
	// that PacketConn is given.
	Listen string
	// PacketConn is used instead of Listen and closed by whoever made it; nil
	// means that Listen is bound.
	PacketConn net.PacketConn
	// ResetKey lets a restarted node end the links of its life before at once
	// (RFC 9000, Section 10.3); nil leaves that to their idle time.
	ResetKey *[32]byte
	// Sites are the peer sites; a site that is not among them is refused. Empty
	// means siblings only.
	Sites []Peer
	// Siblings are addresses of nodes of the own site to dial without gossip;
	// may be empty.
	Siblings []string
	// Gossip finds the nodes of the own site; nil means none is used.
	Gossip *Gossip

	// Peers, Log, Rooms, Keys, Blobs and Signals are required.
	Peers   Peers
	Log     Log     // required
	Rooms   Rooms   // required
	Keys    Keys    // required
	Blobs   Blobs   // required
	Signals Signals // required

	// Orderings says under which certificates heads are signed; required.
	Orderings Orderings

	// Software is told to peers, for their operators; may be empty.
	Software string
	// Load tells how busy this node is, in percent; nil means zero.
	Load func() uint32
	// Logger gets what the operator should know; nil means slog.Default.
	Logger *slog.Logger
	// Registry gets the metrics; nil means they are kept to ourselves.
	Registry prometheus.Registerer
	// Now is the clock of certificates and states; nil means time.Now.
	Now func() time.Time
}

// A Peer is another site and where its nodes may be dialled.
type Peer struct {
	Site groups.SiteID
	// Addresses are host:port, tried in order; with none the site has to dial us.
	Addresses []string
}

// check fills in defaults and says what is missing.
func (c Config) check() (Config, error) {
	if _, err := groups.ParseNodeID(string(c.Node)); err != nil {
		return c, err
	}
	missing := ""
	switch {
	case c.Certificate == nil:
		missing = "Certificate"
	case c.Listen == "" && c.PacketConn == nil:
		missing = "Listen"
	case c.Peers == nil:
		missing = "Peers"
	case c.Log == nil:
		missing = "Log"
	case c.Rooms == nil:
		missing = "Rooms"
	case c.Keys == nil:
		missing = "Keys"
	case c.Blobs == nil:
		missing = "Blobs"
	case c.Signals == nil:
		missing = "Signals"
	case c.Orderings == nil:
		missing = "Orderings"
	}
	if missing != "" {
		return c, groups.Errorf(groups.Invalid, "federation: %s is required", missing)
	}
	for _, p := range c.Sites {
		if _, err := groups.ParseSiteID(string(p.Site)); err != nil {
			return c, err
		}
		if p.Site == c.Node.Site() {
			return c, groups.Errorf(groups.Invalid, "federation: %s is this node's own site, not a peer", p.Site)
		}
	}
	if c.Load == nil {
		c.Load = func() uint32 { return 0 }
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Gossip != nil {
		g, err := c.Gossip.check(c.Node)
		if err != nil {
			return c, err
		}
		c.Gossip = &g
	}
	return c, nil
}
