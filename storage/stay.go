package storage

import (
	"encoding/binary"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// What an entry did to a device's membership. A commit may do both: then the
// device left by it first.
const (
	stayJoined byte = 1 << iota
	stayLeft
)

// memberRows appends what a step does to memberships: one row for each device
// and entry, which is never changed, so that nothing has to be read to write
// it. Rows are not pruned; each is less than the commit it comes from.
func memberRows(rows []row, number uint64, st *groups.Step) []row {
	for _, d := range st.Removed {
		what := stayLeft
		if slices.Contains(st.Added, d) {
			what |= stayJoined
		}
		rows = append(rows, row{key: stayKey(d, number, st.Entry.Seq), value: []byte{what}})
	}
	for _, d := range st.Added {
		if !slices.Contains(st.Removed, d) {
			rows = append(rows, row{key: stayKey(d, number, st.Entry.Seq), value: []byte{stayJoined}})
		}
	}
	return rows
}

// RoomsOf returns the rooms a device may read or might for a while, in the
// order of their names.
func (s *Store) RoomsOf(d groups.DeviceID) ([]groups.Membership, error) {
	names := s.roomNames()
	var out []groups.Membership
	prefix := nameKey(rowStay, d)
	err := s.db.View(func(txn *badger.Txn) error {
		last := uint64(0) // rooms are numbered from one
		return scan(txn, prefix, nil, func(key, value []byte) (bool, error) {
			number, err := stayRoom(key[len(prefix):])
			if err != nil || names[number] == "" {
				return true, err
			}
			if number != last {
				last, out = number, append(out, groups.Membership{Room: names[number]})
			}
			return true, addStay(&out[len(out)-1], key, value)
		})
	})
	slices.SortFunc(out, func(a, b groups.Membership) int {
		if a.Room < b.Room {
			return -1
		}
		return 1
	})
	return out, readError(err)
}

// Membership returns whether a device is or was a member of a room, and the
// entries it may read.
func (s *Store) Membership(id groups.RoomID, d groups.DeviceID) (m groups.Membership, ok bool) {
	r := s.find(id)
	if r == nil {
		return m, false
	}
	m.Room = id
	prefix := deviceKey(rowStay, d, r.number)
	err := s.db.View(func(txn *badger.Txn) error {
		return scan(txn, prefix, nil, func(key, value []byte) (bool, error) {
			if len(key) != len(prefix)+8 {
				return false, errCorrupt
			}
			return true, addStay(&m, key, value)
		})
	})
	return m, err == nil && m.Joined > 0
}

// stayRoom returns the room's number from what follows the device in a key.
func stayRoom(rest []byte) (uint64, error) {
	f := fields{b: rest}
	number := f.uint64()
	f.uint64()
	return number, f.done()
}

// addStay goes one row further in a membership.
func addStay(m *groups.Membership, key, value []byte) error {
	seq := groups.Seq(binary.BigEndian.Uint64(key[len(key)-8:]))
	if len(value) != 1 || value[0]&^(stayJoined|stayLeft) != 0 {
		return errCorrupt
	}
	if value[0]&stayLeft != 0 {
		m.Leave(seq)
	}
	if value[0]&stayJoined != 0 {
		m.Enter(seq)
	}
	return nil
}
