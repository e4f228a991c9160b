package federation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"parley/groups"
)

// errLinked ends a dial that reached a node to which there is a link already.
var errLinked = errors.New("there is a link to this node already")

// politeness is how long the node with the higher name leaves a dial to the
// other one, so that two siblings that hear of each other do not both dial.
const politeness = 2 * time.Second

// A dialer keeps one link: to any node of a peer site, or to one sibling. While
// there is one it waits; else it tries its addresses in turn, with a backoff
// that begins anew at any sign of life.
type dialer struct {
	node      *Node
	name      string
	site      groups.SiteID
	addresses []string
	expect    groups.NodeID // who should answer, "" for any node of the site
	polite    bool
	wake      chan struct{} // a sign of life: do not wait any longer
	lost      chan struct{} // a link of the site ended
	ctx       context.Context
	stop      context.CancelFunc

	mu    sync.Mutex
	peer  groups.NodeID // the sibling that answered here, "" before
	state string
	since time.Time
	last  error
}

// startDialer runs d until the node or d ends. Called under mu.
func (n *Node) startDialer(d *dialer) {
	if n.ctx.Err() != nil || n.dialers[d.name] != nil {
		return
	}
	d.node = n
	d.wake, d.lost = make(chan struct{}, 1), make(chan struct{}, 1)
	d.ctx, d.stop = context.WithCancel(n.ctx)
	d.since = n.cfg.Now()
	d.state = "dialling"
	n.dialers[d.name] = d
	n.wg.Go(d.run)
}

// run dials whenever there is no link.
func (d *dialer) run() {
	defer d.stop()
	retry := d.retry()
	if d.polite {
		d.sleep(politeness, d.lost)
	}
	for d.ctx.Err() == nil {
		if d.linked() {
			d.set("up", nil)
			d.sleep(idleTime, d.lost)
			continue
		}
		began := time.Now()
		err := d.round()
		if err == nil && time.Since(began) > youngLink {
			retry.Reset()
		}
		if err != nil && !errors.Is(err, errLinked) && !errors.Is(err, errReplaced) {
			d.set("waiting", err)
		}
		if d.sleep(retry.NextBackOff(), d.wake) {
			retry.Reset()
		}
	}
}

// retry waits longer after each round that failed, without end: unreachable is
// not refused.
func (d *dialer) retry() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = firstRetry, lastRetry
	b.Multiplier, b.RandomizationFactor = 2, 0.5
	b.Reset()
	return b
}

// sleep waits for t; true means that it ended early by news.
func (d *dialer) sleep(t time.Duration, news <-chan struct{}) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-news:
		return true
	case <-timer.C:
	case <-d.ctx.Done():
	}
	return false
}

// linked says whether there is what d is for.
func (d *dialer) linked() bool {
	if d.site != d.node.site {
		return len(d.node.linksOf(d.site)) > 0
	}
	d.mu.Lock()
	peer := d.peer
	d.mu.Unlock()
	return peer != "" && d.node.linkTo(peer) != nil
}

// round tries each address once, until one has been linked to and that link has
// ended. Its error is the last address's.
func (d *dialer) round() error {
	d.set("dialling", nil)
	var err error
	for _, a := range d.addresses {
		if err = d.once(a); err == nil || errors.Is(err, errLinked) {
			d.count("ok")
			return err
		}
		d.count("failed")
		d.node.log.Debug("a dial failed", "site", string(d.site), "address", a, "error", err)
		if d.ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (d *dialer) count(result string) {
	d.node.metrics.dials.WithLabelValues(string(d.site), result).Inc()
}

// once dials an address and serves the link until it ends. nil means that there
// was a link.
func (d *dialer) once(address string) error {
	n := d.node
	ctx, cancel := context.WithTimeout(d.ctx, handshakeTime)
	defer cancel()
	addr, err := resolve(ctx, address)
	if err != nil {
		return err
	}
	conn, err := n.transport.Dial(ctx, addr, n.clientTLS(d.site), quicConfig())
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	l, err := n.open(conn, d.openLanes)
	if err != nil {
		return fmt.Errorf("link to %s: %w", address, err)
	}
	cancel()
	d.set("up", nil)
	n.serve(l)
	return nil
}

// openLanes opens the lanes unless there is a link to who answered.
func (d *dialer) openLanes(l *link, ctx context.Context) error {
	if d.expect != "" && l.peer != d.expect {
		return groups.Errorf(groups.Denied, "%s answered a dial to %s", l.peer, d.expect)
	}
	d.mu.Lock()
	d.peer = l.peer
	d.mu.Unlock()
	if !d.node.claimDial(l.peer) {
		return errLinked
	}
	defer d.node.releaseDial(l.peer)
	return l.openLanes(ctx)
}

func (d *dialer) set(state string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != state {
		d.state, d.since = state, d.node.cfg.Now()
	}
	if err != nil {
		d.last = err
	}
}

// resolve finds the UDP address of host:port.
func resolve(ctx context.Context, address string) (net.Addr, error) {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return net.UDPAddrFromAddrPort(ap), nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, groups.Errorf(groups.Invalid, "%q is not host:port", address)
	}
	p, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return nil, fmt.Errorf("look up port %s: %w", port, err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, "."))
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	if len(ips) == 0 {
		return nil, groups.Errorf(groups.Unavailable, "%s has no address", host)
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(ips[0].Unmap(), uint16(p))), nil
}
