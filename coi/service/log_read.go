package service

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"parley/groups"
)

// maxTail bounds an unfinished batch, in octets: what was gathered may pass
// maxBatch by one call.
const maxTail = 2*maxBatch*(MaxAuditEntry+frameHeader) + maxCheckpoint

// A Verified is a log that was read from its first entry to its last, and found
// to be what its key signed.
type Verified struct {
	Checkpoint Checkpoint // of the last whole batch
	Signed     []byte     // the same, as it was signed
	Unfinished bool       // there is more in the file: being written, or left by a crash
}

// ReadAudit reads a log without disturbing the service that writes it, and
// verifies it: each batch against the root that was signed for it, and the
// whole against older checkpoints that somebody kept elsewhere. each is called
// for every entry with its index and its bytes, before it is known whether the
// whole is sound; an entry of an unfinished batch comes too.
func ReadAudit(dir string, older [][]byte, each func(n int64, e *AuditEntry) error) (*Verified, error) {
	v, err := AuditKey(dir)
	if err != nil {
		return nil, err
	}
	want, err := openAll(older, v)
	if err != nil {
		return nil, err
	}
	shown, err := shownCheckpoint(dir, v)
	if err != nil {
		return nil, err
	}
	want = append(want, shown)
	f, err := os.Open(filepath.Join(dir, auditFile))
	if err != nil {
		return nil, fmt.Errorf("open log of uses: %w", err)
	}
	defer f.Close()
	s, _, err := verifyLog(f, v, want, each)
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", dir, err)
	}
	return &Verified{Checkpoint: s.last, Signed: s.note, Unfinished: s.torn}, nil
}

// verifyLog scans a log in memory that does not grow with it, and returns the
// tree of its whole batches. Roots are wanted at sizes that need not be ends of
// batches.
func verifyLog(f io.Reader, v note.Verifier, want []Checkpoint, each func(n int64, e *AuditEntry) error) (scan, *edge, error) {
	tree, whole := &edge{}, &edge{}
	roots := map[int64]tlog.Hash{}
	for _, c := range want {
		roots[c.Size] = tlog.Hash{}
	}
	s, err := scanLog(f, v, func(n int64, data []byte) error {
		e, err := ParseAuditEntry(data)
		if err != nil {
			return err
		}
		if each != nil {
			if err := each(n, e); err != nil {
				return err
			}
		}
		if err := tree.add(data); err != nil {
			return err
		}
		if _, wanted := roots[n+1]; wanted {
			roots[n+1], err = tree.root()
		}
		return err
	}, func(n int64) (Checkpoint, error) {
		root, err := tree.root()
		whole = tree.clone()
		return Checkpoint{Size: n, Root: root}, err
	})
	if err != nil {
		return s, nil, err
	}
	for _, c := range want {
		if c.Size > 0 && (c.Size > s.last.Size || roots[c.Size] != c.Root) {
			return s, nil, fmt.Errorf("it does not agree with a checkpoint of %d entries that it signed earlier: entries were changed or taken out", c.Size)
		}
	}
	return s, whole, nil
}

func openAll(signed [][]byte, v note.Verifier) ([]Checkpoint, error) {
	var out []Checkpoint
	for _, data := range signed {
		c, err := OpenCheckpoint(data, v)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// shownCheckpoint reads the checkpoint file, zero where there is none yet.
func shownCheckpoint(dir string, v note.Verifier) (Checkpoint, error) {
	data, err := readSmall(filepath.Join(dir, checkpointFile), maxCheckpoint)
	if errors.Is(err, os.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	return OpenCheckpoint(data, v)
}

// signedIn says whether a checkpoint that the log has signed stands anywhere in
// some octets.
func signedIn(tail []byte, v note.Verifier) bool {
	start := []byte(v.Name() + "\n")
	for at := 0; ; {
		i := bytes.Index(tail[at:], start)
		if i < 0 {
			return false
		}
		at += i
		end := min(at+maxCheckpoint, len(tail))
		for stop := at; stop < end; stop++ {
			if tail[stop] == '\n' {
				if _, err := OpenCheckpoint(tail[at:stop+1], v); err == nil {
					return true
				}
			}
		}
		at++
	}
}

// HashRoom names a room as the log in a directory does.
func HashRoom(dir string, room groups.RoomID) ([32]byte, error) {
	salt, err := auditSalt(dir)
	if err != nil {
		return [32]byte{}, err
	}
	return hashRoom(salt, string(room)), nil
}
