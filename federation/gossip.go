package federation

import (
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"parley/groups"
)

const (
	gossipKey     = 32               // bytes: AES-256
	rejoinTime    = 10 * time.Second // between looks for nodes that are not heard of
	leaveTime     = time.Second      // to say goodbye
	maxMembers    = 256              // nodes of a site that are remembered; more are not dialled
	maxRoomsState = 2 << 20          // bytes of a node's list of rooms: the rest is left out
)

// Gossip finds the nodes of a site (memberlist). It is advice (I11): who is
// there, where its links listen, which rooms it says it holds. Who owns a room
// is the owner's to say, and a sibling is proved by its certificate.
type Gossip struct {
	// Bind is host:port for gossip, UDP and TCP; required.
	Bind string
	// Advertise is the host:port that others are told; empty means Bind, which
	// then must name an address.
	Advertise string
	// LinkAddress is the host:port of links that others are told; empty means
	// the host of Advertise and the port of the links.
	LinkAddress string
	// Key encrypts gossip, 32 bytes; required: there is no gossip in the clear.
	Key []byte
	// Join are gossip addresses of other nodes of the site; empty waits for them.
	Join []string
	// Rejoin is the time between looks for nodes that are not heard of; zero
	// means ten seconds.
	Rejoin time.Duration
}

// check fills in defaults and refuses what can not work.
func (g Gossip) check(node groups.NodeID) (Gossip, error) {
	if len(g.Key) != gossipKey {
		return g, groups.Errorf(groups.Invalid, "federation: the gossip key has %d bytes, it must have %d: gossip is never in the clear", len(g.Key), gossipKey)
	}
	for _, a := range []string{g.Bind, g.advertised()} {
		if host, _, err := splitPort(a); err != nil {
			return g, err
		} else if net.ParseIP(host) == nil {
			return g, groups.Errorf(groups.Invalid, "federation: gossip address %q must be an IP address and a port", a)
		}
	}
	if host, _, _ := splitPort(g.advertised()); net.ParseIP(host).IsUnspecified() {
		return g, groups.Errorf(groups.Invalid, "federation: others can not reach the gossip address %q: set Advertise", g.advertised())
	}
	if g.Rejoin == 0 {
		g.Rejoin = rejoinTime
	}
	return g, nil
}

// advertised is the address that others are told; port zero is replaced by the
// one that was bound.
func (g Gossip) advertised() string {
	if g.Advertise != "" {
		return g.Advertise
	}
	return g.Bind
}

func splitPort(address string) (string, int, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		var p uint64
		if p, err = strconv.ParseUint(port, 10, 16); err == nil {
			return host, int(p), nil
		}
	}
	return "", 0, groups.Errorf(groups.Invalid, "federation: %q is not host:port: %w", address, err)
}

// A gossip is this node's part in it.
type gossip struct {
	node *Node
	cfg  Gossip
	list *memberlist.Memberlist
	wake chan struct{}
	link string // this node's link address
	self string // and gossip address

	mu      sync.Mutex // never held while memberlist is called
	members map[groups.NodeID]*member
	told    string // what others were told of this node last
	leaving bool
}

// A member is a sibling as gossip tells of it.
type member struct {
	gossip string // host:port
	link   string
	state  string // alive, failed, leaving, left
	since  time.Time
	rooms  uint32
	load   uint32
	owned  []groups.RoomID
}

func newGossip(n *Node, cfg Gossip) *gossip {
	return &gossip{node: n, cfg: cfg, wake: make(chan struct{}, 1), members: make(map[groups.NodeID]*member)}
}

// start binds the gossip address; run does the rest. Siblings may be heard of
// before it returns.
func (g *gossip) start() error {
	n, cfg := g.node, g.cfg
	host, _, _ := splitPort(cfg.advertised())
	g.link = cfg.LinkAddress
	if g.link == "" {
		_, linkPort, err := net.SplitHostPort(n.conn.LocalAddr().String())
		if err != nil {
			return fmt.Errorf("federation: address of the links: %w", err)
		}
		g.link = net.JoinHostPort(host, linkPort)
	}
	c := memberlist.DefaultLANConfig()
	c.Name = string(n.cfg.Node)
	c.Label = "parley/" + string(n.site)
	c.BindAddr, c.BindPort, _ = splitPort(cfg.Bind)
	if cfg.Advertise != "" {
		c.AdvertiseAddr, c.AdvertisePort, _ = splitPort(cfg.Advertise)
	}
	c.SecretKey = cfg.Key
	c.GossipVerifyIncoming, c.GossipVerifyOutgoing = true, true
	c.EnableCompression = false
	c.DeadNodeReclaimTime = time.Second // a node may come back at another address
	c.Delegate, c.Alive, c.Merge, c.Events = g, g, g, g
	c.Logger = log.New(gossipLog{n}, "", 0)
	list, err := memberlist.Create(c)
	if err != nil {
		return fmt.Errorf("federation: gossip: %w", err)
	}
	g.list, g.self = list, list.LocalNode().Address()
	return nil
}

// run looks again and again for nodes that are not heard of: memberlist does
// not heal a partition that outlasts its memory of the dead.
func (g *gossip) run() {
	tick := time.NewTicker(g.cfg.Rejoin)
	defer tick.Stop()
	g.rejoin()
	for {
		select {
		case <-tick.C:
			g.rejoin()
			g.update()
		case <-g.wake:
			g.update()
		case <-g.node.ctx.Done():
			return
		}
	}
}

// rejoin joins the configured addresses and all members known once, but for
// those that are alive or have left.
func (g *gossip) rejoin() {
	g.mu.Lock()
	alive, targets := []string{g.self}, slices.Clone(g.cfg.Join)
	for _, m := range g.members {
		switch {
		case m.state == "alive":
			alive = append(alive, m.gossip)
		case m.state == "failed" && !slices.Contains(targets, m.gossip):
			targets = append(targets, m.gossip)
		}
	}
	g.mu.Unlock()
	for _, t := range targets {
		if slices.Contains(alive, t) || g.node.ctx.Err() != nil {
			continue
		}
		if _, err := g.list.Join([]string{t}); err != nil {
			g.node.log.Debug("a node is not heard of", "gossip", t, "error", err)
		}
	}
}

// changed is news of our rooms.
func (g *gossip) changed() { poke(g.wake) }

// update tells others when what is said of this node has changed.
func (g *gossip) update() {
	meta := string(g.NodeMeta(memberlist.MetaMaxSize))
	g.mu.Lock()
	same := meta == g.told
	g.told = meta
	g.mu.Unlock()
	if same {
		return
	}
	if err := g.list.UpdateNode(leaveTime); err != nil {
		g.node.log.Debug("gossip is slow", "error", err)
	}
}

// stop says goodbye and closes the sockets. Metadata says it first: memberlist
// does not tell others whether a node left or was lost.
func (g *gossip) stop() {
	if g.list == nil {
		return
	}
	g.mu.Lock()
	g.leaving = true
	g.mu.Unlock()
	g.update()
	if err := g.list.Leave(leaveTime); err != nil {
		g.node.log.Debug("gossip: leave", "error", err)
	}
	if err := g.list.Shutdown(); err != nil {
		g.node.log.Debug("gossip: shut down", "error", err)
	}
}

// ownerOf returns the sibling that says it orders a room, "" if none does.
func (g *gossip) ownerOf(room groups.RoomID) groups.NodeID {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, m := range g.members {
		if slices.Contains(m.owned, room) {
			return id
		}
	}
	return ""
}

// gossipLog turns memberlist's lines into debug records.
type gossipLog struct{ node *Node }

var _ io.Writer = gossipLog{}

// Write logs one line.
func (w gossipLog) Write(b []byte) (int, error) {
	w.node.log.Debug("gossip", "line", string(b[:max(len(b)-1, 0)]))
	return len(b), nil
}
