package client

import (
	"sync"
	"time"

	devicev1 "parley/api/device/v1"
)

const (
	// frameGap is the least time between two frames of a stream, unless one is
	// full. What is sent when the last frame is older leaves at once; what a busy
	// device sends faster than that leaves together: a frame costs the device and
	// its gateway a TLS record, a system call and a wake-up each.
	frameGap = 8 * time.Millisecond
	// fullFrame is how many submissions leave without waiting for more.
	fullFrame = 64
)

// frames puts the submissions of a stream into frames. It is safe for many
// goroutines, and keeps the order in which they come.
type frames struct {
	write func(*devicev1.SubmitStreamRequest) error

	mu      sync.Mutex
	waiting []*devicev1.Submission // fewer than fullFrame between calls
	left    time.Time              // when the last frame left
	due     *time.Timer            // writes what waits; nil if nothing does
	err     error                  // why nothing leaves any more
}

// send takes submissions. The error may be an earlier frame's.
func (f *frames) send(list []*devicev1.Submission) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = append(f.waiting, list...)
	wait := frameGap - time.Since(f.left)
	if wait <= 0 || len(f.waiting) >= fullFrame {
		return f.flush()
	}
	if f.due == nil {
		f.due = time.AfterFunc(wait, func() { f.end() })
	}
	return f.err
}

// end writes what waits: nothing of it is left when it returns.
func (f *frames) end() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flush()
}

// flush writes what waits. The caller holds the lock.
func (f *frames) flush() error {
	if f.due != nil {
		f.due.Stop()
		f.due = nil
	}
	if f.err == nil && len(f.waiting) > 0 {
		f.err = f.write(&devicev1.SubmitStreamRequest{Submissions: f.waiting})
		f.left = time.Now()
	}
	f.waiting = nil
	return f.err
}
