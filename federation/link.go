package federation

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"parley/groups"
)

// The lanes of a link; a stream says which it is with its first byte.
const (
	laneControl = iota
	laneMessages
	laneReceipts
	laneCount
	blobStream // not a lane: one transfer
)

// Codes a connection is closed with.
const (
	codeClosing quic.ApplicationErrorCode = iota
	codeReplaced
	codeExpired
	codeProtocol
	codeBusy
)

var (
	errReplaced = errors.New("another link to this node took its place")
	errExpired  = errors.New("the link reached the end of its life")
	errBusyNode = errors.New("too many links are being opened")
	errProtocol = errors.New("the peer broke the protocol of links")
)

// A link is one QUIC connection to another node. It is up from its hello until
// its context ends; run owns its goroutines.
type link struct {
	node        *Node
	conn        *quic.Conn
	peer        groups.NodeID
	dialler     groups.NodeID // who dialled: it decides between two links
	address     string
	software    string
	incarnation []byte
	since       time.Time
	ends        time.Time // of the peer's certificate

	ctx    context.Context
	cancel context.CancelCauseFunc

	lanes  [laneCount]*lane
	relays *relays
	calls  *calls
	server *server
	signal *rate.Limiter
	lines  *rate.Limiter // in our log that the peer can cause

	offers  int          // rooms the peer has offered; the follower's
	waiting atomic.Int64 // bytes of entries received and not with the store; the follower's
	running atomic.Int64 // submissions of the peer that are not answered
	asking  atomic.Int64 // calls of the peer that are not answered
	serving atomic.Int64 // blobs the peer is fetching
}

// A lane is one long-lived stream of a link, with its own credit, so that none
// starves another.
type lane struct {
	stream *quic.Stream
	frames *frameReader
	out    *outbox
}

func newLink(n *Node, conn *quic.Conn, peer groups.NodeID, ends time.Time) *link {
	l := &link{
		node: n, conn: conn, peer: peer, ends: ends,
		address: conn.RemoteAddr().String(),
		since:   n.cfg.Now(),
		relays:  newRelays(peer),
		calls:   newCalls(),
		signal:  rate.NewLimiter(signalRate, signalBurst),
		lines:   rate.NewLimiter(rate.Every(time.Second), quietFaults),
	}
	l.ctx, l.cancel = context.WithCancelCause(n.ctx)
	l.server = newServer(l)
	return l
}

// sibling says whether the peer is a node of this node's site.
func (l *link) sibling() bool { return l.peer.Site() == l.node.site }

// mayLog says whether one more line may stand in our log because of the peer.
func (l *link) mayLog() bool { return l.lines.Allow() }

// close ends the link; run returns soon after.
func (l *link) close(why error) { l.cancel(why) }

// run serves the link until it ends, and returns why. It waits for all its
// goroutines and tells everybody who waited for the peer.
func (l *link) run() error {
	g, ctx := errgroup.WithContext(l.ctx)
	stop := context.AfterFunc(ctx, func() {
		code, text := closeCode(context.Cause(ctx))
		l.conn.CloseWithError(code, text)
	})
	for i, lane := range l.lanes {
		g.Go(func() error { return l.read(ctx, i, lane) })
		g.Go(func() error { return lane.write(ctx, l.node.metrics, strconv.Itoa(i)) })
	}
	g.Go(func() error { return l.server.run(ctx) })
	g.Go(func() error { return l.datagrams(ctx) })
	g.Go(func() error { return l.streams(ctx, g) })
	g.Go(func() error { return l.age(ctx) })
	err := g.Wait()
	if cause := context.Cause(l.ctx); cause != nil {
		err = cause
	}
	l.cancel(err)
	stop()
	code, text := closeCode(err)
	l.conn.CloseWithError(code, text)
	l.server.stop()
	l.relays.fail()
	return err
}

// age ends the link with the peer's certificate or after maxLife, and gives up
// relays that were never answered.
func (l *link) age(ctx context.Context) error {
	life := time.NewTimer(l.node.lifeOf(l.ends))
	defer life.Stop()
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	for {
		select {
		case <-life.C:
			return errExpired
		case <-tick.C:
			l.relays.expire(time.Now().Add(-relayTime))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// closeCode is what a peer is told about the end of a link. Words for the
// peer's operator do not quote what was received.
func closeCode(err error) (quic.ApplicationErrorCode, string) {
	switch {
	case errors.Is(err, errReplaced):
		return codeReplaced, errReplaced.Error()
	case errors.Is(err, errExpired):
		return codeExpired, errExpired.Error()
	case errors.Is(err, errBusyNode):
		return codeBusy, errBusyNode.Error()
	case errors.Is(err, errProtocol):
		return codeProtocol, errProtocol.Error()
	}
	return codeClosing, "closing"
}

// write sends what waits for the lane until ctx ends. A peer that takes nothing
// for writeTime loses the link.
func (a *lane) write(ctx context.Context, m *metrics, name string) error {
	sent := m.bytesOut.WithLabelValues(name)
	for {
		select {
		case <-a.out.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for b := a.out.take(); b != nil; b = a.out.take() {
			for rest := b; len(rest) > 0; rest = rest[min(len(rest), writePiece):] {
				a.stream.SetWriteDeadline(time.Now().Add(writeTime))
				if _, err := a.stream.Write(rest[:min(len(rest), writePiece)]); err != nil {
					return err
				}
			}
			sent.Add(float64(len(b)))
			a.out.recycle(b)
		}
	}
}
