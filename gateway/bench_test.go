package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/testutil"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// BenchmarkFanout measures deliveries of one room's 300-byte messages to 1,000
// tails over TLS on loopback, clients included, as fast as the readers follow:
// the writer goes on when every reader has what was written a few batches ago.
func BenchmarkFanout(b *testing.B) {
	for _, conns := range []int{8, 1000} {
		b.Run(fmt.Sprintf("http2/connections=%d", conns), func(b *testing.B) {
			f := serve(b, func(c *Config) { c.Limits.Streams, c.Limits.Calls = 2000, 1e6 })
			clients := make([]*http.Client, conns)
			for i := range clients {
				clients[i] = f.http2()
			}
			fanout(b, f, clients)
		})
	}
	b.Run("http3/connections=100", func(b *testing.B) {
		f := serve(b, func(c *Config) { c.Limits.Streams, c.Limits.Calls = 2000, 1e6 })
		clients := make([]*http.Client, 100)
		for i := range clients {
			clients[i] = f.http3()
		}
		fanout(b, f, clients)
	})
}

func fanout(b *testing.B, f *fixture, clients []*http.Client) {
	const tails, batch = 1000, 20
	c := f.login(alice, clients[0])
	c.must(testRoom, groups.KindCreate, "x")
	body := make([]byte, 300)
	total := groups.Seq(1 + (b.N/batch+1)*batch)
	var ready, done sync.WaitGroup
	var mu sync.Mutex
	got := make([]groups.Seq, tails)
	for i := range tails {
		ready.Add(1)
		done.Go(func() {
			h := clients[i%len(clients)]
			d := f.caller(alice, h)
			d.session = c.session
			caughtUp := sync.OnceFunc(ready.Done)
			defer caughtUp()
			s, err := d.Tail(context.Background(), connect.NewRequest(&devicev1.TailRequest{AllRooms: true, Follow: true}))
			if err != nil {
				b.Error(err)
				return
			}
			defer s.Close()
			var last groups.Seq
			for last < total && s.Receive() {
				for _, r := range s.Msg().Rooms {
					last += groups.Seq(len(r.Entries))
				}
				if s.Msg().CaughtUp {
					caughtUp()
				}
				mu.Lock()
				got[i] = last
				mu.Unlock()
			}
			if last != total {
				b.Errorf("a tail ended at %d of %d: %v", last, total, s.Err())
			}
		})
	}
	ready.Wait()
	if b.Failed() {
		b.FailNow()
	}
	slowest := func() groups.Seq {
		mu.Lock()
		defer mu.Unlock()
		low := got[0]
		for _, g := range got {
			low = min(low, g)
		}
		return low
	}
	b.ReportAllocs()
	b.ResetTimer()
	start, used := time.Now(), processor(b)
	for at := groups.Seq(1); at < total; at += batch {
		f.world.mu.Lock()
		for range batch {
			f.world.append(f.world.rooms[testRoom], testRoom, groups.KindMessage, body)
		}
		wakes := f.world.wakes(testRoom)
		f.world.mu.Unlock()
		for _, wake := range wakes {
			wake()
		}
		for slowest()+10*batch < at {
			time.Sleep(time.Millisecond)
		}
	}
	done.Wait()
	b.StopTimer()
	n := float64(total-1) * tails
	b.ReportMetric(n/time.Since(start).Seconds(), "deliveries/s")
	b.ReportMetric(float64(processor(b)-used)/n, "cpu-ns/delivery")
	b.ReportMetric(n/(testutil.ToFloat64(f.server.metrics.responses)), "deliveries/write")
}

// processor returns the processor time of this process, clients included.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSubmitStream measures pipelined submissions of 300 bytes from 16
// devices, each with its own connection and stream, ten in a request, against
// a log in memory.
func BenchmarkSubmitStream(b *testing.B) {
	f := serve(b, nil)
	const devices, batch = 16, 10
	rounds := b.N/devices/batch + 1
	var wg sync.WaitGroup
	streams := make([]*connect.BidiStreamForClient[devicev1.SubmitStreamRequest, devicev1.SubmitStreamResponse], devices)
	for i := range streams {
		c := f.login(groups.DeviceID(fmt.Sprintf("mimi://alpha.example/d/alice/%d", i)), f.http2())
		c.must(groups.RoomID(fmt.Sprintf("mimi://alpha.example/r/%d", i)), groups.KindCreate, "x")
		streams[i] = c.SubmitStream(context.Background())
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i, s := range streams {
		room := groups.RoomID(fmt.Sprintf("mimi://alpha.example/r/%d", i))
		wg.Go(func() {
			for range rounds {
				m := new(devicev1.SubmitStreamRequest)
				for range batch {
					m.Submissions = append(m.Submissions, submission(room, groups.KindMessage, string(make([]byte, 300))))
				}
				if err := s.Send(m); err != nil {
					b.Error(err)
					return
				}
			}
			s.CloseRequest()
		})
		wg.Go(func() {
			n := 0
			for {
				m, err := s.Receive()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					b.Error(err)
					return
				}
				n += len(m.Receipts)
			}
			if n != rounds*batch {
				b.Errorf("%d receipts of %d", n, rounds*batch)
			}
			s.CloseResponse()
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(rounds*batch*devices)/b.Elapsed().Seconds(), "submissions/s")
}
