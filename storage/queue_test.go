package storage

import (
	"testing"
	"testing/synctest"
	"time"
)

func queued(q *queue, n int) {
	for range n {
		if !q.reserve(1) || !q.push(&op{weight: 1}) {
			panic("BUG: an empty queue is full")
		}
	}
}

// "The least time from the start of that batch to that of the next
// while the node is busy", unless enough waits.
func TestABusyCommitterGathersForAMoment(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after int // ops that wait, and that come a millisecond later
		close         bool
		want          time.Duration
	}{
		{name: "little comes", before: 2, after: 10, want: paceMost},
		{name: "enough comes", before: 2, after: paceEnough, want: time.Millisecond},
		{name: "enough waits", before: paceEnough, want: 0},
		{name: "the store closes", before: 2, close: true, want: time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue()
				queued(q, 2*paceEnough) // an earlier batch, whose token is old
				q.take(nil)
				queued(q, c.before)
				go func() {
					time.Sleep(time.Millisecond)
					queued(q, c.after)
					if c.close {
						q.close()
					}
				}()
				start := time.Now()
				q.gather(paceMost)
				if took := time.Since(start); took != c.want {
					t.Errorf("it waits %v, want %v", took, c.want)
				}
				synctest.Wait()
				time.Sleep(time.Second)
			})
		})
	}
}
