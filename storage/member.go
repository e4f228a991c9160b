package storage

import (
	"encoding/binary"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// roomNames returns the rooms by number.
func (s *Store) roomNames() map[uint64]groups.RoomID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make(map[uint64]groups.RoomID, len(s.rooms))
	for id, r := range s.rooms {
		names[r.number] = id
	}
	return names
}

// Welcomes returns the Welcomes that wait for a device, oldest first within a
// room.
func (s *Store) Welcomes(d groups.DeviceID) ([]groups.Welcome, error) {
	var out []groups.Welcome
	var bytes []groups.Hash
	names := s.roomNames()
	err := s.db.View(func(txn *badger.Txn) error {
		return scan(txn, nameKey(rowWelcome, d), nil, func(key, value []byte) (bool, error) {
			rec, err := decodeWelcomeRecord(value)
			if err != nil {
				return false, err
			}
			at := key[len(key)-16:]
			room, seq := names[binary.BigEndian.Uint64(at)], groups.Seq(binary.BigEndian.Uint64(at[8:]))
			if r := s.find(room); r != nil && seq > r.view.Load().last.Seq {
				return true, nil // its commit was lost and is not back yet (I3)
			}
			out = append(out, groups.Welcome{Room: room, Seq: seq,
				Epoch: rec.epoch, Tree: rec.tree, EntryHash: rec.entry})
			bytes = append(bytes, rec.welcome)
			return true, nil
		})
	})
	if err != nil {
		return nil, readError(err)
	}
	for i := range out {
		w := &out[i]
		if w.Bytes, err = s.held(bytes[i]); err != nil {
			return nil, err
		}
		if r := s.find(w.Room); r != nil {
			w.Head = r.view.Load().signed
		}
		if w.KeyRecord, err = s.recordAt(w.Room, w.Seq); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// recordAt returns the key record that came with a commit, nil if none did.
func (s *Store) recordAt(room groups.RoomID, seq groups.Seq) ([]byte, error) {
	page, err := s.Read(room, seq-1, 1)
	if err != nil || len(page.Entries) == 0 || page.Entries[0].Kind != groups.KindCommit {
		return nil, err
	}
	e, err := groups.ParseEntry(page.Entries[0].Bytes)
	if err != nil {
		return nil, readError(err)
	}
	bundle, err := groups.ParseCommitBundle(e.Body)
	if err != nil {
		return nil, readError(err)
	}
	return bundle.KeyRecord, nil
}

// ForgetWelcome ends the route of a Welcome that its device has used. When it
// was the last one that needs the public tree beside it, the tree goes too. A
// route that is not there is no error.
func (s *Store) ForgetWelcome(d groups.DeviceID, id groups.RoomID, seq groups.Seq) error {
	r := s.find(id)
	if r == nil {
		return errNoRoom(id)
	}
	key := welcomeKey(d, r.number, seq)
	value, err := s.lookup(key)
	if value == nil || err != nil {
		return err
	}
	rec, err := decodeWelcomeRecord(value)
	if err != nil {
		return readError(err)
	}
	unlock := s.blobs.lock(rec.tree[:])
	defer unlock()
	use := append(hashKey(rowTreeUse, rec.tree), key[1:]...)
	rows := []row{{key: key, gone: true}, {key: use, gone: true}}
	if rows, err = s.dropTree(rows, rec.tree, use); err != nil {
		return err
	}
	return s.writeRows(rows)
}

// dropTree appends the deletion of a tree that only use needs. Trees of two
// commits are never the same, so nobody begins to need it meanwhile.
func (s *Store) dropTree(rows []row, tree groups.Hash, use []byte) ([]row, error) {
	err := s.db.View(func(txn *badger.Txn) error {
		others := false
		err := scan(txn, hashKey(rowTreeUse, tree), nil, func(key, _ []byte) (bool, error) {
			others = string(key) != string(use)
			return !others, nil
		})
		if err != nil || others {
			return err
		}
		rows = append(rows, row{key: hashKey(rowHeld, tree), gone: true})
		return scan(txn, hashKey(rowHeldChunk, tree), nil, func(key, _ []byte) (bool, error) {
			rows = append(rows, row{key: append([]byte(nil), key...), gone: true})
			return true, nil
		})
	})
	return rows, readError(err)
}

// Members returns the devices in a room, sorted, in time proportional to their
// number: NotFound for an unknown room.
func (s *Store) Members(id groups.RoomID) ([]groups.DeviceID, error) {
	r := s.find(id)
	if r == nil {
		return nil, errNoRoom(id)
	}
	if l := r.view.Load().ledger; l != nil {
		return l.Devices(), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := s.load(r); err != nil {
		return nil, err
	}
	return r.tip.Devices(), nil
}
