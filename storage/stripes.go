package storage

import (
	"hash/maphash"
	"sync"
)

// A stripes is a fixed number of locks for any number of names: what is read
// and then written under a name is done by one at a time.
type stripes struct {
	locks [64]sync.Mutex
	seed  maphash.Seed
}

func newStripes() *stripes { return &stripes{seed: maphash.MakeSeed()} }

func (s *stripes) lock(name []byte) (unlock func()) {
	l := &s.locks[maphash.Bytes(s.seed, name)%uint64(len(s.locks))]
	l.Lock()
	return l.Unlock
}
