package service

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

// An edge is the tree of a log of which only the right edge is kept: enough to
// add to it and for its root, in memory that does not grow with the log.
type edge struct {
	entries int64
	hashes  map[int64]tlog.Hash // by index; those a later entry can ask for
}

// clone returns a copy, which further entries do not change.
func (e *edge) clone() *edge { return &edge{e.entries, maps.Clone(e.hashes)} }

// ReadHashes returns hashes by their index, as tlog wants them.
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
	h, err := tlog.TreeHash(e.entries, e)
	if err != nil {
		return h, fmt.Errorf("root of %d entries: %w", e.entries, err)
	}
	return h, nil
}

// readerFrom begins reading a file at an offset.
func readerFrom(f *os.File, at int64) *bufio.Reader {
	return bufio.NewReader(io.NewSectionReader(f, at, 1<<62))
}
