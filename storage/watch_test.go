package storage

import (
	"sync"
	"sync/atomic"
	"testing"

	"parley/groups"
)

func TestWhoIsWokenFindsWhatItWasWokenFor(t *testing.T) {
	s := newStore(t)
	room := roomID(t, "ops")
	wakes := make(chan struct{}, 1)
	stop := s.Watch(room, func() { // before the room exists
		select {
		case wakes <- struct{}{}:
		default:
		}
	})
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	const n = 500
	go flood(alice, s, n)
	for after := groups.Seq(0); after < n+1; {
		page, err := s.Read(room, after, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Entries) == 0 {
			<-wakes
			continue
		}
		for _, e := range page.Entries {
			if after++; e.Seq != after {
				t.Fatalf("entry %d after %d", e.Seq, after-1)
			}
		}
	}
	stop()
	stop()
	if len(s.logWatchers.by) != 0 {
		t.Fatal("a watcher is left")
	}
}

func TestStoppedWatchersAreNotCalled(t *testing.T) {
	var w watched[string]
	var calls [10]int
	var stops [10]func()
	for i := range stops {
		stops[i] = w.add("room", func() { calls[i]++ })
	}
	for i := range stops {
		if i%3 == 0 {
			stops[i]()
		}
	}
	stops[3]()
	w.wake("room")
	w.wake("another")
	for i, n := range calls {
		if want := min(i%3, 1); n != want {
			t.Errorf("watcher %d was called %d times", i, n)
		}
	}
}

// TestStoppingUnderALockThatWakesTake: the committer held the list's lock while
// it called those on it, and met whoever stopped watching under a lock of its own.
func TestStoppingUnderALockThatWakesTake(t *testing.T) {
	var w watched[string]
	var mu sync.Mutex
	entered := make(chan struct{})
	stop := w.add("room", func() {
		close(entered)
		mu.Lock()
		defer mu.Unlock()
	})
	mu.Lock()
	ended := make(chan struct{})
	go func() {
		w.wake("room")
		close(ended)
	}()
	<-entered
	stop()
	mu.Unlock()
	<-ended
}

// BenchmarkWake: "a new entry flips a bit per waiting reader (9 ns)".
func BenchmarkWake(b *testing.B) {
	var w watched[groups.RoomID]
	var bits [1000]atomic.Bool
	for i := range bits {
		w.add("room", func() {
			if !bits[i].Load() {
				bits[i].Store(true)
			}
		})
	}
	for b.Loop() {
		w.wake("room")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/watcher")
}
