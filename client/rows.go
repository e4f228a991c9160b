package client

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"parley/groups"
	"parley/mls/wire"
)

// Rows that are written with every message are in the presentation language,
// the few others are JSON. A row is what this device wrote itself: one that
// can not be read is damage, never input.

// rowVersion begins every row in the presentation language.
const rowVersion = 1

// roomKey is the key of a room's row, and the prefix of all keys about it: a
// name holds no zero octet.
func roomKey(room groups.RoomID) []byte { return append([]byte(room), 0) }

// seqKey is the key of what stands at a place in a room, in the order of the
// places.
func seqKey(room groups.RoomID, n uint64) []byte {
	return binary.BigEndian.AppendUint64(roomKey(room), n)
}

// idKey is the key of what is found by a message's id.
func idKey(room groups.RoomID, id MessageID) []byte { return append(roomKey(room), id[:]...) }

// seqOf returns the place a key ends with.
func seqOf(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// damaged says that a row can not be read.
func damaged(t Table, err error) error {
	return fmt.Errorf("row of %s in the store: %w", t, err)
}

// getJSON reads a JSON row; found is false if there is none.
func getJSON[T any](tx Tx, t Table, key []byte) (v T, found bool, err error) {
	b, err := tx.Get(t, key)
	if err != nil || b == nil {
		return v, false, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, false, damaged(t, err)
	}
	return v, true, nil
}

// putJSON writes a JSON row.
func putJSON(tx Tx, t Table, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return damaged(t, err)
	}
	return tx.Put(t, key, b)
}

// scanJSON reads the JSON rows under a prefix, at most limit of them.
func scanJSON[T any](tx Tx, t Table, prefix []byte, limit int) (list []T, err error) {
	var bad error
	err = tx.Scan(t, Range{Prefix: prefix}, func(_, value []byte) bool {
		var v T
		if bad = json.Unmarshal(value, &v); bad != nil {
			bad = damaged(t, bad)
			return false
		}
		list = append(list, v)
		return len(list) < limit
	})
	if err == nil {
		err = bad
	}
	return list, err
}

// A rower is a row in the presentation language.
type rower interface {
	encodeRow(w *wire.Writer)
	decodeRow(r *wire.Reader)
}

// packRow encodes a row.
func packRow(v rower) []byte {
	w := wire.NewWriter(make([]byte, 0, 256))
	w.Uint8(rowVersion)
	v.encodeRow(w)
	return w.Bytes()
}

// unpackRow decodes a row of a table.
func unpackRow(t Table, b []byte, v rower) error {
	r := wire.NewReader(b)
	if version := r.Uint8(); r.Err() == nil && version != rowVersion {
		r.Fail(fmt.Errorf("%w: row version %d", wire.ErrMalformed, version))
	}
	v.decodeRow(r)
	if err := r.Done(); err != nil {
		return damaged(t, err)
	}
	return nil
}

func (e *LogEntry) encodeRow(w *wire.Writer) {
	w.Uint64(uint64(e.Seq))
	w.Raw(e.Hash[:])
	w.Uint64(uint64(e.Epoch))
	w.Uint8(uint8(e.Kind))
	w.String(string(e.Device))
	w.Raw(e.ID[:])
	writeTime(w, e.Time)
	w.Uint64(uint64(e.Size))
	w.String(e.Note)
}

func (e *LogEntry) decodeRow(r *wire.Reader) {
	e.Seq = groups.Seq(r.Uint64())
	e.Hash = r.Hash()
	e.Epoch = groups.Epoch(r.Uint64())
	e.Kind = groups.EntryKind(r.Uint8())
	e.Device = groups.DeviceID(r.Opaque())
	copy(e.ID[:], r.Fixed(len(e.ID)))
	e.Time = readTime(r)
	e.Size = int(r.Uint64())
	e.Note = string(r.Opaque())
}

func (m *Message) encodeRow(w *wire.Writer) {
	w.Uint64(uint64(m.Seq))
	w.Raw(m.ID[:])
	w.String(string(m.Device))
	w.Uint64(uint64(m.Epoch))
	writeTime(w, m.Time)
	w.Uint8(uint8(m.State))
	w.Bool(m.Edited)
	w.Bool(m.Deleted)
	w.String(m.Problem)
	w.Uint8(uint8(m.Content.Kind))
	w.Vector(func(w *wire.Writer) {
		if m.Content.Kind != 0 && !m.Deleted {
			m.Content.encode(w)
		}
	})
	w.Vector(func(w *wire.Writer) {
		for _, e := range m.Reactions {
			w.String(string(e.User))
			w.String(e.Emoji)
		}
	})
	w.Bool(m.Change != nil)
	if m.Change != nil {
		m.Change.encode(w)
	}
}

func (m *Message) decodeRow(r *wire.Reader) {
	m.Seq = groups.Seq(r.Uint64())
	copy(m.ID[:], r.Fixed(len(m.ID)))
	m.Device = groups.DeviceID(r.Opaque())
	m.Epoch = groups.Epoch(r.Uint64())
	m.Time = readTime(r)
	m.State = State(r.Uint8())
	m.Edited, m.Deleted = r.Bool(), r.Bool()
	m.Problem = string(r.Opaque())
	kind := ContentKind(r.Uint8())
	content := wire.NewReader(r.Opaque())
	switch {
	case kind == 0:
	case m.Deleted:
		m.Content.Kind = kind // a deleted message's text is gone
	default:
		m.Content.decode(content)
		if err := content.Done(); err != nil {
			r.Fail(err)
		}
	}
	r.Vector(func(r *wire.Reader) {
		m.Reactions = append(m.Reactions, Reaction{groups.UserID(r.Opaque()), string(r.Opaque())})
	})
	if r.Bool() {
		m.Change = new(Change)
		m.Change.decode(r)
	}
}

func (c *Change) encode(w *wire.Writer) {
	w.Uint64(uint64(c.Epoch))
	for _, list := range [][]groups.DeviceID{c.Added, c.Removed} {
		w.Vector(func(w *wire.Writer) {
			for _, d := range list {
				w.String(string(d))
			}
		})
	}
	w.Bool(c.Policy)
}

func (c *Change) decode(r *wire.Reader) {
	c.Epoch = groups.Epoch(r.Uint64())
	for _, list := range []*[]groups.DeviceID{&c.Added, &c.Removed} {
		r.Vector(func(r *wire.Reader) { *list = append(*list, groups.DeviceID(r.Opaque())) })
	}
	c.Policy = r.Bool()
}

// writeTime writes a time to the millisecond, as the log does.
func writeTime(w *wire.Writer, t time.Time) {
	if t.IsZero() {
		w.Uint64(0)
		return
	}
	w.Uint64(uint64(t.UnixMilli()))
}

func readTime(r *wire.Reader) time.Time { return millis(r.Uint64()) }

// millis is a time of the log; zero is no time.
func millis(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}
