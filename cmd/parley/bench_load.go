package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/groups"
	"parley/mls/wire"
)

const (
	// window is how many messages of a sender are without receipt at most.
	window = 256
	// most is how many leave in one frame.
	most = 64
	// marks is how many submissions' times are remembered: many windows.
	marks = 64 * window
)

// A load is devices that send.
type load struct {
	senders  []*sender
	text     string
	rate     float64      // messages a second of all senders; 0: as many as go
	accepted atomic.Int64 // receipts
	left     atomic.Int64 // messages that have left
	bytes    atomic.Int64 // of their bodies

	mu      sync.Mutex
	counted *stopwatch // nil while nothing is measured
}

// A sender is one room of one device, and its stream of submissions.
type sender struct {
	load   *load
	room   *benchRoom
	stream client.SubmitStream
	credit chan struct{} // capacity window; full, nothing is sent
	sent   times
	phase  float64 // where in the rhythm of a paced load it stands, 0 to 1
}

// times are when submissions were due, by their serial numbers; the last marks
// of them are known. They are safe for many goroutines.
type times [marks]struct{ serial, at atomic.Int64 }

func (t *times) set(serial uint64, at time.Time) {
	mark := &t[serial%marks]
	mark.at.Store(at.UnixNano())
	mark.serial.Store(int64(serial))
}

func (t *times) at(serial uint64) (time.Time, bool) {
	mark := &t[serial%marks]
	at := mark.at.Load()
	return time.Unix(0, at), mark.serial.Load() == int64(serial)
}

// newLoad makes a load of rooms, each with texts of size bytes.
func newLoad(rooms []*benchRoom, size int) *load {
	l := &load{text: strings.Repeat("x", size)}
	for i, r := range rooms {
		l.senders = append(l.senders, &sender{
			load: l, room: r, credit: make(chan struct{}, window), phase: float64(i) / float64(len(rooms)),
		})
	}
	return l
}

// length is how long a message is as it travels, in bytes.
func (l *load) length() int64 { return l.bytes.Load() / max(l.left.Load(), 1) }

// measure starts and stops the watch: it returns what was measured since.
func (l *load) measure(w *stopwatch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counted = w
}

// A loadRun is a load that sends.
type loadRun struct {
	over chan struct{} // closed when it has ended, by end or by itself
	stop func()
	err  error // why it has ended; read it when over is closed
}

// begin starts to send, until the run is ended or enough says so.
func (l *load) begin(ctx context.Context, enough func() bool) *loadRun {
	stopped := make(chan struct{})
	r := &loadRun{over: make(chan struct{}), stop: sync.OnceFunc(func() { close(stopped) })}
	go func() {
		defer close(r.over)
		r.err = l.run(ctx, func() bool {
			select {
			case <-stopped:
				return true
			default:
				return enough()
			}
		})
	}()
	return r
}

// end stops the sending and waits for all receipts.
func (r *loadRun) end() error {
	r.stop()
	<-r.over
	return r.err
}

// errLoadEnded says that a load has ended before it was measured.
var errLoadEnded = errors.New("the load has ended too early")

// run sends until enough says so or ctx ends, and waits for all receipts.
func (l *load) run(ctx context.Context, enough func() bool) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range l.senders {
		g.Go(func() error {
			if err := s.run(ctx, enough); err != nil {
				return fmt.Errorf("%s: %w", s.room.device.Device, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// run opens the stream, sends, and waits for the receipts of what was sent.
func (s *sender) run(ctx context.Context, enough func() bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	if s.stream, err = s.room.device.link.Submit(ctx); err != nil {
		return err
	}
	received := make(chan error, 1)
	go func() { received <- s.receive(); cancel() }()
	send := s.flood
	if s.load.rate > 0 {
		send = s.pace
	}
	err = send(ctx, enough)
	for n := 0; err == nil && n < window; n++ { // all credit is back: nothing is under way
		select {
		case s.credit <- struct{}{}:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	for len(s.credit) > 0 {
		<-s.credit
	}
	s.stream.Close()
	if r := <-received; err != nil && errors.Is(err, context.Canceled) {
		return r
	}
	return err
}

// flood sends as much as the window lets it.
func (s *sender) flood(ctx context.Context, enough func() bool) error {
	for !enough() {
		n, err := s.take(ctx, most)
		if err == nil {
			now := time.Now()
			err = s.send(n, func(int) time.Time { return now })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take waits until something may be sent, and takes what else may, up to most.
func (s *sender) take(ctx context.Context, most int) (n int, err error) {
	select {
	case s.credit <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	for n = 1; n < most; n++ {
		select {
		case s.credit <- struct{}{}:
		default:
			return n, nil
		}
	}
	return n, nil
}

// pace sends at a fixed rate, whatever comes back: a message that has to wait
// is late from the time at which it should have left. What is due already goes
// together.
func (s *sender) pace(ctx context.Context, enough func() bool) error {
	interval := time.Duration(float64(time.Second) * float64(len(s.load.senders)) / s.load.rate)
	next := time.Now().Add(time.Duration(s.phase * float64(interval)))
	for !enough() {
		time.Sleep(time.Until(next)) // the rhythm of the load, not a wait for something
		due := 1 + int(time.Since(next)/interval)
		n, err := s.take(ctx, min(due, most))
		if err == nil {
			err = s.send(n, func(i int) time.Time { return next.Add(time.Duration(i) * interval) })
		}
		if err != nil {
			return err
		}
		next = next.Add(time.Duration(n) * interval)
	}
	return nil
}

// send seals and submits n messages; due says when each should have left.
func (s *sender) send(n int, due func(i int) time.Time) error {
	req := &devicev1.SubmitStreamRequest{Submissions: make([]*devicev1.Submission, n)}
	bytes := 0
	for i := range req.Submissions {
		sub, err := s.room.seal(s.load.text)
		if err != nil {
			return err
		}
		s.sent.set(serialOf(sub.Id), due(i))
		req.Submissions[i] = sub
		bytes += len(sub.Body)
	}
	s.room.keep()
	s.load.bytes.Add(int64(bytes))
	s.load.left.Add(int64(n))
	return s.stream.Send(req)
}

// receive takes receipts and verifies the heads that cover them.
func (s *sender) receive() error {
	for {
		resp, err := s.stream.Receive()
		if err != nil {
			return err
		}
		now := time.Now()
		if len(resp.Refused) > 0 {
			r := resp.Refused[0].Refusal
			return fmt.Errorf("refused: %s: %s", r.GetKind(), r.GetText())
		}
		times := make([]time.Duration, len(resp.Receipts))
		var last groups.Seq
		for i, b := range resp.Receipts {
			var receipt groups.Receipt
			receipt.Decode(wire.NewReader(b))
			last = max(last, receipt.Seq)
			sent, ok := s.sent.at(serialOf(receipt.ID[:]))
			if !ok {
				return fmt.Errorf("a receipt for %x, which was not sent", receipt.ID)
			}
			times[i] = now.Sub(sent)
		}
		if err := s.room.device.verifyLast(resp.Heads, last); err != nil {
			return err
		}
		s.load.note(times)
		for range times {
			<-s.credit
		}
	}
}

// note counts receipts.
func (l *load) note(times []time.Duration) {
	l.accepted.Add(int64(len(times)))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counted == nil {
		return
	}
	for _, t := range times {
		l.counted.lap(t, 0)
	}
}
