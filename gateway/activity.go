package gateway

import (
	"context"
	"sync"
)

// activity counts what runs, and lets one wait until nothing does.
type activity struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // made by who waits, closed when n is 0
}

// begin counts one more, unless there are limit already; 0 is no limit.
func (a *activity) begin(limit int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if limit > 0 && a.n >= limit {
		return false
	}
	a.n++
	return true
}

// end counts one less.
func (a *activity) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n--
	if a.n == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// wait returns when nothing runs, or when ctx is done.
func (a *activity) wait(ctx context.Context) {
	a.mu.Lock()
	if a.n == 0 {
		a.mu.Unlock()
		return
	}
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	idle := a.idle
	a.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
