package federation

import (
	"context"
	"fmt"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// submitted takes a submission that a peer relays: to our own log if this node
// orders the room, else one link further. The answer goes out on lane 2; while
// the peer does not read those, no more is taken.
func (l *link) submitted(ctx context.Context, m *linkv1.Submission) error {
	if err := l.lanes[laneReceipts].out.drained(ctx, maxOutbox); err != nil {
		return err
	}
	sub, err := parseSubmission(m)
	if err != nil {
		return err
	}
	l.running.Add(1)
	done := func(o groups.Outcome) { l.answer(m.Request, o) }
	if err := l.admits(sub); err != nil {
		done(groups.Outcome{ID: sub.ID, Err: err})
		return nil
	}
	info, err := l.node.cfg.Rooms.Room(sub.Room)
	switch {
	case err == nil && info.Owned:
		if err := l.node.Settled(sub.Room); err != nil {
			done(groups.Outcome{ID: sub.ID, Err: err})
			return nil
		}
		l.node.cfg.Log.Submit(sub, done)
	case sub.Room.Site() != l.node.site:
		done(groups.Outcome{ID: sub.ID, Err: groups.Errorf(groups.Denied, "%s is not ordered at %s", sub.Room, l.node.site)})
	case m.Hops+1 >= maxHops:
		done(groups.Outcome{ID: sub.ID, Err: groups.Errorf(groups.Unavailable, "%s does not order %s", l.node.cfg.Node, sub.Room)})
	default:
		l.node.relay(sub, m.Hops+1, done)
	}
	return nil
}

// parseSubmission reads a submission; what no honest node sends ends the link.
func parseSubmission(m *linkv1.Submission) (groups.Submission, error) {
	room, err := groups.ParseRoomID(m.Room)
	if err != nil {
		return groups.Submission{}, fmt.Errorf("%w: submission: %w", errProtocol, err)
	}
	device, err := groups.ParseDeviceID(m.Device)
	if err != nil {
		return groups.Submission{}, fmt.Errorf("%w: submission: %w", errProtocol, err)
	}
	sub := groups.Submission{Room: room, Device: device, Kind: groups.EntryKind(m.Kind), Body: m.Body, Attachments: m.Attachments}
	if len(m.Id) != len(sub.ID) || m.Kind > uint32(groups.KindFlag) {
		return groups.Submission{}, fmt.Errorf("%w: submission", errProtocol)
	}
	sub.ID = groups.SubmissionID(m.Id)
	return sub, nil
}

// admits says whether the peer may submit this. A site speaks for its own
// devices; a sibling also passes on what other sites sent it, having checked it.
func (l *link) admits(sub groups.Submission) error {
	for _, a := range sub.Attachments {
		if len(a) > groups.MaxAttachment {
			return groups.Errorf(groups.TooLarge, "an attachment of %d bytes, the limit is %d", len(a), groups.MaxAttachment)
		}
	}
	switch {
	case !l.sibling() && sub.Device.Site() != l.peer.Site():
		return groups.Errorf(groups.Denied, "%s can not submit for %s", l.peer.Site(), sub.Device)
	case !l.sibling() && sub.Kind == groups.KindCreate:
		return groups.Errorf(groups.Denied, "a room of %s is created by its own people", l.node.site)
	case len(sub.Body) > groups.MaxBody || len(sub.Attachments) > groups.MaxAttachments:
		return groups.Errorf(groups.TooLarge, "a body of %d bytes and %d attachments is over the limit", len(sub.Body), len(sub.Attachments))
	case l.running.Load() > maxInFlight:
		return groups.Errorf(groups.Busy, "too many submissions are not answered yet: try again later")
	}
	return nil
}

// answer puts an outcome on lane 2. It is the store's done and does not block.
func (l *link) answer(request uint64, o groups.Outcome) {
	l.running.Add(-1)
	l.node.metrics.served.WithLabelValues(result(o.Err)).Inc()
	m := &linkv1.Outcome{Request: request}
	if o.Err != nil {
		m.Refusal = refusal(o.Err)
	} else {
		m.Seq, m.Hash, m.Epoch = uint64(o.Receipt.Seq), o.Receipt.Hash[:], uint64(o.Receipt.Epoch)
		m.AcceptedAt = o.Receipt.AcceptedAt
		if o.Head != nil {
			m.Head = o.Head.Marshal()
		}
	}
	if l.lanes[laneReceipts].out.add(&linkv1.Frame{Outcomes: []*linkv1.Outcome{m}}, hardOutbox) != nil {
		l.close(errOutboxFull)
	}
}
