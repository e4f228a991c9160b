package gateway

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stalls ends streams whose reader takes nothing. A stream says when a write
// begins and ends; one goroutine looks at all of them now and then.
type stalls struct {
	after time.Duration
	ended prometheus.Counter

	mu     sync.Mutex
	guards map[*writeGuard]struct{} // one per stream that runs
}

func newStalls(after time.Duration, ended prometheus.Counter) *stalls {
	return &stalls{after: after, ended: ended, guards: make(map[*writeGuard]struct{})}
}

// A writeGuard watches the writes of one stream.
type writeGuard struct {
	stalls *stalls
	http   *http.ResponseController

	mu      sync.Mutex
	since   time.Time // when the write that runs last moved; zero between writes
	stalled bool
}

// watch begins to watch a stream; the stream calls close before it returns.
func (s *stalls) watch(c *call) *writeGuard {
	g := &writeGuard{stalls: s, http: c.http}
	c.guard = g
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guards[g] = struct{}{}
	return g
}

// write runs one write, which may block as long as the reader's window is
// full. Cut off by us, it fails with errStalled.
func (g *writeGuard) write(send func() error) error {
	g.mu.Lock()
	g.since = time.Now()
	g.mu.Unlock()
	err := send()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.since = time.Time{}
	if err != nil && g.stalled {
		return errStalled
	}
	return err
}

// progress notes that a part of the write that runs was taken. A nil guard
// watches nothing.
func (g *writeGuard) progress() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.since.IsZero() {
		g.since = time.Now()
	}
}

// close ends the watch. After it the connection is not touched again.
func (g *writeGuard) close() {
	g.stalls.mu.Lock()
	delete(g.stalls.guards, g)
	g.stalls.mu.Unlock()
	g.mu.Lock()
	g.stalled = true
	g.mu.Unlock()
}

// check cuts the stream off if its write has not moved for too long.
func (g *writeGuard) check(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stalled || g.since.IsZero() || now.Sub(g.since) < g.stalls.after {
		return false
	}
	g.stalled = true
	g.http.SetWriteDeadline(now.Add(-time.Second)) // fails the write that runs
	return true
}

// sweep checks all streams.
func (s *stalls) sweep(now time.Time) {
	s.mu.Lock()
	guards := make([]*writeGuard, 0, len(s.guards))
	for g := range s.guards {
		guards = append(guards, g)
	}
	s.mu.Unlock()
	for _, g := range guards {
		if g.check(now) {
			s.ended.Inc()
		}
	}
}
