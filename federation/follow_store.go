package federation

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// A piece is what a RoomEntries holds.
type piece struct {
	lane    int
	sub     uint64
	entries []joined
	head    *groups.SignedHead
	bytes   int
	err     error
}

// parsePiece reads entries and their head; what is wrong with them is kept for
// the owner, because it parks a room and not the link.
func parsePiece(lane int, m *linkv1.RoomEntries) piece {
	p := piece{lane: lane, sub: m.Subscription}
	if len(m.Entries) > maxPiece {
		p.err = groups.Errorf(groups.TooLarge, "%d entries together, of at most %d", len(m.Entries), maxPiece)
		return p
	}
	p.entries = make([]joined, 0, len(m.Entries))
	if p.head, p.err = groups.ParseSignedHead(m.Head); p.err != nil {
		return p
	}
	if len(m.Attachments) > groups.MaxAttachments || len(m.Attachments) > 0 && len(m.Entries) != 1 {
		p.err = groups.Errorf(groups.Invalid, "%d attachments beside %d entries", len(m.Attachments), len(m.Entries))
		return p
	}
	for _, b := range m.Entries {
		e, err := groups.ParseEntry(b)
		if err != nil {
			p.err = err
			return p
		}
		if (e.Kind == groups.KindMessage) != (lane == laneMessages) || e.Seq > p.head.Head.Seq {
			p.err = groups.Errorf(groups.Invalid, "entry %d, %s, on lane %d with the head of %d", e.Seq, e.Kind, lane, p.head.Head.Seq)
			return p
		}
		size := len(b)
		for _, a := range m.Attachments {
			size += len(a)
		}
		p.entries = append(p.entries, joined{groups.Replica{Entry: e, Bytes: b, Attachments: m.Attachments}, size})
		p.bytes += size
	}
	return p
}

// piece adds entries to the room they belong to. Those of a subscription that
// has ended are dropped.
func (f *follower) piece(l *link, p piece) {
	r := f.subs[l][p.sub]
	if r == nil || r.source != l || r.renew {
		return
	}
	for _, e := range p.entries {
		if e.replica.Entry.Room != r.room && p.err == nil {
			p.err = groups.Errorf(groups.Invalid, "an entry of %s among those of %s", e.replica.Entry.Room, r.room)
		}
	}
	if p.err == nil && p.head.Head.Room != r.room {
		p.err = groups.Errorf(groups.Invalid, "the head of %s among entries of %s", p.head.Head.Room, r.room)
	}
	if p.err != nil {
		f.unusable(r, p.err)
		return
	}
	if r.signed == nil || p.head.Head.Seq > r.signed.Head.Seq {
		r.signed = p.head
	}
	before := r.join.bytes
	ordered := r.join.add(p.lane, p.entries)
	if l.waiting.Add(int64(r.join.bytes-before)) > maxWaiting {
		l.close(fmt.Errorf("%w: more is sent than was acknowledged", errProtocol))
	}
	switch {
	case !ordered, r.join.gap():
		f.conflict(r, "gap")
	case r.join.bytes > maxJoin:
		f.conflict(r, "too much")
	default:
		f.wake(r)
	}
}

// wake queues r if it has a run to store.
func (f *follower) wake(r *follow) {
	if len(r.join.ready) > 0 && !r.busy && !r.queued {
		r.queued = true
		f.ready = append(f.ready, r)
	}
}

// nextJob makes the next run for the store, if there is one.
func (f *follower) nextJob() job {
	for len(f.ready) > 0 {
		r := f.ready[0]
		f.ready = f.ready[1:]
		r.queued = false
		if r.busy || r.source == nil || len(r.join.ready) == 0 {
			continue
		}
		entries, bytes := r.join.take()
		r.source.waiting.Add(-int64(bytes))
		r.busy = true
		return job{r, groups.Batch{Room: r.room, Entries: entries, Head: r.signed}}
	}
	f.ready = nil
	return job{}
}

// stored is the store's answer to a run: the held head moves, or the source is
// asked again, or it is not good.
func (f *follower) stored(r *follow, head groups.Head, err error) {
	r.busy = false
	if err == nil {
		f.node.metrics.entriesIn.Add(float64(head.Seq - min(r.held.Seq, head.Seq)))
		if owner := f.node.owners.get(r.room); r.held.Seq == 0 && owner != "" {
			f.node.cfg.Rooms.SetOwner(r.room, owner) // the store did not know the room before
		}
		r.held, r.moved = head, f.node.cfg.Now()
		r.conflicts, r.delay = 0, 0
		if r.parked != "" {
			r.parked = ""
			f.countParked()
		}
		f.ack(r)
	}
	switch {
	case r.renew && r.source != nil:
		f.again(r, "renewed")
	case r.source == nil:
		f.choose(r)
	case err == nil && r.exhausted():
		f.choose(r)
	case err == nil:
		f.wake(r)
	case kindOf(err) == groups.Conflict:
		f.conflict(r, "conflict")
	default:
		f.unusable(r, err)
	}
}

// unusable tries again later what failed for a reason of ours, or one that
// passes, and blames the source for the rest.
func (f *follower) unusable(r *follow, err error) {
	if kindOf(err).Temporary() || kindOf(err) == groups.Internal {
		f.later(r, err)
		return
	}
	f.bad(r, err)
}

// ack tells the source what is durable here.
func (f *follower) ack(r *follow) {
	if r.source == nil || f.subs[r.source][r.sub] != r {
		return
	}
	a := &linkv1.Ack{Subscription: r.sub, Seq: uint64(r.held.Seq)}
	if r.source.lanes[laneReceipts].out.add(&linkv1.Frame{Acks: []*linkv1.Ack{a}}, hardOutbox) != nil {
		r.source.close(errOutboxFull)
	}
}

// conflict asks again from what is held, a few times in a row.
func (f *follower) conflict(r *follow, reason string) {
	if r.conflicts++; r.conflicts > maxConflicts {
		f.bad(r, groups.Errorf(groups.Conflict, "entries after %d do not follow it (%s)", r.held.Seq, reason))
		return
	}
	f.again(r, reason)
}

// later tries again after a while what failed for a reason that passes.
func (f *follower) later(r *follow, err error) {
	r.delay = min(max(2*r.delay, firstRetry), lastRetry)
	r.retryAt = f.node.cfg.Now().Add(r.delay)
	level := slog.LevelDebug
	if r.delay == firstRetry && r.source.mayLog() {
		level = slog.LevelWarn
	}
	f.node.log.Log(f.node.ctx, level, "a room can not be followed now", "room", string(r.room), "held", uint64(r.held.Seq), "error", err)
	f.leave(r)
	if r.timer != nil {
		r.timer.Reset(r.delay)
		return
	}
	r.timer = time.AfterFunc(r.delay, func() { f.local.put(func() { f.retry(r) }) })
}

// retry tries again what was put off, if its time has come.
func (f *follower) retry(r *follow) {
	if f.rooms[r.room] == r && r.source == nil && !r.retryAt.IsZero() && !f.node.cfg.Now().Before(r.retryAt) {
		r.retryAt = time.Time{}
		f.choose(r)
	}
}

// bad stops following r from its source and looks for another one. Without one
// the room is parked; the link goes on (I13).
func (f *follower) bad(r *follow, err error) {
	f.node.metrics.faults.WithLabelValues(kindOf(err).String()).Inc()
	if r.source.mayLog() {
		f.node.log.Error("a peer sent what this node can not accept", "room", string(r.room),
			"peer", string(r.source.peer), "held", uint64(r.held.Seq), "error", err)
	}
	r.conflicts = 0
	r.blame(err.Error())
	f.leave(r)
	f.choose(r)
}

// close ends a subscription at the peer's word: our site left the room, or the
// peer can not serve it now, or it refuses to.
func (f *follower) close(l *link, sub uint64, seq groups.Seq, why error) {
	r := f.subs[l][sub]
	if r == nil {
		return
	}
	told, said := errors.AsType[*groups.RemoteError](why)
	switch {
	case why == nil:
		for i := range r.sources {
			if r.sources[i].link == l {
				r.sources[i].until = max(seq, 1)
			}
		}
		if !r.busy && r.exhausted() {
			f.choose(r)
		}
	case said && told.Kind != groups.Invalid:
		f.later(r, why)
	default:
		f.bad(r, why)
	}
}
