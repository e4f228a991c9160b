package federation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// helloVersion is the version of frames this package speaks.
const helloVersion = 1

// openLanes opens the lanes of a link this node dialled. Their numbers are the
// first of the connection, so that the peer accepts them in this order.
func (l *link) openLanes(ctx context.Context) error {
	l.dialler = l.node.cfg.Node
	for i := range l.lanes {
		s, err := l.conn.OpenStreamSync(ctx)
		if err != nil {
			return fmt.Errorf("open lane %d: %w", i, err)
		}
		if _, err := s.Write([]byte{byte(i)}); err != nil {
			return fmt.Errorf("open lane %d: %w", i, err)
		}
		l.lanes[i] = newLane(s)
	}
	if err := l.sayHello(); err != nil {
		return err
	}
	return l.hearHello(ctx)
}

// acceptLanes takes the lanes that the peer opened.
func (l *link) acceptLanes(ctx context.Context) error {
	l.dialler = l.peer
	for i := range l.lanes {
		s, err := l.conn.AcceptStream(ctx)
		if err != nil {
			return fmt.Errorf("accept lane %d: %w", i, err)
		}
		kind, err := streamKind(ctx, s)
		if err != nil {
			return err
		}
		if int(kind) != i {
			return fmt.Errorf("%w: stream %d says it is %d", errProtocol, i, kind)
		}
		l.lanes[i] = newLane(s)
	}
	if err := l.hearHello(ctx); err != nil {
		return err
	}
	return l.sayHello()
}

func newLane(s *quic.Stream) *lane {
	return &lane{stream: s, frames: newFrameReader(s, groups.MaxFrame), out: newOutbox()}
}

// streamKind reads the byte that says what a stream is for.
func streamKind(ctx context.Context, s *quic.Stream) (byte, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(handshakeTime)
	}
	s.SetReadDeadline(deadline)
	var kind [1]byte
	for {
		n, err := s.Read(kind[:])
		if n == 1 {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("read what a stream is for: %w", err)
		}
	}
	s.SetReadDeadline(time.Time{})
	return kind[0], nil
}

// sayHello puts this node's hello on lane 0, before anything else.
func (l *link) sayHello() error {
	o := newOutbox()
	err := o.add(&linkv1.Frame{Hello: &linkv1.Hello{
		Version: helloVersion, Node: string(l.node.cfg.Node),
		Incarnation: l.node.incarnation, Software: l.node.cfg.Software,
	}}, maxOutbox)
	if err == nil {
		_, err = l.lanes[laneControl].stream.Write(o.take())
	}
	if err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	return nil
}

// hearHello reads the peer's hello and holds it against its certificate.
func (l *link) hearHello(ctx context.Context) error {
	lane := l.lanes[laneControl]
	if d, ok := ctx.Deadline(); ok {
		lane.stream.SetReadDeadline(d)
	}
	b, err := lane.frames.next()
	if err != nil {
		return fmt.Errorf("hear hello: %w", err)
	}
	lane.stream.SetReadDeadline(time.Time{})
	var f linkv1.Frame
	if err := proto.Unmarshal(b, &f); err != nil || f.Hello == nil {
		return fmt.Errorf("%w: no hello", errProtocol)
	}
	h := f.Hello
	switch {
	case h.Version != helloVersion:
		return groups.Errorf(groups.Invalid, "%s speaks version %d of links, this node speaks %d", l.peer, h.Version, helloVersion)
	case groups.NodeID(h.Node) != l.peer:
		return groups.Errorf(groups.Denied, "%s says it is another node", l.peer)
	case len(h.Incarnation) != len(l.node.incarnation):
		return fmt.Errorf("%w: bad hello", errProtocol)
	}
	l.incarnation = h.Incarnation
	l.software = strings.ToValidUTF8(h.Software[:min(len(h.Software), groups.MaxName)], "")
	return nil
}
