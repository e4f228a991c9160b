package storage

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// A Store is a node's memory. Its methods are safe for many goroutines. What
// they return as an error is a *groups.Error.
//
// The first write that fails stops it: what is not durable by then is refused
// with Unavailable, as is all that comes after, while reads go on. Only a
// restart, which looks at the disk anew, makes it write again.
type Store struct {
	cfg     Config
	db      *badger.DB
	says    *badgerLog
	journal *journal // the committer's
	queue   *queue
	disk    disk

	failed atomic.Pointer[groups.Error] // why nothing is written any more
	low    atomic.Bool                  // below the low-water mark
	closed atomic.Bool
	serial atomic.Uint64 // of the last durable batch
	sign   sync.Mutex    // the signer has one user at a time: the committer, seldom another
	floor  atomic.Uint64 // key packages up to this serial are not trusted
	opened uint64        // serial when the store was opened
	counts counts

	mu         sync.RWMutex // guards what follows
	rooms      map[groups.RoomID]*room
	nextNumber uint64

	logWatchers    watched[groups.RoomID]
	deviceWatchers watched[groups.DeviceID]
	roomWatchers   roomWatchers
	blobWatchers   watched[struct{}]

	soft    soft        // cursors and sightings that may be lost
	keys    *stripes    // key packages, by user
	blobs   *stripes    // uploads, by hash
	uploads uploads     // what is known of blobs on their way
	recent  recentRooms // the committer's: who holds recent entries

	stop    chan struct{}  // closed when the store closes
	helpers sync.WaitGroup // keeper and snapshotter, which end first
	ended   chan struct{}  // closed when the committer has ended
	snaps   chan *room     // rooms whose ledger should be written down
}

// counts are what Stats reports.
type counts struct {
	batches, entries, bytes atomic.Uint64
}

// Stats are counters since the store was opened, and what holds now.
type Stats struct {
	Batches uint64 // made durable
	Entries uint64 // in them
	Bytes   uint64 // of entries
	Queued  int    // entries and rows accepted, not durable yet
	Rooms   int
	Parked  int // rooms that are read-only
}

// Stats returns the store's counters.
func (s *Store) Stats() Stats {
	st := Stats{
		Batches: s.counts.batches.Load(), Entries: s.counts.entries.Load(), Bytes: s.counts.bytes.Load(),
		Queued: int(s.queue.count.Load()),
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.rooms {
		st.Rooms++
		if r.parked.Load() != nil {
			st.Parked++
		}
	}
	return st
}

// Open opens the store in c.Dir, or makes one, and holds it against the journal
// of what was promised: a room whose log is shorter, damaged or different is parked.
// It fails if the directory is in use, or can not be read at all; no entry is ever
// deleted because another can not be read.
func Open(c Config) (*Store, error) { return open(c, disk{}) }

// open is Open on a disk that may fail.
func open(cfg Config, d disk) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, groups.Errorf(groups.Internal, "make store: %w", err)
	}
	s := &Store{
		cfg: cfg, disk: d, queue: newQueue(),
		rooms: make(map[groups.RoomID]*room),
		stop:  make(chan struct{}), ended: make(chan struct{}), snaps: make(chan *room, maxSnapshotsWaiting),
		keys: newStripes(), blobs: newStripes(),
	}
	s.recent.limit = cfg.RecentBytes
	if s.db, s.says, err = openBadger(cfg); err != nil {
		return nil, err
	}
	if err := s.boot(); err != nil {
		err = errors.Join(err, s.db.Close())
		if s.journal != nil {
			err = errors.Join(err, s.journal.close())
		}
		return nil, groups.Errorf(groups.Internal, "open store: %w", err)
	}
	s.helpers.Add(2)
	go s.committer()
	go s.keeper()
	go s.snapshotter()
	return s, nil
}

// boot reads what the store holds and lets the fence compare it with what was
// promised.
func (s *Store) boot() (err error) {
	if err := closePermissions(s.cfg.Dir); err != nil {
		return err
	}
	if s.journal, err = openJournal(s.cfg.Dir, s.disk); err != nil {
		return err
	}
	if err := s.loadRooms(); err != nil {
		return err
	}
	if err := s.fence(); err != nil {
		return err
	}
	s.opened = s.serial.Load()
	s.checkSpace()
	return nil
}

// Close makes durable what has been accepted and closes the store. Whatever
// comes later is refused with Unavailable.
func (s *Store) Close() error {
	if !s.closed.CompareAndSwap(false, true) {
		return nil
	}
	close(s.stop)
	s.helpers.Wait()
	s.lastSnapshots()
	s.queue.close()
	<-s.ended
	if err := errors.Join(s.journal.close(), s.db.Close()); err != nil {
		return groups.Errorf(groups.Internal, "close store: %w", err)
	}
	return nil
}

// Ready returns why the store refuses writes now, nil when it takes them.
func (s *Store) Ready() error {
	if e := s.failed.Load(); e != nil {
		return e
	}
	if s.closed.Load() {
		return errClosed()
	}
	if s.low.Load() {
		return groups.Errorf(groups.NoSpace, "the node's disk is nearly full: writes wait until there is space")
	}
	return nil
}

func errClosed() *groups.Error {
	return groups.Errorf(groups.Unavailable, "the node is closing")
}

// fail stops the store.
func (s *Store) fail(err error) {
	e := groups.Errorf(groups.Unavailable, "the node can not write: %w", err)
	if s.failed.CompareAndSwap(nil, e) {
		s.cfg.Log.Error("storage stopped", "error", fmt.Sprint(err))
	}
}
