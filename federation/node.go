package federation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"

	"parley/groups"
)

// A Node is this node's links to other nodes. Its methods are safe for many
// goroutines.
type Node struct {
	cfg         Config
	site        groups.SiteID
	sites       map[groups.SiteID]Peer // never written after New
	incarnation []byte
	log         *slog.Logger
	metrics     *metrics
	dialLimit   *rate.Limiter // handshakes from unproved addresses
	refusals    *rate.Limiter // log lines that a stranger can cause

	follower *follower
	offerer  *offerer
	fetcher  *fetcher
	claims   *claimLimits
	owners   *owners
	settling settling
	gossip   *gossip // nil without

	transport *quic.Transport
	listener  *quic.Listener
	conn      net.PacketConn
	ctx       context.Context
	cancel    context.CancelCauseFunc
	wg        sync.WaitGroup
	ending    sync.Once
	endErr    error

	mu      sync.Mutex // guards what follows
	started bool
	links   map[groups.NodeID]*link
	opening map[groups.NodeID]bool // dials past their handshake
	half    map[groups.SiteID]int  // incoming connections before their hello; a peer or this site
	dialers map[string]*dialer     // by what they dial
}

var errClosed = errors.New("this node is stopping")

// New checks the configuration and prepares a node; nothing runs before Start.
func New(cfg Config) (*Node, error) {
	cfg, err := cfg.check()
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg:         cfg,
		site:        cfg.Node.Site(),
		sites:       make(map[groups.SiteID]Peer, len(cfg.Sites)),
		incarnation: make([]byte, 16),
		log:         cfg.Logger.With("node", string(cfg.Node)),
		metrics:     newMetrics(cfg.Registry),
		dialLimit:   rate.NewLimiter(quietDials, quietDials),
		refusals:    rate.NewLimiter(rate.Every(time.Second), quietRefusals),
		claims:      newClaimLimits(),
		owners:      newOwners(),
		links:       make(map[groups.NodeID]*link),
		opening:     make(map[groups.NodeID]bool),
		half:        make(map[groups.SiteID]int),
		dialers:     make(map[string]*dialer),
	}
	for _, p := range cfg.Sites {
		n.sites[p.Site] = p
	}
	rand.Read(n.incarnation)
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	n.follower = newFollower(n)
	n.offerer = newOfferer(n)
	n.fetcher = newFetcher(n)
	if cfg.Gossip != nil {
		n.gossip = newGossip(n, *cfg.Gossip)
	}
	return n, nil
}

// Start binds the address, then dials, accepts and gossips until Close. A node
// is started once; after an error it is closed.
func (n *Node) Start() error {
	if err := n.begin(); err != nil {
		return err
	}
	if n.gossip != nil {
		// Not under mu: gossip tells of siblings while it starts.
		if err := n.gossip.start(); err != nil {
			n.Close()
			return err
		}
		n.wg.Go(n.gossip.run)
	}
	n.settling.begin(&n.cfg)
	n.wg.Go(n.accept)
	n.wg.Go(n.follower.run)
	n.wg.Go(n.offerer.run)
	n.wg.Go(n.fetcher.run)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.cfg.Sites {
		if len(p.Addresses) > 0 {
			n.startDialer(&dialer{name: string(p.Site), site: p.Site, addresses: p.Addresses})
		}
	}
	for _, a := range n.cfg.Siblings {
		n.startDialer(&dialer{name: a, site: n.site, addresses: []string{a}})
	}
	return nil
}

// begin binds the address.
func (n *Node) begin() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.started || n.ctx.Err() != nil {
		return errors.New("federation: a node starts once")
	}
	if err := n.listen(); err != nil {
		return err
	}
	n.started = true
	return nil
}

// Run starts the node, waits for ctx, and closes it.
func (n *Node) Run(ctx context.Context) error {
	if err := n.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	return n.Close()
}

// Close says goodbye to peers and waits for everything Start began. Relayed
// submissions without an answer become Unavailable.
func (n *Node) Close() error {
	n.mu.Lock()
	started := n.started
	n.cancel(errClosed) // under mu: no dialer starts after it
	n.mu.Unlock()
	if !started {
		return nil
	}
	n.ending.Do(func() {
		if n.gossip != nil {
			n.gossip.stop()
		}
		n.wg.Wait()
		n.endErr = n.unlisten()
	})
	return n.endErr
}

// Addr returns the address the links listen on; nil before Start.
func (n *Node) Addr() net.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		return nil
	}
	return n.conn.LocalAddr()
}

// listen binds the socket and begins to listen. Called under mu.
func (n *Node) listen() error {
	n.conn = n.cfg.PacketConn
	if n.conn == nil {
		addr, err := net.ResolveUDPAddr("udp", n.cfg.Listen)
		if err != nil {
			return fmt.Errorf("federation: listen address: %w", err)
		}
		c, err := net.ListenUDP("udp", addr)
		if err != nil {
			return fmt.Errorf("federation: listen: %w", err)
		}
		n.conn = c
	}
	n.transport = &quic.Transport{
		Conn:                n.conn,
		StatelessResetKey:   (*quic.StatelessResetKey)(n.cfg.ResetKey),
		VerifySourceAddress: func(net.Addr) bool { return !n.dialLimit.Allow() },
	}
	l, err := n.transport.Listen(n.serverTLS(), quicConfig())
	if err != nil {
		n.unlisten()
		return fmt.Errorf("federation: listen: %w", err)
	}
	n.listener = l
	return nil
}

// unlisten closes what listen opened.
func (n *Node) unlisten() error {
	if n.listener != nil {
		n.listener.Close()
	}
	err := n.transport.Close()
	if n.cfg.PacketConn == nil {
		n.conn.Close()
	}
	if err != nil {
		return fmt.Errorf("federation: close: %w", err)
	}
	return nil
}
