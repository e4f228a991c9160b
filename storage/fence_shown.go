package storage

import (
	"errors"
	"fmt"

	"parley/groups"
)

// Fence holds a head that a follower shows against the log of a room that this
// node orders. A copy of the whole store that is older than what was promised
// since fits its journal; only who was promised more can tell.
//
// If the log holds the head, or the room is ordered elsewhere, nothing happens.
// If not, and this site has signed it, the room is read-only from then on, over
// restarts too: until Replicate has refilled it, if the log is shorter, or until
// an operator accepts the loss, if there are two histories. A room that is not
// known here is taken to be ordered here: the caller asks its followers first.
// The key of any of the site's nodes counts: that is whom followers believe.
//
// Denied: nobody of this site signed it. Conflict: it belongs to what was given
// up (AcceptLoss). Others: it could not be looked at, or not be made durable.
func (s *Store) Fence(shown *groups.SignedHead) error {
	head := &shown.Head
	if head.Room.Site() != s.cfg.Node.Site() || s.cfg.Verifier == nil {
		return groups.Errorf(groups.Denied, "the head of %s is not one of this site's", head.Room)
	}
	if r := s.find(head.Room); r != nil {
		held, err := s.holds(r, head)
		if errors.Is(err, errCorrupt) {
			s.damaged(r, fmt.Sprintf("its log can not be read at entry %d: %v", head.Seq, err))
		}
		if held || err != nil || !r.owned {
			return readError(err)
		}
	}
	if err := shown.Verify(s.cfg.Verifier); err != nil {
		return err
	}
	err := s.fenceBy(shown)
	for errors.Is(err, errGone) {
		err = s.fenceBy(shown)
	}
	return err
}

// holds says whether the durable log has the head's entry.
func (s *Store) holds(r *room, head *groups.Head) (bool, error) {
	last := r.view.Load().last
	switch {
	case head.Seq > last.Seq:
		return false, nil
	case head.Seq == last.Seq:
		return head.Hash == last.Hash, nil
	}
	return s.hasEntry(r, head.Seq, head.Hash)
}

// fenceBy parks the room for a head that its log does not hold, first in memory,
// then on disk.
func (s *Store) fenceBy(shown *groups.SignedHead) error {
	r := s.findOrMake(shown.Head.Room, true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return errGone
	}
	if held, err := s.holds(r, &shown.Head); held || err != nil || !r.owned {
		return readError(err)
	}
	if r.proof.lost(&shown.Head) {
		return groups.Errorf(groups.Conflict, "%s lost what followed entry %d, and goes on without it since: entry %d of term %d is given up",
			r.id, r.proof.seq, shown.Head.Seq, shown.Head.Term)
	}
	if !s.object(r, shown) {
		return nil
	}
	r.proof.shown = shown
	rows := []row{{key: numberKey(rowFence, r.number), value: r.proof.encode()}}
	if r.view.Load().last.Seq == 0 {
		rows = append(rows, row{key: nameKey(rowRoom, r.id), value: r.record().encode()})
	}
	if s.floor.Load() < s.opened {
		// Among what is forgotten may be that a key package was handed out.
		s.floor.Store(s.opened)
		rows = append(rows, row{key: []byte{rowKeyFloor}, value: uint64Value(s.opened)})
	}
	return s.writeRows(rows)
}

// fenceShown renews, at start, the objection to a room that a follower caused
// before.
func (s *Store) fenceShown(r *room) error {
	shown := r.proof.shown
	if shown == nil || r.proof.lost(&shown.Head) {
		return nil
	}
	held, err := s.holds(r, &shown.Head)
	if !held && err == nil {
		s.object(r, shown)
	}
	return err
}

// object parks the room, or raises what it has to reach; false if that changed
// nothing.
func (s *Store) object(r *room, shown *groups.SignedHead) bool {
	head, last := shown.Head, r.view.Load().last
	reason := fmt.Sprintf("its log ends at entry %d, but entry %d was signed and sent to a follower: this node's data was put back to an older copy", last.Seq, head.Seq)
	refill := head.Seq > last.Seq
	if !refill {
		reason = fmt.Sprintf("it has two histories: at entry %d this site has also signed %s", head.Seq, head.Hash)
	}
	old := r.fenced.Load()
	why := r.parked.Load()
	if why != nil && (old == nil || why != old.reason || refill && old.head.Seq >= head.Seq) {
		return false // for another reason, or for more
	}
	if refill {
		r.fenced.Store(&fenced{head: head, reason: &reason})
	}
	if !r.parked.CompareAndSwap(why, &reason) {
		return s.object(r, shown) // it has just been refilled
	}
	s.cfg.Log.Error("room is read-only", "room", string(r.id), "reason", reason)
	return true
}
