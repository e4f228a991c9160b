package service

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// maxMarks bounds the rooms whose newest epoch is kept. When there are more, no
	// mark of another room is begun: those rooms are judged by the end of their
	// keys alone.
	maxMarks = 1 << 20
	// maxSeen bounds the nonces that are kept; with more, requests are told to come
	// back when old ones are forgotten.
	maxSeen = 1 << 20
)

// A mark is the newest epoch that is known of a room.
type mark struct {
	epoch   uint64
	context [32]byte
}

// An UnwrapState is what an unwrap service remembers from request to request:
// the newest epoch of each room, the requests of the last minutes, and which
// book of rules is in force. All of it is in the log, from which Recall restores
// it; so several instances, each with its own log, know each what was shown to
// them. It is safe for many goroutines.
type UnwrapState struct {
	mu    sync.Mutex // guards the rest
	marks map[[32]byte]mark
	seen  map[[32]byte]time.Time // until when it is remembered
	swept time.Time
	rules uint64   // version of the newest book of rules that was in force
	book  [32]byte // and its hash
	since time.Time
	// digest is the exclusive or of the marks' hashes: that of an instance that
	// knows the same.
	digest [32]byte
}

// NewUnwrapState returns the state of a service that starts now.
func NewUnwrapState(now time.Time) *UnwrapState {
	return &UnwrapState{marks: map[[32]byte]mark{}, seen: map[[32]byte]time.Time{}, since: now}
}

// Recall takes in an entry of the log, as OpenAudit passes it.
func (s *UnwrapState) Recall(_ int64, e *AuditEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.NewestContext != ([32]byte{}) {
		s.raise(e.Room, mark{e.Newest, e.NewestContext})
	}
	if until := e.Time.Add(2 * RequestWindow); e.Request != ([32]byte{}) && s.since.Before(until) {
		s.seen[e.Request] = until
	}
	if e.Decision == Changed && e.Room == ([32]byte{}) && e.First >= s.rules {
		s.rules, s.book = e.First, e.Policy
	}
	if e.Decision == Changed && e.Room != ([32]byte{}) {
		s.mix(e.Room)
		delete(s.marks, e.Room)
	}
}

// mark returns the newest epoch known of a room.
func (s *UnwrapState) mark(room [32]byte) (mark, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.marks[room]
	return m, ok
}

// lift raises a room's mark after the log has it.
func (s *UnwrapState) lift(room [32]byte, m mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raise(room, m)
}

func (s *UnwrapState) raise(room [32]byte, m mark) {
	old, known := s.marks[room]
	if known && old.epoch >= m.epoch || !known && len(s.marks) >= maxMarks {
		return
	}
	s.mix(room)
	s.marks[room] = m
	s.mix(room)
}

// mix puts a room's mark into the digest, or takes it out again.
func (s *UnwrapState) mix(room [32]byte) {
	m, known := s.marks[room]
	if !known {
		return
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint64(m.context[:], m.epoch))
	for i := range h {
		s.digest[i] ^= h[i]
	}
}

// digestOf returns the digest over all marks. Rooms have other names in each
// instance's log; their contexts are the same everywhere.
func (s *UnwrapState) digestOf() [32]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.digest
}

// once refuses a request, or a nonce of one device, that was seen before.
func (s *UnwrapState) once(request, nonce [32]byte, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) >= maxSeen || now.Sub(s.swept) > RequestWindow {
		for k, until := range s.seen {
			if now.After(until) {
				delete(s.seen, k)
			}
		}
		s.swept = now
	}
	if len(s.seen) >= maxSeen-1 {
		return &busyError{RequestWindow}
	}
	for _, k := range [][32]byte{request, nonce} {
		if until, again := s.seen[k]; again && !now.After(until) {
			return errors.New("the request was made before: make a new one")
		}
	}
	until := now.Add(2 * RequestWindow)
	s.seen[request], s.seen[nonce] = until, until
	return nil
}

// nonceKey names a nonce of a device.
func nonceKey(device string, nonce [16]byte) [32]byte {
	return sha256.Sum256(append(append([]byte("nonce\x00"), device...), nonce[:]...))
}

// checkRules refuses a book that is older than one that was in force. It says
// whether the book is another one than the last: also one that somebody has
// written over without a new version.
func (s *UnwrapState) checkRules(book *RuleBook) (other bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if book.Version < s.rules {
		return false, fmt.Errorf("the entitlements are version %d, version %d was in force already: somebody has put an old file back", book.Version, s.rules)
	}
	return book.Version > s.rules || book.Version > 0 && book.hash != s.book, nil
}

// version returns the version of the newest book that was in force.
func (s *UnwrapState) version() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rules
}
