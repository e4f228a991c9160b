package storage

import (
	"errors"

	"parley/groups"
)

// Replicate takes over a run of entries that the room's owner has ordered:
// the chain, the signed head and the ledger's rules are verified, then they
// become durable as submissions do. done is called once, when the last of them
// is durable or with the refusal, with the head held then; the rules of Submit
// hold for it. Entries held already are passed over.
//
// Refusals: Conflict with the sequence number held, when entries are missing
// before the first; Busy, NoSpace and Unavailable, to try again; whatever else
// is wrong with the batch parks the room, and only this room (I13).
func (s *Store) Replicate(b groups.Batch, done func(groups.Head, error)) {
	head, waits, err := s.replicate(b, done)
	for errors.Is(err, errGone) {
		head, waits, err = s.replicate(b, done)
	}
	if !waits {
		done(head, err)
	}
}

// replicate judges the batch and queues it. waits says that done will be
// called by the committer.
func (s *Store) replicate(b groups.Batch, done func(groups.Head, error)) (head groups.Head, waits bool, err error) {
	if err := s.Ready(); err != nil {
		return head, false, err
	}
	if err := s.checkBatch(&b); err != nil {
		return head, false, err
	}
	r := s.findOrMake(b.Room, false)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return head, false, errGone
	}
	if err := s.follows(r); err != nil {
		return head, false, err
	}
	waits, err = s.extend(r, &b, done)
	if err != nil && !waits {
		s.forgetUncreated(r)
	}
	return r.view.Load().last, waits, err
}

// checkBatch checks what can be said without the room: the head's signature,
// one for all entries.
func (s *Store) checkBatch(b *groups.Batch) error {
	if _, err := groups.ParseRoomID(string(b.Room)); err != nil {
		return err
	}
	if s.cfg.Verifier == nil {
		return groups.Errorf(groups.Unavailable, "this node knows nobody who signs the head of %s", b.Room)
	}
	if b.Head == nil || b.Head.Head.Room != b.Room {
		return groups.Errorf(groups.Invalid, "batch of %s without its head", b.Room)
	}
	for _, rep := range b.Entries {
		if rep.Entry == nil || rep.Entry.Room != b.Room {
			return groups.Errorf(groups.Invalid, "batch of %s with an entry of another room", b.Room)
		}
	}
	if n := len(b.Entries); n > 0 && b.Entries[n-1].Entry.Seq > b.Head.Head.Seq {
		return groups.Errorf(groups.Invalid, "batch of %s goes on after its head", b.Room)
	}
	return b.Head.Verify(s.cfg.Verifier)
}

// follows checks that the room may be written by its owner's word, and gets its
// ledger ready. A room that the fence parked may be refilled this way, also one
// that this node orders: what it ordered itself comes back, under its site's word.
func (s *Store) follows(r *room) error {
	refill := r.refilling() != nil
	if r.owned && !refill {
		return groups.Errorf(groups.Conflict, "%s is ordered by this node", r.id)
	}
	if !refill {
		if err := r.live(); err != nil {
			return err
		}
	}
	return s.load(r)
}

// extend verifies and queues the entries that are new. waits says that done
// went with the last of them.
func (s *Store) extend(r *room, b *groups.Batch, done func(groups.Head, error)) (waits bool, err error) {
	fresh := b.Entries
	for len(fresh) > 0 && fresh[0].Entry.Seq <= r.tipAt.Seq {
		fresh = fresh[1:]
	}
	if len(fresh) == 0 {
		return s.nothingNew(r, b, done)
	}
	if first := fresh[0].Entry.Seq; first != r.tipAt.Seq+1 {
		e := groups.Errorf(groups.Conflict, "%s is held up to entry %d, entry %d does not follow", r.id, r.tipAt.Seq, first)
		e.Seq, e.Epoch = r.tipAt.Seq, r.tipAt.Epoch
		return false, e
	}
	for i := range fresh {
		o, err := s.verify(r, &fresh[i], &b.Head.Head)
		if err != nil {
			return s.behind(r, done, err)
		}
		o.signed = b.Head
		if i == len(fresh)-1 {
			o.landed = done
			s.aim(r, &b.Head.Head, o.head.Seq)
		}
		if err := s.enqueue(r, o); err != nil {
			return false, err
		}
	}
	return true, nil
}

// nothingNew answers a batch whose entries are held already, some of them
// perhaps not durably yet.
func (s *Store) nothingNew(r *room, b *groups.Batch, done func(groups.Head, error)) (waits bool, err error) {
	if h := &b.Head.Head; h.Seq == r.tipAt.Seq && h.Hash != r.tipAt.Hash {
		return false, s.parkBad(r, groups.Errorf(groups.Invalid,
			"%s has two histories: at entry %d its hub signed %s, here is %s", r.id, h.Seq, h.Hash, r.tipAt.Hash))
	}
	return s.behind(r, done, nil)
}

// behind lets done hear err once what was accepted of the room so far is
// durable, so that the head it is told is the one held.
func (s *Store) behind(r *room, done func(groups.Head, error), err error) (waits bool, _ error) {
	if r.view.Load().last.Seq == r.tipAt.Seq || !s.queue.reserve(0) {
		return false, err
	}
	o := &op{head: r.tipAt, landed: func(h groups.Head, failed error) {
		if err != nil {
			failed = err
		}
		done(h, failed)
	}}
	if !s.queue.push(o) {
		s.queue.release(1, 0)
		return false, errClosed()
	}
	return true, nil
}

// verify holds an entry against the ledger and the heads that the hub signed,
// and reserves its place. What is wrong parks the room.
func (s *Store) verify(r *room, rep *groups.Replica, signed *groups.Head) (*op, error) {
	weight := len(rep.Entry.Body)
	for _, a := range rep.Attachments {
		weight += len(a)
	}
	if !s.queue.reserve(weight) {
		return nil, errBusy()
	}
	o, err := s.verified(r, rep, signed)
	if err != nil {
		s.queue.release(1, weight)
		return nil, s.parkBad(r, err)
	}
	s.queue.resize(o.weight - weight)
	return o, nil
}

func (s *Store) verified(r *room, rep *groups.Replica, signed *groups.Head) (*op, error) {
	st, err := r.tip.Verify(rep.Entry, rep.Attachments, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	head := st.Next.Head()
	for _, want := range []*groups.Head{signed, r.target, r.fenced.Load().promise()} {
		if want != nil && want.Seq == head.Seq && want.Hash != head.Hash {
			return nil, groups.Errorf(groups.Invalid, "%s has two histories: at entry %d its hub signed %s, here is %s",
				r.id, head.Seq, want.Hash, head.Hash)
		}
	}
	o, err := s.opFor(r, st, rep.Bytes)
	if err == nil {
		o.key = newSubmissionKey(st.Stamp.Device, st.Stamp.ID)
	}
	return o, err
}

// aim remembers a signed head that lies beyond what is held: the chain must
// lead to it. Of several the nearest is kept; the chain from it to the later
// ones is checked when they are reached.
func (s *Store) aim(r *room, signed *groups.Head, at groups.Seq) {
	if r.target != nil && r.target.Seq <= at {
		r.target = nil
	}
	if r.target == nil && signed.Seq > at {
		head := *signed
		r.target = &head
	}
}

// parkBad parks a room for an entry that is wrong for good, and returns the
// error. What may be different next time parks nothing.
func (s *Store) parkBad(r *room, err error) error {
	if k := groups.KindOf(err); !k.Temporary() && k != groups.Internal {
		reason := err.Error()
		if f := r.fenced.Load(); f != nil && r.parked.CompareAndSwap(f.reason, &reason) {
			s.cfg.Log.Error("room can not be refilled", "room", string(r.id), "reason", reason)
		}
		s.park(r, reason)
	}
	return err
}
