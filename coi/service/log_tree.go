package service

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

// A treeFile holds the hashes of a log's tree in the order of tlog's storage.
// It is made from the entries and can be made again: it is never synced, and is
// compared with the entries whenever the log is opened.
type treeFile struct {
	f       *os.File
	stored  int64       // hashes in the file
	pending []tlog.Hash // hashes that follow them, not written yet
	entries int64
}

// maxPending is how many hashes wait before they are written, while a log is
// read.
const maxPending = 4096

// ReadHashes returns hashes by their index, as tlog wants them.
func (t *treeFile) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= t.stored {
			out[i] = t.pending[x-t.stored]
			continue
		}
		if _, err := t.f.ReadAt(out[i][:], x*tlog.HashSize); err != nil {
			return nil, fmt.Errorf("read tree: %w", err)
		}
	}
	return out, nil
}

// add puts an entry into the tree.
func (t *treeFile) add(data []byte) error {
	hashes, err := tlog.StoredHashes(t.entries, data, t)
	if err != nil {
		return err
	}
	t.pending = append(t.pending, hashes...)
	t.entries++
	return nil
}

// back forgets the entries after n, which were not flushed.
func (t *treeFile) back(n int64) {
	t.pending = t.pending[:tlog.StoredHashCount(n)-t.stored]
	t.entries = n
}

// flush writes what is pending. What the file holds already it only compares,
// and writes where it differs.
func (t *treeFile) flush() error {
	var b bytes.Buffer
	for _, h := range t.pending {
		b.Write(h[:])
	}
	at := t.stored * tlog.HashSize
	old := make([]byte, b.Len())
	if n, err := t.f.ReadAt(old, at); err != nil && err != io.EOF {
		return fmt.Errorf("read tree: %w", err)
	} else if n < len(old) || !bytes.Equal(old, b.Bytes()) {
		if _, err := t.f.WriteAt(b.Bytes(), at); err != nil {
			return fmt.Errorf("write tree: %w", err)
		}
	}
	t.stored += int64(len(t.pending))
	t.pending = t.pending[:0]
	return nil
}

// root returns the root over the first n entries.
func (t *treeFile) root(n int64) (tlog.Hash, error) {
	h, err := tlog.TreeHash(n, t)
	if err != nil {
		return h, fmt.Errorf("root of %d entries: %w", n, err)
	}
	return h, nil
}

// An edge is a tree of which only the right edge is kept: enough for its root,
// in memory that does not grow with the log.
type edge struct {
	entries int64
	hashes  map[int64]tlog.Hash // by index; those a later entry can ask for
}

func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		h, ok := e.hashes[x]
		if !ok {
			return nil, fmt.Errorf("BUG: hash %d is not on the edge", x)
		}
		out[i] = h
	}
	return out, nil
}

// add puts an entry into the tree and drops what is under a full subtree.
func (e *edge) add(data []byte) error {
	hashes, err := tlog.StoredHashes(e.entries, data, e)
	if err != nil {
		return err
	}
	first := tlog.StoredHashIndex(0, e.entries)
	if e.hashes == nil {
		e.hashes = map[int64]tlog.Hash{}
	}
	for i, h := range hashes {
		e.hashes[first+int64(i)] = h
		if i > 0 { // its two children are not asked for again
			_, n := tlog.SplitStoredHashIndex(first + int64(i))
			delete(e.hashes, tlog.StoredHashIndex(i-1, 2*n))
			delete(e.hashes, tlog.StoredHashIndex(i-1, 2*n+1))
		}
	}
	e.entries++
	return nil
}

// root returns the root over all entries.
func (e *edge) root() (tlog.Hash, error) {
	return tlog.TreeHash(e.entries, e)
}

// readerFrom begins reading a file at an offset.
func readerFrom(f *os.File, at int64) *bufio.Reader {
	return bufio.NewReader(io.NewSectionReader(f, at, 1<<62))
}
