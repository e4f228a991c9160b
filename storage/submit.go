package storage

import (
	"errors"

	"parley/groups"
)

// errGone says that a room was never created; the caller looks it up again.
var errGone = errors.New("room is gone")

// Submit asks the ledger of a room that this node orders for the next place.
// done is called once: with the receipt, from the committer, when the entry is
// durable, or with the refusal, which may be before Submit returns. It must
// neither block nor call the Store. The same submission again gets the same
// receipt, as long as the room's filter remembers it.
//
// Refusals are the ledger's, and NotFound, Conflict (a room to be created
// exists), Unavailable (parked, ordered elsewhere, stopped), NoSpace and Busy.
func (s *Store) Submit(sub groups.Submission, done func(groups.Outcome)) {
	out, waits, err := s.submit(sub, done)
	for errors.Is(err, errGone) {
		out, waits, err = s.submit(sub, done)
	}
	if err != nil {
		out = groups.Outcome{ID: sub.ID, Err: err}
	}
	if !waits {
		done(out)
	}
}

// submit judges the submission and queues it. waits says that done will be
// called by the committer.
func (s *Store) submit(sub groups.Submission, done func(groups.Outcome)) (out groups.Outcome, waits bool, err error) {
	if err := s.Ready(); err != nil {
		return out, false, err
	}
	r, err := s.roomForSubmit(&sub)
	if err != nil {
		return out, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return out, false, errGone
	}
	key := newSubmissionKey(sub.Device, sub.ID)
	if r.pending.join(key, done) {
		return out, true, nil
	}
	out, known, err := s.judge(r, &sub, key, done)
	if err != nil {
		s.forgetUncreated(r)
	}
	return out, err == nil && !known, err
}

// judge lets the ledger decide. known says that the submission has its place
// already, which is in out. The caller holds r.mu.
func (s *Store) judge(r *room, sub *groups.Submission, key submissionKey, done func(groups.Outcome)) (out groups.Outcome, known bool, err error) {
	if err := s.orders(r); err != nil {
		return out, false, err
	}
	if out, known, err = s.remembered(r, key, sub.ID); known || err != nil {
		return out, known, err
	}
	if sub.Kind == groups.KindCreate && r.tipAt.Seq > 0 {
		return out, false, groups.Errorf(groups.Conflict, "%s exists", r.id)
	}
	weight := len(sub.Body)
	for _, a := range sub.Attachments {
		weight += len(a)
	}
	if !s.queue.reserve(weight) {
		return out, false, errBusy()
	}
	o, err := s.accept(r, sub)
	if err != nil {
		s.queue.release(1, weight)
		return out, false, err
	}
	o.key, o.id, o.done, o.owned = key, sub.ID, done, true
	s.queue.resize(o.weight - weight)
	return out, false, s.enqueue(r, o)
}

// accept lets the ledger judge the submission and gathers what follows from it.
func (s *Store) accept(r *room, sub *groups.Submission) (*op, error) {
	st, err := r.tip.Accept(*sub, r.term, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	return s.opFor(r, st, nil)
}

// enqueue moves the room to the op's state and queues it. Its place in the
// queue is reserved; the caller holds r.mu.
func (s *Store) enqueue(r *room, o *op) error {
	r.pending.add(o)
	if !s.queue.push(o) {
		r.pending.remove([]*op{o})
		s.queue.release(1, o.weight)
		return errClosed()
	}
	r.tip, r.tipAt = o.next, o.head
	if o.info != nil {
		r.info = o.info
	}
	if r.owned {
		r.filter.add(o.key, o.head.Seq)
		if !o.owned { // refilled: the order goes on under a term of its own
			r.term = max(r.term, o.head.Term+1)
		}
	}
	return nil
}

// orders checks that this node may give the room its order, and gets its
// ledger ready. The caller holds r.mu.
func (s *Store) orders(r *room) error {
	if err := r.live(); err != nil {
		return err
	}
	if !r.owned {
		return groups.Errorf(groups.Unavailable, "%s is ordered by another node: %s", r.id, r.record().owner)
	}
	if s.cfg.Signer == nil {
		return groups.Errorf(groups.Unavailable, "this node has no key to sign the head of %s", r.id)
	}
	return s.load(r)
}

// roomForSubmit finds the room, or makes one for a create entry.
func (s *Store) roomForSubmit(sub *groups.Submission) (*room, error) {
	if r := s.find(sub.Room); r != nil {
		return r, nil
	}
	if sub.Kind != groups.KindCreate {
		return nil, errNoRoom(sub.Room)
	}
	if _, err := groups.ParseRoomID(string(sub.Room)); err != nil {
		return nil, err
	}
	if sub.Room.Site() != s.cfg.Node.Site() {
		return nil, groups.Errorf(groups.Denied, "%s belongs to site %s: create it there", sub.Room, sub.Room.Site())
	}
	return s.findOrMake(sub.Room, true), nil
}

// remembered finds the place that a submission was given before. The caller
// holds r.mu.
func (s *Store) remembered(r *room, key submissionKey, id groups.SubmissionID) (out groups.Outcome, known bool, err error) {
	r.filter.perhaps(key, func(first, last groups.Seq) bool {
		var e *groups.Entry
		if e, err = s.findSubmission(r, key, first, last); e == nil || err != nil {
			return err != nil
		}
		known = true
		out = groups.Outcome{ID: id, Head: r.view.Load().signed, Receipt: groups.Receipt{
			Room: r.id, ID: id, Seq: e.Seq, Hash: e.EntryHeader.Hash(), Epoch: e.Epoch, AcceptedAt: e.AcceptedAt}}
		return true
	})
	return out, known, err
}
