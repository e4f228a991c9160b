package storage

import (
	"crypto/rand"
	"fmt"
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
