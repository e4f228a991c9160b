package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// spaceInterval is how often the disk is asked for its free space. At a
	// gigabyte a second the low-water mark of 2 GiB is not passed unseen.
	spaceInterval = time.Second
	// tidyInterval is how often what has expired is removed.
	tidyInterval = time.Minute

	minLowWater     = 2 << 30
	lowWaterPercent = 5
	ballastName     = "ballast"
)

// keeper watches the disk and removes what has expired.
func (s *Store) keeper() {
	defer s.helpers.Done()
	space, tidy := time.NewTicker(spaceInterval), time.NewTicker(tidyInterval)
	defer space.Stop()
	defer tidy.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-space.C:
			s.checkSpace()
		case <-tidy.C:
			if err := s.expirePartials(); err != nil {
				s.cfg.Log.Warn("expired uploads stay", "error", err)
			}
			if err := closePermissions(s.cfg.Dir); err != nil {
				s.cfg.Log.Warn("permissions", "error", err)
			}
			s.unloadIdle()
		}
	}
}

// checkSpace refuses writes below the low-water mark and takes them again
// above it. Badger dies of a full disk and does not open again, so it must not
// come to that: at half the mark the ballast is given up as well.
func (s *Store) checkSpace() {
	free, total, err := freeSpace(s.cfg.Dir)
	if err != nil {
		s.cfg.Log.Warn("free space is not known", "error", err)
		return
	}
	mark := s.cfg.LowWater
	if mark == 0 {
		mark = max(minLowWater, total/100*lowWaterPercent)
	}
	low := free < mark
	if s.low.Swap(low) != low {
		s.cfg.Log.Warn("low-water mark of the disk", "below", low, "free", free, "mark", mark)
	}
	switch {
	case s.cfg.Ballast <= 0:
	case free < mark/2:
		err = dropBallast(s.cfg.Dir)
	case free > mark+2*uint64(s.cfg.Ballast):
		err = makeBallast(s.cfg.Dir, s.cfg.Ballast)
	}
	if err != nil {
		s.cfg.Log.Warn("ballast", "error", err)
	}
}

func dropBallast(dir string) error {
	err := os.Remove(filepath.Join(dir, ballastName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// makeBallast makes the ballast file, if it is not there with that size.
func makeBallast(dir string, size int64) error {
	path := filepath.Join(dir, ballastName)
	if st, err := os.Lstat(path); err == nil && st.Size() == size {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("make ballast: %w", err)
	}
	err = reserve(f, size)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		err = f.Truncate(size) // a file system without blocks to reserve
	}
	return errors.Join(err, f.Close())
}

// idleRooms is how many ledgers may be loaded before those of rooms without
// traffic are dropped from memory, to be loaded again when needed.
const idleRooms = 4096

// unloadIdle drops ledgers of rooms that had no entry since the last call.
func (s *Store) unloadIdle() {
	s.mu.RLock()
	var loaded []*room
	for _, r := range s.rooms {
		if r.view.Load().ledger != nil {
			loaded = append(loaded, r)
		}
	}
	s.mu.RUnlock()
	for _, r := range loaded[min(len(loaded), idleRooms):] {
		r.unload()
	}
}

// unload drops the ledger of a room with nothing on its way and nothing new
// since the last call. Nobody can put anything on its way meanwhile.
func (r *room) unload() {
	if !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	v := r.view.Load()
	if r.quiet != v.last.Seq || !r.pending.idle() || v.last.Seq != r.tipAt.Seq {
		r.quiet = v.last.Seq
		return
	}
	r.amend(func(v *view) { v.ledger = nil })
	r.tip, r.filter = nil, filter{}
}
