package storage

import (
	"errors"
	"fmt"

	"parley/groups"
)

// The boot fence. Badger 4.9.6 can lose what it has acknowledged without an
// error: one flipped bit in a write-ahead log makes Open drop everything after
// it (in the value log it would as well: see sealValues). So each room's head is
// compared at start with the journal, which knows what has been promised. A room
// whose log is shorter or different is parked: what is left of it can be read, and
// it is refilled: a follower's from its hub, the hub's from whoever holds a longer
// copy; it is never silently shorter (I2, I5). A log that is damaged within is cut
// back to what is whole, and is then such a shorter one (mend.go). A copy of the
// whole directory that is older, journal and all, is found by the heads that
// followers show (fence_shown.go).

// fence compares the rooms with the journal.
func (s *Store) fence() error {
	s.nextNumber = max(s.nextNumber, s.journal.highest())
	if s.journal.size == 0 && s.serial.Load() > 0 {
		s.cfg.Log.Error("the journal of heads is gone")
		s.journal.damaged = true
	}
	byNumber := make(map[uint64]*room, len(s.rooms))
	for _, r := range s.rooms {
		byNumber[r.number] = r
		if _, known := s.journal.rooms[r.number]; !known && s.journal.damaged {
			s.journal.rooms[r.number] = journalHead{name: r.id, doubt: true}
		}
	}
	for number, promised := range s.journal.rooms {
		if byNumber[number] != nil {
			continue
		}
		if promised.name == "" || s.rooms[promised.name] != nil {
			s.cfg.Log.Error("the journal names a room that is not in the store", "number", number)
			continue
		}
		s.rooms[promised.name] = newRoom(promised.name, roomRecord{number: number})
	}
	if err := s.journal.settle(); err != nil {
		return err
	}
	for _, r := range s.rooms {
		if err := s.fenceAndMend(r); err != nil {
			return err
		}
	}
	return s.fenceStore()
}

// fenceAndMend compares a room with what was promised, after it has mended it if
// it is damaged. What can not be written is an error.
func (s *Store) fenceAndMend(r *room) error {
	if !r.damaged.Load() && !errors.Is(s.fenceRoom(r), errCorrupt) {
		return nil
	}
	if err := s.mend(r); err != nil {
		return fmt.Errorf("mend %s: %w", r.id, err)
	}
	if err := s.fenceRoom(r); err != nil {
		s.park(r, fmt.Sprintf("its log can not be read: %v", err))
	}
	return nil
}

// fenceRoom parks a room whose log does not hold what was promised. errCorrupt
// says that it can not be read where it was looked at.
func (s *Store) fenceRoom(r *room) error {
	last, promised := r.view.Load().last, s.journal.rooms[r.number]
	switch {
	case r.proof.gaveUp(last):
	case promised.doubt:
		s.park(r, "the journal of heads was damaged, nothing vouches for the end of its log")
	case last.Seq < promised.seq:
		s.park(r, fmt.Sprintf("its log ends at entry %d, but entry %d was promised: the disk has lost entries", last.Seq, promised.seq))
		r.fenced.Store(&fenced{head: groups.Head{Room: r.id, Seq: promised.seq, Hash: promised.hash}, reason: r.parked.Load()})
	default:
		if err := s.fenceEntries(r, last, groups.Head{Seq: promised.seq, Hash: promised.hash}); err != nil {
			return err
		}
	}
	return s.fenceShown(r)
}

// fenceEntries looks into the log: at its last entry, and at the one promised last,
// usually the same.
func (s *Store) fenceEntries(r *room, last, promised groups.Head) error {
	for _, want := range []groups.Head{promised, last} {
		held, err := s.hasEntry(r, want.Seq, want.Hash)
		if err != nil {
			return err
		}
		if !held {
			s.park(r, fmt.Sprintf("entry %d is not what was promised", want.Seq))
			return nil
		}
		if promised.Seq == last.Seq {
			return nil
		}
	}
	return nil
}

// hasEntry says whether the log's entry is the one of a hash. errCorrupt says that
// it can not be read, or that what follows it does not confirm it.
func (s *Store) hasEntry(r *room, seq groups.Seq, want groups.Hash) (bool, error) {
	if seq == 0 {
		return true, nil
	}
	page, err := s.readLog(r, seq-1, 1)
	if err != nil {
		return false, err
	}
	e, err := groups.ParseEntry(page[0].Bytes)
	return err == nil && e.EntryHeader.Hash() == want, err
}

// fenceStore notices that Badger lost whole batches, whatever was in them.
// Among them may be the deletion of a key package that was handed out, so the
// packages that were there then are not handed out any more: their devices
// find none left and publish new ones.
func (s *Store) fenceStore() error {
	held := s.serial.Load()
	if held >= s.journal.serial {
		return nil
	}
	s.cfg.Log.Error("the disk has lost batches", "last", held, "promised", s.journal.serial)
	s.serial.Store(s.journal.serial)
	s.floor.Store(s.journal.serial)
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	for _, kind := range []byte{rowKeyFloor, rowSerial} {
		if err := put(txn, row{key: []byte{kind}, value: uint64Value(s.floor.Load())}); err != nil {
			return err
		}
	}
	return s.commit(txn)
}

// A fenced is the fence's objection to a room whose log is too short: it ends
// when the log holds what was promised.
type fenced struct {
	head   groups.Head
	reason *string // what the room is parked with
}

// promise returns the head to be reached, nil if the fence did not object.
func (f *fenced) promise() *groups.Head {
	if f == nil {
		return nil
	}
	return &f.head
}

// refilled ends the fence's objection once the room's log holds what was
// promised. Another reason to be parked stays.
func (s *Store) refilled(r *room, last groups.Seq) {
	if f := r.fenced.Load(); f != nil && last >= f.head.Seq && r.parked.CompareAndSwap(f.reason, nil) {
		s.cfg.Log.Info("room is refilled", "room", string(r.id))
	}
}
