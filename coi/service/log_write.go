package service

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// run owns the file and the tree until Close.
func (l *AuditLog) run() {
	defer close(l.ended)
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case a := <-l.waiting:
			l.batch(l.gather(a))
		case <-tick.C:
			l.show()
		case <-l.quit:
			l.show()
			return
		}
	}
}

// gather takes all that waits, up to maxBatch entries: no delay is added, so
// that a lone caller waits for one sync only, and many share one.
func (l *AuditLog) gather(first *appending) []*appending {
	all, n := []*appending{first}, len(first.entries)
	for n < maxBatch {
		select {
		case a := <-l.waiting:
			all, n = append(all, a), n+len(a.entries)
		default:
			return all
		}
	}
	return all
}

// batch makes the entries of all callers durable and answers them.
func (l *AuditLog) batch(all []*appending) {
	before := l.tree.entries
	err := l.down
	if err == nil {
		err = l.write(all)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrLogDown, err)
	}
	for _, a := range all {
		if a.err = err; err == nil {
			a.receipt = AuditReceipt{First: before, Checkpoint: l.last}
			before += int64(len(a.entries))
		}
		close(a.done)
	}
}

// write puts a batch behind what is there. What could not be written whole is
// cut off again, so that a full disk stops the service only as long as it is
// full; a sync that failed leaves open what is on disk, and ends it.
func (l *AuditLog) write(all []*appending) error {
	var b []byte
	tree := l.tree.clone()
	for _, a := range all {
		for _, data := range a.entries {
			if err := tree.add(data); err != nil {
				return err
			}
			b = appendFrame(b, entryFrame, data)
		}
	}
	root, err := tree.root()
	if err != nil {
		return err
	}
	signed, err := Checkpoint{Origin: l.signer.Name(), Size: tree.entries, Root: root}.sign(l.signer)
	if err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	b = appendFrame(b, checkpointFrame, signed)
	if _, err := l.f.WriteAt(b, l.size); err != nil {
		if back := l.f.Truncate(l.size); back != nil {
			l.down = back
		}
		return err
	}
	// COMMIT POINT
	if err := l.f.Sync(); err != nil {
		l.down = err
		return err
	}
	l.size += int64(len(b))
	l.tree, l.last = tree, signed
	return nil
}

// show puts the checkpoint where others find it, and where the next start looks
// for the least that must be there. It is never ahead of what is durable.
func (l *AuditLog) show() {
	if l.last == nil || l.down != nil {
		return
	}
	path := filepath.Join(l.dir, checkpointFile)
	if old, err := readSmall(path, maxCheckpoint); err == nil && string(old) == string(l.last) {
		return
	}
	if err := replace(path, l.last); err != nil {
		l.down = err // without it the next start could not tell what was lost
	}
}

// recover reads the log, cuts off what was never acknowledged, and refuses what
// does not agree with a checkpoint.
func (l *AuditLog) recover(each func(n int64, e *AuditEntry)) error {
	shown, err := shownCheckpoint(l.dir, l.verifier)
	if err != nil {
		return err
	}
	s, tree, err := verifyLog(l.f, l.verifier, []Checkpoint{shown}, func(n int64, e *AuditEntry) error {
		if each != nil {
			each(n, e)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w; restore it from a copy", err)
	}
	l.size, l.last, l.tree = s.size, s.note, tree
	return l.cutTail(s)
}

// cutTail cuts off an unfinished batch. A signed checkpoint in what would be
// cut means that the batch was finished once: then the file is damaged, and
// nothing is cut.
func (l *AuditLog) cutTail(s scan) error {
	if !s.torn {
		return nil
	}
	tail, err := io.ReadAll(io.LimitReader(readerFrom(l.f, s.size), maxTail+1))
	if err != nil {
		return err
	}
	if len(tail) > maxTail || signedIn(tail, l.verifier) {
		return fmt.Errorf("octet %d of it is damaged, and what follows was written whole once: restore it from a copy", s.size)
	}
	return errors.Join(l.f.Truncate(s.size), l.f.Sync())
}
