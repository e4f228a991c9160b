package mls

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"parley/mls/suite"
)

const (
	// MaxForward is how many generations a message may be ahead of the last
	// one opened from its sender: what deriving them costs is bounded.
	MaxForward = 1024
	// maxSkipped is how many keys of messages not yet seen are kept for each
	// ratchet; the oldest go first.
	maxSkipped = 1024
	maxSecret  = 64 // the longest Nh
	maxKey     = 32 // the longest AEAD.Nk
	nonceSize  = 12
)

// A secretBytes holds one secret of the suite's Nh bytes, in place.
type secretBytes [maxSecret]byte

// A messageKey is a key and nonce for one message.
type messageKey struct {
	generation uint32
	key        [maxKey]byte
	nonce      [nonceSize]byte
}

// A ratchet is the handshake or the application ratchet of one sender
// (RFC 9420, Section 9.1). It holds the secret of the next generation and the
// keys of the generations it was moved past; what is before is gone.
type ratchet struct {
	generation uint32
	secret     secretBytes
	skipped    []messageKey // ascending generation, at most maxSkipped
}

// A step is a move of a ratchet that has been computed and not made: the key
// it gives, and what the ratchet is afterwards. It is made by apply, once the
// message has been found genuine, so that a forger can not burn keys.
type step struct {
	messageKey
	old     bool // the key comes from skipped
	next    secretBytes
	skipped []messageKey
}

// seek computes the step that gives the key of generation.
func (r *ratchet) seek(s *suite.Suite, generation uint32) (step, error) {
	if generation < r.generation {
		i, ok := r.find(generation)
		if !ok {
			return step{}, fmt.Errorf("generation %d: %w", generation, ErrReplay)
		}
		return step{messageKey: r.skipped[i], old: true}, nil
	}
	if generation-r.generation > MaxForward || generation == math.MaxUint32 {
		return step{}, fmt.Errorf("generation %d is too far ahead of %d: %w", generation, r.generation, ErrGeneration)
	}
	st := step{next: r.secret}
	for g := r.generation; g < generation; g++ {
		st.derive(s, g)
		st.skipped = append(st.skipped, st.messageKey)
	}
	st.derive(s, generation)
	return st, nil
}

// derive computes the key of generation g from the secret in st.next, and
// replaces that secret by its successor.
func (st *step) derive(s *suite.Suite, g uint32) {
	secret := st.next[:s.HashSize()]
	st.generation = g
	s.DeriveTreeSecret(st.nonce[:0], secret, "nonce", g, nonceSize)
	s.DeriveTreeSecret(st.key[:0], secret, "key", g, s.KeySize())
	s.DeriveTreeSecret(st.next[:0], secret, "secret", g, s.HashSize())
}

// apply makes a step, erasing the key it used.
func (r *ratchet) apply(st *step) {
	defer func() { *st = step{} }()
	if st.old {
		i, ok := r.find(st.generation)
		if !ok {
			panic("BUG: step of a skipped key made twice")
		}
		r.skipped = slices.Delete(r.skipped, i, i+1) // clears the tail
		return
	}
	r.secret = st.next
	r.generation = st.generation + 1
	r.skipped = append(r.skipped, st.skipped...)
	if over := len(r.skipped) - maxSkipped; over > 0 {
		r.skipped = slices.Delete(r.skipped, 0, over)
	}
	clear(st.skipped)
}

// find returns where the key of generation is kept.
func (r *ratchet) find(generation uint32) (int, bool) {
	return slices.BinarySearchFunc(r.skipped, generation, func(k messageKey, g uint32) int {
		return cmp.Compare(k.generation, g)
	})
}

// erase forgets all keys.
func (r *ratchet) erase() {
	clear(r.secret[:])
	clear(r.skipped)
	r.skipped = nil
}
