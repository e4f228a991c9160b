package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"parley/client"
)

// statements are the SQL a store runs, compiled once for each table.
type statements struct {
	begin, commit, rollback *sqlite3.Stmt
	get, put, del, up, down [client.NumTables]*sqlite3.Stmt
}

// prepare compiles them.
func (s *statements) prepare(c *sqlite3.Conn) error {
	compile := func(to **sqlite3.Stmt, sql string) (err error) {
		*to, _, err = c.Prepare(sql)
		return err
	}
	err := errors.Join(
		compile(&s.begin, "BEGIN"),
		compile(&s.commit, "COMMIT"),
		compile(&s.rollback, "ROLLBACK"))
	for t := range client.NumTables {
		err = errors.Join(err,
			compile(&s.get[t], fmt.Sprintf("SELECT value FROM %s WHERE key = ?", t)),
			compile(&s.put[t], fmt.Sprintf("INSERT INTO %s VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", t)),
			compile(&s.del[t], fmt.Sprintf("DELETE FROM %s WHERE key = ?", t)),
			compile(&s.up[t], fmt.Sprintf("SELECT key, value FROM %s WHERE key >= ? ORDER BY key", t)),
			compile(&s.down[t], fmt.Sprintf("SELECT key, value FROM %s WHERE key <= ? ORDER BY key DESC", t)))
	}
	return err
}

// close releases them.
func (s *statements) close() {
	for _, one := range []*sqlite3.Stmt{s.begin, s.commit, s.rollback} {
		one.Close()
	}
	for t := range client.NumTables {
		for _, one := range []*sqlite3.Stmt{s.get[t], s.put[t], s.del[t], s.up[t], s.down[t]} {
			one.Close()
		}
	}
}

// View calls fn in a transaction that is not kept.
func (f *File) View(fn func(client.Tx) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn == nil {
		return errClosed
	}
	if err := run(f.stmt.begin); err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	defer f.rollback()
	return fn(&fileTx{f: f, readOnly: true})
}

// Update calls fn in a transaction and commits it: COMMIT returns when the
// write-ahead log is on disk.
func (f *File) Update(fn func(client.Tx) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn == nil {
		return errClosed
	}
	if err := run(f.stmt.begin); err != nil {
		return fmt.Errorf("write store: %w", err)
	}
	defer f.rollback() // does nothing after COMMIT
	if err := fn(&fileTx{f: f}); err != nil {
		return err
	}
	if err := run(f.stmt.commit); err != nil { // COMMIT POINT
		return fmt.Errorf("write store: %w", err)
	}
	return nil
}

// rollback ends a transaction that was not committed. If even that fails, the
// connection is broken and the next BEGIN says so.
func (f *File) rollback() {
	if !f.conn.GetAutocommit() {
		run(f.stmt.rollback)
	}
}

// run steps a statement to its end and makes it ready for the next time.
func run(s *sqlite3.Stmt) error {
	return errors.Join(s.Exec(), s.ClearBindings())
}

// A fileTx is one transaction.
type fileTx struct {
	f        *File
	readOnly bool
}

// Get returns a row.
func (tx *fileTx) Get(t client.Table, key []byte) ([]byte, error) {
	s := tx.f.stmt.get[t]
	if err := s.BindBlob(1, key); err != nil {
		return nil, fmt.Errorf("read %s: %w", t, err)
	}
	var value []byte
	if s.Step() {
		value = s.ColumnBlob(0, []byte{})
	}
	if err := s.Reset(); err != nil {
		return nil, fmt.Errorf("read %s: %w", t, err)
	}
	return value, nil
}

// Put writes a row.
func (tx *fileTx) Put(t client.Table, key, value []byte) error {
	if tx.readOnly {
		return client.ErrReadOnly
	}
	s := tx.f.stmt.put[t]
	if value == nil {
		value = []byte{}
	}
	if err := errors.Join(s.BindBlob(1, key), s.BindBlob(2, value), run(s)); err != nil {
		return fmt.Errorf("write %s: %w", t, err)
	}
	return nil
}

// Delete removes a row.
func (tx *fileTx) Delete(t client.Table, key []byte) error {
	if tx.readOnly {
		return client.ErrReadOnly
	}
	s := tx.f.stmt.del[t]
	if err := errors.Join(s.BindBlob(1, key), run(s)); err != nil {
		return fmt.Errorf("delete from %s: %w", t, err)
	}
	return nil
}

// Scan walks the rows of a range.
func (tx *fileTx) Scan(t client.Table, r client.Range, fn func(key, value []byte) bool) error {
	s := tx.f.stmt.up[t]
	from := []byte(startOf(r))
	if r.Reverse {
		s = tx.f.stmt.down[t]
	}
	if s.Busy() {
		return fmt.Errorf("scan %s inside a scan of it", t)
	}
	if err := s.BindBlob(1, from); err != nil {
		return fmt.Errorf("scan %s: %w", t, err)
	}
	for s.Step() {
		key := s.ColumnBlob(0, nil)
		if !bytes.HasPrefix(key, r.Prefix) {
			if r.Reverse && bytes.Compare(key, r.Prefix) > 0 {
				continue // the key after the prefix's rows
			}
			break
		}
		if !fn(key, s.ColumnBlob(1, []byte{})) {
			break
		}
	}
	if err := s.Reset(); err != nil {
		return fmt.Errorf("scan %s: %w", t, err)
	}
	return nil
}
