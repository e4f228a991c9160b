package storage

import (
	"fmt"

	"parley/groups"
)

const (
	// A snapshot is written after snapshotCommits commits, or when the entries
	// since the last one weigh snapshotBytes and snapshotFactor times the
	// snapshot: a restart replays no more, and snapshots cost a quarter of the
	// log at most.
	snapshotCommits = 64
	snapshotBytes   = 4 << 20
	snapshotFactor  = 4
	// maxSnapshotsWaiting bounds the rooms that wait for the snapshotter; one
	// more asks again with its next commit.
	maxSnapshotsWaiting = 64
)

// A since counts what a replay from the last snapshot costs; guarded by the
// room's pending.mu.
type since struct {
	commits int
	bytes   int
	size    int // of the last snapshot
	asked   bool
}

// due says whether the next snapshot is worth its cost.
func (n *since) due() bool {
	return n.size == 0 || n.commits >= snapshotCommits || n.bytes >= max(snapshotBytes, snapshotFactor*n.size)
}

func (n *since) count(e groups.Stored) {
	n.bytes += len(e.Bytes)
	if e.Kind == groups.KindCommit || e.Kind == groups.KindCreate {
		n.commits++
	}
}

// replayed counts an entry that a replay met.
func (r *room) replayed(e groups.Stored) {
	r.pending.mu.Lock()
	r.pending.since.count(e)
	r.pending.mu.Unlock()
}

// note counts a run of entries and says whether to ask for a snapshot.
func (r *room) note(run []*op) (ask bool) {
	r.pending.mu.Lock()
	defer r.pending.mu.Unlock()
	n := &r.pending.since
	for _, o := range run {
		n.count(o.stored)
	}
	ask = n.due() && !n.asked
	n.asked = n.asked || ask
	return ask
}

// counted returns what has been counted until now.
func (r *room) counted() since {
	r.pending.mu.Lock()
	defer r.pending.mu.Unlock()
	return r.pending.since
}

// began takes what a snapshot of size bytes holds off the count; entries that
// came while it was written stay in it. size -1: it could not be written.
func (r *room) began(size int, holds since) {
	r.pending.mu.Lock()
	defer r.pending.mu.Unlock()
	n := &r.pending.since
	n.asked = false
	if size >= 0 {
		n.size = size
		n.commits -= holds.commits
		n.bytes -= holds.bytes
	}
}

// snapshotter writes down ledgers, beside the committer, which never waits for
// it.
func (s *Store) snapshotter() {
	defer s.helpers.Done()
	for {
		select {
		case <-s.stop:
			return
		case r := <-s.snaps:
			s.writeSnapshot(r)
		}
	}
}

// wantSnapshot asks for a snapshot when one is due.
func (s *Store) wantSnapshot(r *room) {
	if !r.note(r.run) {
		return
	}
	select {
	case s.snaps <- r:
	default:
		r.began(-1, since{})
	}
}

// writeSnapshot writes the room's durable ledger down. A crash leaves the old
// snapshot or the new one: the row that names it comes last.
func (s *Store) writeSnapshot(r *room) {
	holds := r.counted() // before the view is read, which then has at least that
	v := r.view.Load()
	if v.ledger == nil {
		r.began(-1, since{})
		return
	}
	b := v.ledger.Snapshot()
	err := s.keepSnapshot(r, v.last.Seq, b)
	if err != nil {
		r.began(-1, since{})
		s.cfg.Log.Warn("no snapshot", "room", string(r.id), "error", err)
		return
	}
	r.began(len(b), holds)
}

func (s *Store) keepSnapshot(r *room, seq groups.Seq, b []byte) error {
	old, err := s.lookup(numberKey(rowSnapshot, r.number))
	if err != nil {
		return err
	}
	h := groups.HashOf(b)
	if err := s.writeHeld(h, b); err != nil {
		return err
	}
	rec := snapshotRecord{seq: seq, hash: h, size: uint64(len(b))}
	if err := s.writeRows([]row{{key: numberKey(rowSnapshot, r.number), value: rec.encode()}}); err != nil {
		return err
	}
	if old == nil {
		return nil
	}
	before, err := decodeSnapshotRecord(old)
	if err != nil || before.hash == h {
		return readError(err)
	}
	return s.dropHeld(before.hash, int(before.size))
}

// maxLastSnapshots bounds the work of closing: rooms beyond it are replayed
// from an older snapshot at the next start.
const maxLastSnapshots = 1 << 10

// lastSnapshots writes down what the next start would have to replay.
func (s *Store) lastSnapshots() {
	s.mu.RLock()
	var list []*room
	for _, r := range s.rooms {
		n := r.counted()
		if n.commits > 0 || n.bytes > snapshotBytes/snapshotCommits {
			list = append(list, r)
		}
	}
	s.mu.RUnlock()
	for _, r := range list[:min(len(list), maxLastSnapshots)] {
		s.writeSnapshot(r)
	}
}

// snapshot reads the room's last snapshot. Without one, the ledger is made
// from the first entry on.
func (s *Store) snapshot(r *room) (*groups.Ledger, error) {
	v, err := s.lookup(numberKey(rowSnapshot, r.number))
	if err != nil {
		return nil, err
	}
	if v == nil {
		return groups.NewLedger(r.id, s.cfg.Directory), nil
	}
	rec, err := decodeSnapshotRecord(v)
	if err != nil {
		return nil, err
	}
	b, err := s.held(rec.hash)
	if err != nil {
		return nil, err
	}
	l, err := groups.LoadLedger(b, s.cfg.Directory)
	if err != nil {
		return nil, fmt.Errorf("snapshot at entry %d: %w", rec.seq, err)
	}
	r.began(len(b), r.counted())
	return l, nil
}

// A snapshotRecord names a room's last snapshot among the held bytes.
type snapshotRecord struct {
	seq  groups.Seq
	hash groups.Hash
	size uint64
}

func (r snapshotRecord) encode() []byte {
	b := uint64Value(uint64(r.seq))
	b = append(b, r.hash[:]...)
	return append(b, uint64Value(r.size)...)
}

func decodeSnapshotRecord(b []byte) (snapshotRecord, error) {
	f := fields{b: b}
	r := snapshotRecord{seq: groups.Seq(f.uint64()), hash: f.hash(), size: f.uint64()}
	return r, f.done()
}
