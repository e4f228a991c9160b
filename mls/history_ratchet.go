package mls

import (
	"fmt"

	"parley/mls/suite"
)

// MaxHistory is the highest generation that a History opens: a day of twenty
// messages a second. What a member can make a reader derive, once for itself,
// is bounded by it: a second of work and a megabyte.
const MaxHistory = 1 << 21

// stride is how many generations apart a pastRatchet keeps its secrets: who
// reads backwards derives half as many for each message.
const stride = 128

// A pastRatchet is a ratchet that gives the key of any generation again and
// again (RFC 9420, Section 9.1): it keeps where it was last, and a secret every
// stride on the way there.
type pastRatchet struct {
	secrets    []secretBytes // of generations 0, stride, 2*stride, ...
	generation uint32
	secret     secretBytes // of generation
}

func newPastRatchet(first secretBytes) pastRatchet {
	return pastRatchet{secrets: []secretBytes{first}, secret: first}
}

// key returns the key of a generation, or ErrGeneration if it is beyond
// MaxHistory.
func (r *pastRatchet) key(s *suite.Suite, generation uint32) (messageKey, error) {
	if generation > MaxHistory {
		return messageKey{}, fmt.Errorf("generation %d: %w", generation, ErrGeneration)
	}
	at := min(generation/stride, uint32(len(r.secrets)-1))
	if generation < r.generation || at*stride > r.generation {
		r.generation, r.secret = at*stride, r.secrets[at]
	}
	n := s.HashSize()
	for r.generation < generation {
		s.DeriveTreeSecret(r.secret[:0], r.secret[:n], "secret", r.generation, n)
		r.generation++
		if r.generation == uint32(len(r.secrets))*stride {
			r.secrets = append(r.secrets, r.secret)
		}
	}
	st := step{next: r.secret}
	st.derive(s, generation)
	clear(st.next[:])
	return st.messageKey, nil
}

// erase forgets all secrets.
func (r *pastRatchet) erase() {
	clear(r.secrets)
	clear(r.secret[:])
}
