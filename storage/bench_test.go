package storage

import (
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/groups"
)

const (
	benchRooms  = 16
	benchWindow = 128 // submissions on their way per room
)

// bodies prepares n messages for each room outside the measured time.
func bodies(m *member, n int) []groups.Submission {
	text := make([]byte, 300)
	rand.Read(text)
	list := make([]groups.Submission, n)
	for i := range list {
		list[i] = plain(m.room, 0, m.stamp(newID()), text)
	}
	return list
}

// BenchmarkSubmit: 300-byte messages into 16 rooms, each with 128 on their way.
// It reports messages a second and the processor time of the whole process for
// each.
func BenchmarkSubmit(b *testing.B) {
	s := newStore(b)
	var rooms [benchRooms]*member
	var subs [benchRooms][]groups.Submission
	for i := range rooms {
		rooms[i] = found(b, s, fmt.Sprint("room", i), deviceID(b, alpha, fmt.Sprint("user", i), "d"))
		subs[i] = bodies(rooms[i], b.N/benchRooms+1)
	}
	b.SetBytes(int64(len(subs[0][0].Body)))
	var wait sync.WaitGroup
	b.ResetTimer()
	began, used := time.Now(), processTime()
	for i := range rooms {
		wait.Add(1)
		go func() {
			defer wait.Done()
			window := make(chan struct{}, benchWindow)
			for _, sub := range subs[i] {
				window <- struct{}{}
				s.Submit(sub, func(o groups.Outcome) {
					if o.Err != nil {
						b.Error(o.Err)
					}
					<-window
				})
			}
			for range benchWindow {
				window <- struct{}{}
			}
		}()
	}
	wait.Wait()
	n := float64(benchRooms * len(subs[0]))
	b.ReportMetric(n/time.Since(began).Seconds(), "msg/s")
	b.ReportMetric(float64((processTime()-used).Nanoseconds())/n, "cpu-ns/msg")
	st := s.Stats()
	b.ReportMetric(float64(st.Entries)/float64(st.Batches), "msg/batch")
}

// processTime is the processor time this process has used.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// receiptRate is half of what a node must take: 25,000 messages a second.
const receiptRate = 12_500

// BenchmarkReceipt: how long a receipt takes at that rate, into 16 rooms.
func BenchmarkReceipt(b *testing.B) {
	s := newStore(b)
	var subs [benchRooms][]groups.Submission
	for i := range subs {
		m := found(b, s, fmt.Sprint("room", i), deviceID(b, alpha, fmt.Sprint("user", i), "d"))
		subs[i] = bodies(m, b.N/benchRooms+1)
	}
	took := make([]time.Duration, benchRooms*len(subs[0]))
	var wait sync.WaitGroup
	wait.Add(len(took))
	b.ResetTimer()
	began := time.Now()
	for i := range took {
		due := began.Add(time.Duration(i) * time.Second / receiptRate)
		time.Sleep(time.Until(due))
		s.Submit(subs[i%benchRooms][i/benchRooms], func(o groups.Outcome) {
			took[i] = time.Since(due)
			wait.Done()
		})
	}
	wait.Wait()
	slices.Sort(took)
	for _, p := range []int{50, 99, 100} {
		at := min(len(took)*p/100, len(took)-1)
		b.ReportMetric(float64(took[at].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
}
