package federation

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// read hands out the frames of a lane until it ends.
func (l *link) read(ctx context.Context, i int, a *lane) error {
	got := l.node.metrics.bytesIn.WithLabelValues(strconv.Itoa(i))
	for {
		b, err := a.frames.next()
		if err == io.EOF {
			return fmt.Errorf("lane %d ended", i)
		}
		if err != nil {
			if err == errFrameTooLarge {
				err = fmt.Errorf("%w: %w", errProtocol, err)
			}
			return err
		}
		got.Add(float64(len(b) + lengthBytes))
		f, err := parseFrame(i, b)
		if err != nil {
			return err
		}
		if err := l.handle(ctx, i, f); err != nil {
			return err
		}
	}
}

// crowded says whether a frame holds more parts than any honest one. An empty part
// is two bytes long and costs a hundred to read, so they are counted first (I9).
func crowded(b []byte) bool {
	for parts := 0; len(b) > 0; parts++ {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return false // it is not one either
		}
		if parts == maxParts {
			return true
		}
		b = b[n:]
	}
	return false
}

// parseFrame reads a frame and refuses what does not belong on its lane.
func parseFrame(lane int, b []byte) (*linkv1.Frame, error) {
	f := new(linkv1.Frame)
	if crowded(b) {
		return nil, fmt.Errorf("%w: a frame on lane %d of more than %d parts", errProtocol, lane, maxParts)
	}
	if err := proto.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("%w: a frame on lane %d is not one", errProtocol, lane)
	}
	control := len(f.Offers) + len(f.Subscribes) + len(f.Closed) + len(f.Calls) + len(f.Answers)
	entries := len(f.Entries) + len(f.Submissions)
	receipts := len(f.Outcomes) + len(f.Acks)
	wrong := f.Hello != nil ||
		f.Offered && lane != laneControl ||
		control > 0 && lane != laneControl ||
		entries > 0 && lane == laneReceipts ||
		receipts > 0 && lane != laneReceipts
	for _, s := range f.Submissions {
		wrong = wrong || (groups.EntryKind(s.Kind) == groups.KindMessage) != (lane == laneMessages)
	}
	if wrong {
		return nil, fmt.Errorf("%w: something on lane %d does not belong there", errProtocol, lane)
	}
	return f, nil
}

// handle gives each part of a frame to its owner. Lane 2 never waits: nothing
// that waits for it can wait for ever.
func (l *link) handle(ctx context.Context, i int, f *linkv1.Frame) error {
	for _, o := range f.Outcomes {
		l.relays.answered(l.node, o)
	}
	if len(f.Acks) > 0 {
		l.server.acked(f.Acks)
	}
	if len(f.Offers) > 0 {
		if err := l.node.follower.offered(ctx, l, f.Offers); err != nil {
			return err
		}
	}
	if f.Offered {
		l.node.settling.heard(l.peer.Site())
	}
	for _, s := range f.Subscribes {
		if err := l.server.subscribe(s); err != nil {
			return err
		}
	}
	for _, e := range f.Entries {
		if err := l.node.follower.received(ctx, l, i, e); err != nil {
			return err
		}
	}
	if len(f.Closed) > 0 {
		if err := l.node.follower.closed(ctx, l, f.Closed); err != nil {
			return err
		}
	}
	for _, s := range f.Submissions {
		if err := l.submitted(ctx, s); err != nil {
			return err
		}
	}
	for _, c := range f.Calls {
		l.asked(ctx, c)
	}
	for _, a := range f.Answers {
		l.calls.answered(a)
	}
	return nil
}
