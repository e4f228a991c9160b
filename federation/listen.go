package federation

import (
	"context"
	"errors"

	"github.com/quic-go/quic-go"

	"parley/groups"
)

// maxOpening bounds the incoming connections that have not said hello: more
// are closed at once as busy.
const maxOpening = 256

// accept takes incoming connections until the node ends, and waits for the
// links they became.
func (n *Node) accept() {
	slots := make(chan struct{}, maxOpening)
	for {
		conn, err := n.listener.Accept(n.ctx)
		if err != nil {
			if n.ctx.Err() == nil {
				n.log.Error("links are no longer accepted", "error", err)
			}
			return
		}
		select {
		case slots <- struct{}{}:
			n.wg.Go(func() { n.incoming(conn, func() { <-slots }) })
		default:
			conn.CloseWithError(codeBusy, errBusyNode.Error())
			n.metrics.dropped.WithLabelValues("incoming").Inc()
		}
	}
}

// incoming makes a link of a connection and serves it. opened is called when it
// is no longer half open.
func (n *Node) incoming(conn *quic.Conn, opened func()) {
	l, err := n.open(conn, func(l *link, ctx context.Context) error {
		site := l.peer.Site()
		defer n.halfOpen(site, -1)
		if n.halfOpen(site, 1) > maxHalfOpen {
			n.metrics.dropped.WithLabelValues("incoming").Inc()
			return errBusyNode
		}
		return l.acceptLanes(ctx)
	})
	opened()
	if err != nil {
		n.log.Debug("an incoming link was not opened", "address", conn.RemoteAddr().String(), "error", err)
		return
	}
	n.serve(l)
}

// open proves the peer of conn and exchanges hellos within handshakeTime. On an
// error conn is closed.
func (n *Node) open(conn *quic.Conn, lanes func(*link, context.Context) error) (*link, error) {
	ctx, cancel := context.WithTimeout(n.ctx, handshakeTime)
	defer cancel()
	fail := func(err error) (*link, error) {
		n.blame(err)
		code, text := closeCode(err)
		conn.CloseWithError(code, text)
		return nil, err
	}
	peer, ends, err := n.identify(conn.ConnectionState().TLS.PeerCertificates)
	if err != nil {
		return fail(err)
	}
	l := newLink(n, conn, peer, ends)
	stop := context.AfterFunc(ctx, func() { conn.CloseWithError(codeClosing, "no hello in time") })
	err = lanes(l, ctx)
	stop()
	if err == nil {
		err = n.admit(l)
	}
	if err != nil {
		l.cancel(err)
		return fail(err)
	}
	return l, nil
}

// halfOpen counts the connections of a site that have not said hello, so that one
// site can not take the places of all.
func (n *Node) halfOpen(site groups.SiteID, change int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.half[site] += change
	left := n.half[site]
	if left == 0 {
		delete(n.half, site)
	}
	return left
}

// serve runs a link that was admitted and forgets it at its end.
func (n *Node) serve(l *link) error {
	n.log.Info("link up", "peer", string(l.peer), "address", l.address, "dialled", l.dialler == n.cfg.Node)
	err := l.run()
	n.blame(err)
	n.drop(l)
	if n.ctx.Err() == nil && !errors.Is(err, errReplaced) {
		n.log.Info("link down", "peer", string(l.peer), "address", l.address, "error", err)
	}
	return err
}

// blame counts what ended a link, or never let it begin, if the peer did it.
func (n *Node) blame(err error) {
	if errors.Is(err, errProtocol) {
		n.metrics.faults.WithLabelValues(groups.Invalid.String()).Inc()
	}
}
