package storage

import "parley/groups"

// A Loss is what an operator has given up of a room.
type Loss struct {
	Room groups.RoomID
	Held groups.Seq  // the last entry that is left
	Lost groups.Seq  // the last one known to have been promised, Held if none is known
	Term groups.Term // under which the room goes on
}

// AcceptLoss makes a parked room that this node orders live again with the log
// as it is held here: what followed was promised and is gone. The room goes on
// under a higher term. Whoever holds what is given up sees another history from
// then on, and refuses it; heads of what is given up do not count here any more.
//
// NotFound for a room without entries here, Conflict for one that is not parked
// or is ordered elsewhere, Busy while it is being refilled; Unavailable for a
// log that was found damaged since the start: the next start cuts it back first.
func (s *Store) AcceptLoss(id groups.RoomID) (Loss, error) {
	r := s.find(id)
	if r == nil || r.view.Load().last.Seq == 0 {
		return Loss{}, errNoRoom(id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.view.Load().last
	switch {
	case !r.owned:
		return Loss{}, groups.Errorf(groups.Conflict, "%s is ordered by another node: %s", id, r.record().owner)
	case r.parked.Load() == nil:
		return Loss{}, groups.Errorf(groups.Conflict, "%s is not parked", id)
	case r.tipAt.Seq != last.Seq:
		return Loss{}, groups.Errorf(groups.Busy, "%s is being refilled: try again in a moment", id)
	}
	if err := s.load(r); err != nil {
		return Loss{}, err
	}
	if r.damaged.Load() {
		return Loss{}, groups.Errorf(groups.Unavailable, "%s is damaged: start this node again, which mends its log, then accept the loss", id)
	}
	loss := Loss{Room: id, Held: last.Seq, Lost: last.Seq, Term: max(last.Term, r.term)}
	proof := fenceRecord{seq: last.Seq, hash: last.Hash}
	if f := r.fenced.Load(); f != nil {
		loss.Lost, loss.Term = max(last.Seq, f.head.Seq), max(loss.Term, f.head.Term)
	}
	if shown := r.proof.shown; shown != nil {
		proof.shown, loss.Lost, loss.Term = shown, max(loss.Lost, shown.Head.Seq), max(loss.Term, shown.Head.Term)
	}
	loss.Term++
	proof.term = loss.Term
	return loss, s.giveUp(r, proof)
}

// giveUp makes the loss durable, signs where the log ends now, and lets the room
// go on. The caller holds r.mu.
func (s *Store) giveUp(r *room, proof fenceRecord) error {
	last := r.view.Load().last
	if err := s.dropBehind(r); err != nil {
		return err
	}
	s.sign.Lock()
	signed, err := groups.SignHeads([]groups.Head{last}, s.cfg.Signer)
	s.sign.Unlock()
	if err != nil {
		return err
	}
	if err := s.writeRows([]row{
		{key: numberKey(rowFence, r.number), value: proof.encode()},
		{key: numberKey(rowHead, r.number), value: headRecord{last: last, signed: &signed[0]}.encode()},
	}); err != nil {
		return err
	}
	r.proof, r.term, r.target = proof, proof.term, nil
	r.amend(func(v *view) { v.signed = &signed[0] })
	r.fenced.Store(nil)
	r.parked.Store(nil)
	s.cfg.Log.Warn("room goes on without what was lost", "room", string(r.id), "held", uint64(last.Seq), "term", uint64(proof.term))
	return nil
}
