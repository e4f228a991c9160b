package storage

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

const (
	// maxSoftBytes bounds the soft rows of one batch; the next takes more.
	maxSoftBytes = 1 << 20
	// maxSoft bounds those that wait; beyond, cursors are refused with Busy.
	maxSoft = 1 << 17
)

// A soft holds rows whose loss costs a repetition and no promise: cursors,
// sightings of devices, advice about owners. They wait for company up to
// softInterval, and later values replace earlier ones meanwhile. What waits is
// seen by readers already.
type soft struct {
	mu      sync.Mutex
	rowsBy  map[string][]byte // by key
	cursors map[groups.DeviceID]map[groups.RoomID]groups.Seq
	n       int // cursors that wait
}

// put notes a row to be written.
func (f *soft) put(w row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rowsBy == nil {
		f.rowsBy = make(map[string][]byte)
	}
	if _, waits := f.rowsBy[string(w.key)]; waits || len(f.rowsBy) < maxSoft {
		f.rowsBy[string(w.key)] = w.value
	}
}

// waiting says whether something is to be written.
func (f *soft) waiting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n > 0 || len(f.rowsBy) > 0
}

// rows returns what to write next, which stays visible until it has landed.
func (f *soft) rows() []row {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rows []row
	room := maxSoftBytes
	add := func(key, value []byte) bool {
		rows = append(rows, row{key: key, value: value})
		room -= len(key) + len(value) + rowOverhead
		return room > 0
	}
	for key, value := range f.rowsBy {
		if !add([]byte(key), value) {
			return rows
		}
	}
	for d, by := range f.cursors {
		for id, seq := range by {
			if !add(cursorKey(d, id), uint64Value(uint64(seq))) {
				return rows
			}
		}
	}
	return rows
}

// landed forgets rows that are durable, unless they have changed meanwhile.
func (f *soft) landed(rows []row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range rows {
		if w.key[0] != rowCursor {
			if string(f.rowsBy[string(w.key)]) == string(w.value) {
				delete(f.rowsBy, string(w.key))
			}
			continue
		}
		d, room := splitCursorKey(w.key)
		if by := f.cursors[d]; by[room] == groups.Seq(binary.BigEndian.Uint64(w.value)) {
			delete(by, room)
			f.n--
			if len(by) == 0 {
				delete(f.cursors, d)
			}
		}
	}
}

func cursorKey(d groups.DeviceID, room groups.RoomID) []byte {
	return append(nameKey(rowCursor, d), room...)
}

func splitCursorKey(key []byte) (groups.DeviceID, groups.RoomID) {
	d, room, _ := bytes.Cut(bytes.TrimPrefix(key, []byte{rowCursor}), []byte{0})
	return groups.DeviceID(d), groups.RoomID(room)
}

// SaveCursors notes how far a device has acknowledged each room. It does not
// wait for the disk: a crash may lose a second of it, and the device is sent
// the entries again. A cursor never moves back. Busy says that too many wait.
func (s *Store) SaveCursors(d groups.DeviceID, cursors map[groups.RoomID]groups.Seq) error {
	if e := s.failed.Load(); e != nil {
		return e
	}
	f := &s.soft
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n+len(cursors) > maxSoft {
		return groups.Errorf(groups.Busy, "%d cursors wait for the disk: try later", f.n)
	}
	if f.cursors == nil {
		f.cursors = make(map[groups.DeviceID]map[groups.RoomID]groups.Seq)
	}
	by := f.cursors[d]
	if by == nil && len(cursors) > 0 {
		by = make(map[groups.RoomID]groups.Seq, len(cursors))
		f.cursors[d] = by
	}
	err := s.db.View(func(txn *badger.Txn) error {
		for room, seq := range cursors {
			old, waits := by[room]
			if !waits {
				v, err := get(txn, cursorKey(d, room))
				if err != nil {
					return err
				}
				stored := fields{b: v}
				old = groups.Seq(stored.uint64())
			}
			if old >= seq {
				continue
			}
			if !waits {
				f.n++
			}
			by[room] = seq
		}
		return nil
	})
	if len(by) == 0 {
		delete(f.cursors, d)
	}
	return readError(err)
}

// Cursors returns how far a device has acknowledged each room.
func (s *Store) Cursors(d groups.DeviceID) (map[groups.RoomID]groups.Seq, error) {
	out := make(map[groups.RoomID]groups.Seq)
	s.soft.mu.Lock()
	for room, seq := range s.soft.cursors[d] {
		out[room] = seq
	}
	s.soft.mu.Unlock()
	err := s.db.View(func(txn *badger.Txn) error {
		return scan(txn, nameKey(rowCursor, d), nil, func(key, value []byte) (bool, error) {
			f := fields{b: value}
			_, room := splitCursorKey(key)
			out[room] = max(out[room], groups.Seq(f.uint64()))
			return true, f.done()
		})
	})
	return out, readError(err)
}

// SawDevice notes that a device logged in. Like a cursor it may be lost.
func (s *Store) SawDevice(d groups.DeviceID, now time.Time) {
	s.soft.put(row{key: userKey(rowDevice, d), value: uint64Value(uint64(now.UnixMilli()))})
}

// userKey is kind, user, 0, device name: the devices of a user stand together.
func userKey(kind byte, d groups.DeviceID) []byte {
	return append(nameKey(kind, d.User()), d.Name()...)
}

// sightings calls each with the devices of a user whose sighting waits.
func (f *soft) sightings(user groups.UserID, each func(name string, at uint64)) {
	prefix := string(nameKey(rowDevice, user))
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, value := range f.rowsBy {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			each(name, binary.BigEndian.Uint64(value))
		}
	}
}
