package storage

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"parley/groups"
)

// A journal is a file beside Badger to which the heads of every batch are
// appended, synced, before receipts are given. It is the memory of what has
// been promised: Badger forgets the tail of its log without an error when a
// bit of it flips (see fence.go).
//
// It belongs to the committer once the store is open.
type journal struct {
	dir  string
	file *os.File
	size int64
	journalState

	record recordWriter
	disk   disk
	limit  int64 // size at which it is written anew
}

const (
	journalName = "heads.journal"
	// maxJournal is the size at which the journal is written anew with the
	// last head of each room only; it doubles for a store whose rooms alone
	// would fill half of it.
	maxJournal = 64 << 20
	// rewriteRooms is how many rooms go in one record of a new journal.
	rewriteRooms = 1 << 10
)

// openJournal reads the journal in dir, or begins one. settle makes it fit to be
// appended to.
func openJournal(dir string, d disk) (*journal, error) {
	j := &journal{dir: dir, disk: d, limit: maxJournal}
	f, err := os.OpenFile(j.path(), os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read journal: %w", err), f.Close())
	}
	j.file, j.size, j.journalState = f, int64(len(b)), readJournal(b)
	return j, nil
}

func (j *journal) path() string { return filepath.Join(j.dir, journalName) }

// settle writes a torn, damaged, empty or long journal anew. A damaged one is
// kept beside it: it is evidence.
func (j *journal) settle() error {
	if !j.damaged && !j.torn && !j.full() && j.size != 0 {
		return nil
	}
	if j.damaged {
		kept := fmt.Sprintf("%s.damaged-%d", j.path(), j.serial)
		if err := os.Link(j.path(), kept); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("keep damaged journal: %w", err)
		}
	}
	if err := j.rewrite(); err != nil {
		return fmt.Errorf("renew journal: %w", err)
	}
	return nil
}

// append makes the heads of a batch durable.
func (j *journal) append(serial uint64, touched []*room) error {
	j.record.begin(serial)
	for _, r := range touched {
		last := r.run[len(r.run)-1].head
		h := j.rooms[r.number]
		if last.Seq < h.seq && r.refilling() != nil {
			continue // what was promised is not back yet
		}
		if h.name == "" {
			j.record.name(r.number, r.id)
		}
		j.record.head(r.number, last.Seq, last.Hash)
		j.rooms[r.number] = journalHead{name: r.id, seq: last.Seq, hash: last.Hash}
	}
	j.serial = serial
	return j.write()
}

// promise makes durable that a room's log holds a head, beside what is known of
// the room already.
func (j *journal) promise(r *room, head groups.Head) error {
	h := j.rooms[r.number]
	j.rooms[r.number] = journalHead{name: r.id, seq: head.Seq, hash: head.Hash, doubt: h.doubt}
	j.record.begin(j.serial)
	j.recordRoom(r.number)
	return j.write()
}

// write makes the record that was built durable.
func (j *journal) write() error {
	b := j.record.end()
	if err := j.disk.step("journal write", func() error { _, err := j.file.Write(b); return err }); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := j.disk.step("journal sync", func() error { return datasync(j.file) }); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	j.size += int64(len(b))
	return nil
}

// highest returns the highest number of a room.
func (j *journal) highest() (n uint64) {
	for number := range j.rooms {
		n = max(n, number)
	}
	return n
}

// full says whether the journal should be written anew.
func (j *journal) full() bool {
	return j.size > max(j.limit, int64(len(j.rooms))*512)
}

// rewrite replaces the journal by one that holds the last head of each room.
// The old one stands until the new one is durable under its name.
func (j *journal) rewrite() error {
	path := j.path()
	f, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	var size int64
	for _, step := range []struct {
		name    string
		perform func() error
	}{
		{"new journal write", func() (err error) { size, err = j.writeAll(f); return err }},
		{"new journal sync", f.Sync},
		{"new journal rename", func() error { return os.Rename(path+".new", path) }},
		{"new journal directory sync", func() error { return syncDir(j.dir) }},
	} {
		if err = j.disk.step(step.name, step.perform); err != nil {
			err = fmt.Errorf("%s: %w", step.name, err)
			break
		}
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	err = j.file.Close()
	j.file, j.size = f, size
	return err
}

// writeAll writes what the journal knows to f.
func (j *journal) writeAll(f io.Writer) (size int64, err error) {
	numbers := slices.Sorted(maps.Keys(j.rooms))
	for more := true; more; more = len(numbers) > 0 { // at least one record: the serial
		n := min(len(numbers), rewriteRooms)
		j.record.begin(j.serial)
		for _, number := range numbers[:n] {
			j.recordRoom(number)
		}
		numbers = numbers[n:]
		b := j.record.end()
		if _, err := f.Write(b); err != nil {
			return 0, err
		}
		size += int64(len(b))
	}
	return size, nil
}

func (j *journal) recordRoom(number uint64) {
	h := j.rooms[number]
	if h.name != "" {
		j.record.name(number, h.name)
	}
	j.record.head(number, h.seq, h.hash)
	if h.doubt {
		j.record.item(itemDoubt, number)
	}
}

func (j *journal) close() error { return j.file.Close() }
