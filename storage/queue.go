package storage

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxQueued and maxQueuedBytes bound what has been accepted and is not yet
	// durable; beyond, submissions are refused with Busy. At 100,000 entries a
	// second the queue holds a sixth of a second.
	maxQueued      = 1 << 14
	maxQueuedBytes = 64 << 20
	// maxBatch and maxBatchBytes bound one transaction. Larger ones gain
	// nothing and make every receipt in them wait longer.
	maxBatch      = 1 << 10
	maxBatchBytes = 4 << 20
)

// A queue holds ops in the order of their acceptance until the committer takes
// them. A place is reserved before a ledger accepts, so that what has been
// accepted always finds one.
type queue struct {
	count atomic.Int64 // reserved places, until the op has ended
	bytes atomic.Int64

	mu     sync.Mutex
	ops    []*op
	closed bool

	wake chan struct{} // one token: something waits
	much chan struct{} // one token: paceEnough ops wait, or the queue is closed
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1), much: make(chan struct{}, 1)} }

// reserve takes a place for an op of about weight bytes; false means busy.
func (q *queue) reserve(weight int) bool {
	n, b := q.count.Add(1), q.bytes.Add(int64(weight))
	if n <= maxQueued && b <= maxQueuedBytes {
		return true
	}
	q.release(1, weight)
	return false
}

// release gives back the places of ops that have ended, or were never queued.
func (q *queue) release(count, weight int) {
	q.count.Add(-int64(count))
	q.bytes.Add(-int64(weight))
}

// push queues an op whose place is reserved; false means the store is closed.
func (q *queue) push(o *op) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.ops = append(q.ops, o)
	n := len(q.ops)
	q.mu.Unlock()
	switch n {
	case 1:
		nudge(q.wake)
	case paceEnough:
		nudge(q.much)
	}
	return true
}

// nudge makes the committer look.
func nudge(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default: // it will anyway
	}
}

// gather waits for paceEnough ops, for at most that long.
func (q *queue) gather(most time.Duration) {
	select {
	case <-q.much: // of ops that the last batch took, perhaps
	default:
	}
	q.mu.Lock()
	enough := len(q.ops) >= paceEnough || q.closed
	q.mu.Unlock()
	if enough || most <= 0 {
		return
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-q.much:
	case <-t.C:
	}
}

// take moves the next batch into buf: what waits, up to the bounds of a batch,
// at least one op if there is any.
func (q *queue) take(buf []*op) []*op {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, weight := 0, 0
	for n < len(q.ops) && n < maxBatch && (n == 0 || weight+q.ops[n].weight <= maxBatchBytes) {
		weight += q.ops[n].weight
		n++
	}
	buf = append(buf, q.ops[:n]...)
	clear(q.ops[:n])
	if n == len(q.ops) {
		q.ops = q.ops[:0]
	} else {
		q.ops = q.ops[n:]
	}
	return buf
}

// close refuses further ops.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	nudge(q.wake)
	nudge(q.much)
}

// resize corrects the weight that was reserved for an op.
func (q *queue) resize(by int) { q.bytes.Add(int64(by)) }

// ended says whether the queue is closed and empty.
func (q *queue) ended() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.ops) == 0
}
