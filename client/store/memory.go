package store

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"

	"parley/client"
)

// errClosed says that a store was used after Close.
var errClosed = errors.New("store is closed")

// A Memory is a store that forgets when the process ends: for load generators,
// simulations and tests. Its promises are those of client.Store, but that
// durable means as long as the value lives.
type Memory struct {
	mu     sync.RWMutex // held by Update and View as long as fn runs
	tables [client.NumTables]table
	closed bool
}

// A table is a map and its keys in order. An insertion moves the keys behind
// it, which is nothing for what is appended, and little for what a device has.
type table struct {
	rows map[string][]byte
	keys []string
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	m := new(Memory)
	for i := range m.tables {
		m.tables[i].rows = make(map[string][]byte)
	}
	return m
}

// View calls fn with the state between two Updates.
func (m *Memory) View(fn func(client.Tx) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return errClosed
	}
	return fn(&memoryTx{m: m, readOnly: true})
}

// Update calls fn and keeps its writes if it returns nil.
func (m *Memory) Update(fn func(client.Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	tx := &memoryTx{m: m}
	kept := false
	defer func() {
		if !kept { // an error, or a panic of fn
			tx.undo()
		}
	}()
	err := fn(tx)
	kept = err == nil
	return err
}

// Close forgets everything.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// A memoryTx writes in place and remembers how to take it back.
type memoryTx struct {
	m        *Memory
	readOnly bool
	old      []oldRow
}

// An oldRow is a row as it was before a write; a nil value was not there.
type oldRow struct {
	t     client.Table
	key   string
	value []byte
}

// Get returns a row.
func (tx *memoryTx) Get(t client.Table, key []byte) ([]byte, error) {
	return tx.m.tables[t].rows[string(key)], nil
}

// Put writes a copy of value.
func (tx *memoryTx) Put(t client.Table, key, value []byte) error {
	if tx.readOnly {
		return client.ErrReadOnly
	}
	tx.set(t, string(key), append(make([]byte, 0, len(value)), value...))
	return nil
}

// Delete removes a row.
func (tx *memoryTx) Delete(t client.Table, key []byte) error {
	if tx.readOnly {
		return client.ErrReadOnly
	}
	if _, ok := tx.m.tables[t].rows[string(key)]; ok {
		tx.set(t, string(key), nil)
	}
	return nil
}

func (tx *memoryTx) set(t client.Table, key string, value []byte) {
	tx.old = append(tx.old, oldRow{t, key, tx.m.tables[t].rows[key]})
	tx.m.tables[t].set(key, value)
}

// undo takes all writes back, the last one first.
func (tx *memoryTx) undo() {
	for _, o := range slices.Backward(tx.old) {
		tx.m.tables[o.t].set(o.key, o.value)
	}
}

// Scan walks the rows of a range.
func (tx *memoryTx) Scan(t client.Table, r client.Range, fn func(key, value []byte) bool) error {
	tab := &tx.m.tables[t]
	keys := tab.keys
	prefix := string(r.Prefix)
	i, found := slices.BinarySearch(keys, startOf(r))
	step := 1
	if r.Reverse {
		step = -1
		if !found || r.From == nil {
			i--
		}
	}
	for ; i >= 0 && i < len(keys); i += step {
		if !strings.HasPrefix(keys[i], prefix) {
			break
		}
		if !fn([]byte(keys[i]), tab.rows[keys[i]]) {
			break
		}
	}
	return nil
}

// startOf returns where a scan begins; for a reverse scan without a From that
// is the first key after the prefix's rows.
func startOf(r client.Range) string {
	switch {
	case r.From != nil:
		return string(r.From)
	case r.Reverse:
		return string(after(r.Prefix))
	}
	return string(r.Prefix)
}

// after returns the smallest key larger than every key that begins with
// prefix, if there is one, else a key larger than any.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return bytes.Repeat([]byte{0xff}, 300) // keys are shorter
}

// set writes one row; nil removes it.
func (t *table) set(key string, value []byte) {
	_, had := t.rows[key]
	switch {
	case value == nil && had:
		i, _ := slices.BinarySearch(t.keys, key)
		t.keys = slices.Delete(t.keys, i, i+1)
		delete(t.rows, key)
	case value == nil:
	case had:
		t.rows[key] = value
	default:
		i, _ := slices.BinarySearch(t.keys, key)
		t.keys = slices.Insert(t.keys, i, key)
		t.rows[key] = value
	}
}
