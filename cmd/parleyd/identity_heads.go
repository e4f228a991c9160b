package main

import (
	"bytes"
	"sync"

	"parley/groups"
)

// provenBatches is how many signatures of batches are remembered.
const provenBatches = 64

// A provenHeads remembers the last signatures over batches that were found
// good: one signature covers the heads of all rooms of a batch, which come one
// by one, and checking it costs more than storing what it covers. It is safe
// for many goroutines.
type provenHeads struct {
	mu   sync.Mutex
	last [provenBatches]provenHead
	next int
}

// A provenHead is a signature, what it is over, and under which certificate.
type provenHead struct {
	by, root  groups.Hash
	signature []byte
}

// known says whether exactly this was found good before.
func (p *provenHeads) known(by, root groups.Hash, signature []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.last {
		h := &p.last[i]
		if h.root == root && h.by == by && h.signature != nil && bytes.Equal(h.signature, signature) {
			return true
		}
	}
	return false
}

// note remembers what was found good, in place of the oldest.
func (p *provenHeads) note(by, root groups.Hash, signature []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[p.next] = provenHead{by, root, bytes.Clone(signature)}
	p.next = (p.next + 1) % provenBatches
}
