package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// loadRooms reads the rows of all rooms. Ledgers are loaded when a room is
// first written to: a restart costs some ten microseconds a room.
func (s *Store) loadRooms() error {
	return s.db.View(func(txn *badger.Txn) error {
		if err := s.loadSerial(txn); err != nil {
			return err
		}
		return scan(txn, []byte{rowRoom}, nil, func(key, value []byte) (bool, error) {
			id := groups.RoomID(key[1 : len(key)-1])
			rec, err := decodeRoomRecord(value)
			if err != nil {
				return false, fmt.Errorf("row of %s: %w", id, err)
			}
			r := newRoom(id, rec)
			s.rooms[id] = r
			s.nextNumber = max(s.nextNumber, rec.number)
			if err := s.loadView(txn, r); err != nil {
				s.park(r, fmt.Sprintf("its rows can not be read: %v", err))
			}
			return true, nil
		})
	})
}

func (s *Store) loadSerial(txn *badger.Txn) error {
	for kind, into := range map[byte]func(uint64){
		rowSerial:   s.serial.Store,
		rowKeyFloor: s.floor.Store,
	} {
		v, err := get(txn, []byte{kind})
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		if len(v) != 8 {
			return errCorrupt
		}
		into(binary.BigEndian.Uint64(v))
	}
	return nil
}

// loadView reads where the room stands.
func (s *Store) loadView(txn *badger.Txn, r *room) error {
	v, err := get(txn, numberKey(rowFence, r.number))
	if err == nil && v != nil {
		r.proof, err = decodeFenceRecord(v)
	}
	if err != nil {
		return err
	}
	if v, err = get(txn, numberKey(rowMend, r.number)); err != nil {
		return err
	}
	r.damaged.Store(v != nil)
	if v, err = get(txn, numberKey(rowHead, r.number)); err != nil {
		return err
	}
	if v == nil && r.proof.shown != nil {
		return nil // nothing is held of a room that a follower has shown
	}
	head, err := decodeHeadRecord(r.id, v)
	if err != nil {
		r.damaged.Store(true) // the journal has it too
		return nil
	}
	if v, err = get(txn, numberKey(rowInfo, r.number)); err != nil {
		return err
	}
	if in, err := decodeInfo(v); err == nil {
		r.info = in
	} else {
		r.damaged.Store(true) // it follows from the log
	}
	r.tipAt = head.last
	if head.signed != nil {
		s.aim(r, &head.signed.Head, head.last.Seq)
	}
	r.view.Store(&view{last: head.last, signed: head.signed, info: r.info})
	return nil
}

// load gets the room's ledger ready: the last snapshot, and the entries since.
// The caller holds r.mu. Nothing of the room is on its way to the disk then.
func (s *Store) load(r *room) error {
	if r.tip != nil {
		return nil
	}
	r.filter = filter{}
	l, err := s.replay(r)
	if err != nil {
		s.damaged(r, fmt.Sprintf("its log can not be replayed: %v", err))
		return r.live()
	}
	if r.owned {
		if r.term == 0 {
			// The term rises with every start. It becomes durable with the first
			// entry under it; before, nobody has seen it.
			r.term = max(r.tipAt.Term+1, r.proof.term)
		}
		if err := s.fillFilter(r); err != nil {
			s.damaged(r, fmt.Sprintf("its submissions can not be read: %v", err))
			return r.live()
		}
	}
	r.tip = l
	r.amend(func(v *view) { v.ledger = l })
	return nil
}

// replay makes the ledger of the room's durable head.
func (s *Store) replay(r *room) (*groups.Ledger, error) {
	last := r.view.Load().last
	if last.Seq == 0 {
		return groups.NewLedger(r.id, s.cfg.Directory), nil
	}
	l, err := s.snapshot(r)
	if err != nil {
		return nil, err
	}
	for l.Head().Seq < last.Seq {
		page, err := s.readLog(r, l.Head().Seq, replayBytes)
		if err != nil {
			return nil, err
		}
		for _, stored := range page {
			e, err := groups.ParseEntry(stored.Bytes)
			if err != nil {
				return nil, err
			}
			st, err := l.Replay(e)
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w", stored.Seq, err)
			}
			l = st.Next
			r.replayed(stored)
		}
	}
	if h := l.Head(); h.Seq != last.Seq || h.Hash != last.Hash {
		return nil, fmt.Errorf("it ends at %d %s, not at %d %s", h.Seq, h.Hash, last.Seq, last.Hash)
	}
	return l, nil
}

// replayBytes is how much of the log is read at a time for a replay.
const replayBytes = 1 << 20
