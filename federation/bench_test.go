package federation

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/groups"
)

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReplicate: entries of 16 rooms from one node's memory into
// another's, over loopback, both ends in this process. The stores check the
// chain and hash bodies; BenchmarkStore is what that costs without a link.
func BenchmarkReplicate(b *testing.B) {
	pki := newPKI(b, alpha, beta)
	a := start(b, pki, nodeID(alpha, "a1"), peering(beta))
	f := start(b, pki, nodeID(beta, "b1"), peering(alpha, a))
	rooms := make([]groups.RoomID, 16)
	for i := range rooms {
		rooms[i] = roomID(alpha, fmt.Sprintf("room%d", i))
		a.store.create(rooms[i], alpha, beta)
	}
	eventually(b, "the rooms are there", func() bool { return len(f.store.Rooms()) == len(rooms) })
	sub := submission("", deviceID(alpha, "alice"), string(make([]byte, 300)))
	began, used := time.Now(), cpu()
	b.ResetTimer()
	fill(b.N, rooms, sub, a.store)
	eventually(b, "all entries are replicated", func() bool { return total(f.store) == b.N+len(rooms) })
	b.StopTimer()
	report(b, time.Since(began), cpu()-used)
}

// BenchmarkStore is the share of the two stores in BenchmarkReplicate.
func BenchmarkStore(b *testing.B) {
	hub, follower := newStore(b, nodeID(alpha, "a1")), newStore(b, nodeID(beta, "b1"))
	follower.LearnOrdering([][]byte{[]byte(alpha)})
	room := roomID(alpha, "ops")
	hub.create(room, alpha, beta)
	sub := submission("", deviceID(alpha, "alice"), string(make([]byte, 300)))
	began, used := time.Now(), cpu()
	b.ResetTimer()
	fill(b.N, []groups.RoomID{room}, sub, hub)
	eventually(b, "all entries are accepted", func() bool { return hub.seq(room) == groups.Seq(b.N+1) })
	for after := groups.Seq(0); after < groups.Seq(b.N+1); {
		page, _ := hub.Read(room, after, pageBytes)
		batch := groups.Batch{Room: room, Head: page.Head}
		for _, s := range page.Entries {
			e, _ := groups.ParseEntry(s.Bytes)
			batch.Entries = append(batch.Entries, groups.Replica{Entry: e})
			after = s.Seq
		}
		follower.Replicate(batch, func(groups.Head, error) {})
	}
	eventually(b, "all entries are stored", func() bool { return follower.seq(room) == groups.Seq(b.N+1) })
	report(b, time.Since(began), cpu()-used)
}

// BenchmarkRelay: submissions relayed from one node to the owner, with their
// receipts and the replication back.
func BenchmarkRelay(b *testing.B) {
	a, f, room := twoSites(b)
	_ = a
	body := string(make([]byte, 300))
	var answered, failed atomic.Int64
	slots := make(chan struct{}, 4096)
	began, used := time.Now(), cpu()
	b.ResetTimer()
	for range b.N {
		slots <- struct{}{}
		f.Relay(submission(room, deviceID(beta, "bob"), body), func(o groups.Outcome) {
			if o.Err != nil {
				failed.Add(1)
			}
			answered.Add(1)
			<-slots
		})
	}
	eventually(b, "all are answered", func() bool { return answered.Load() == int64(b.N) })
	eventually(b, "all are back", func() bool { return f.store.seq(room) == groups.Seq(b.N+1) })
	b.StopTimer()
	if failed.Load() > 0 {
		b.Fatalf("%d refused", failed.Load())
	}
	report(b, time.Since(began), cpu()-used)
}

// fill submits n messages over rooms.
func fill(n int, rooms []groups.RoomID, sub groups.Submission, s *memStore) {
	slots := make(chan struct{}, 16<<10)
	for i := range n {
		slots <- struct{}{}
		sub.Room = rooms[i%len(rooms)]
		sub.ID[0], sub.ID[1], sub.ID[2], sub.ID[3] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
		s.Submit(sub, func(groups.Outcome) { <-slots })
	}
}

func total(s *memStore) int {
	n := 0
	for _, r := range s.Rooms() {
		n += int(r.Head.Seq)
	}
	return n
}

func report(b *testing.B, wall, used time.Duration) {
	b.ReportMetric(float64(b.N)/wall.Seconds(), "msg/s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-us/msg")
	b.ReportMetric(0, "ns/op")
}
