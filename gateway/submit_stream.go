package gateway

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls/wire"
)

// A pipeline is one SubmitStream: a goroutine reads submissions and hands them
// on, the call's own writes what became of them. Answers that are ready go
// together; nothing waits for more of them.
type pipeline struct {
	s       *Server
	session *session
	slots   chan struct{} // capacity Limits.InFlight; full, nothing more is read
	bell    chan struct{} // capacity 1: outcomes are ready

	mu    sync.Mutex
	ready []groups.Outcome // at most Limits.InFlight
}

// SubmitStream answers submissions as they become durable, or are refused.
func (s *service) SubmitStream(ctx context.Context, stream *connect.BidiStream[devicev1.SubmitStreamRequest, devicev1.SubmitStreamResponse]) error {
	c := callOf(ctx)
	p := &pipeline{
		s: s.Server, session: c.session,
		slots: make(chan struct{}, s.config.Limits.InFlight),
		bell:  make(chan struct{}, 1),
	}
	guard := s.stalls.watch(c)
	defer guard.close()

	reading, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.read(reading, stream.Receive) }() // waited for below
	err, over := p.write(ctx, ended, func(m *devicev1.SubmitStreamResponse) error {
		return guard.write(func() error { return stream.Send(m) })
	})
	stop()
	if !over {
		c.http.SetReadDeadline(time.Unix(1, 0)) // wakes a Receive that waits
		<-ended
	}
	return err
}

// read hands on what comes in until the device has no more.
func (p *pipeline) read(ctx context.Context, receive func() (*devicev1.SubmitStreamRequest, error)) error {
	for {
		m, err := receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, sub := range m.Submissions {
			select {
			case p.slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			p.submit(ctx, sub)
		}
	}
}

// ratePause is how often a stream over its rate looks again.
const ratePause = 10 * time.Millisecond

// allow waits until the device may submit one more. A stream over its rate is
// read more slowly instead of refused: what is refused would be overtaken by
// what follows it, and the device's messages would change their order.
func (p *pipeline) allow(ctx context.Context, k groups.EntryKind) error {
	for {
		err := p.session.rates.submission(k, p.s.config.Now())
		if groups.KindOf(err) != groups.Busy {
			return err
		}
		t := time.NewTimer(ratePause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// submit hands one submission on; it has a slot.
func (p *pipeline) submit(ctx context.Context, m *devicev1.Submission) {
	sub, err := submissionOf(p.session.device, m)
	if err == nil {
		err = p.allow(ctx, sub.Kind)
	}
	if err != nil {
		o := groups.Outcome{Err: err}
		copy(o.ID[:], m.GetId()) // as much as there is, so that the device finds it
		p.done(o)
		return
	}
	p.s.metrics.submissions.Inc()
	p.s.config.Submitter.Submit(sub, func(o groups.Outcome) {
		o.ID = sub.ID
		p.done(o)
	})
}

// done takes an outcome; it does not block.
func (p *pipeline) done(o groups.Outcome) {
	p.mu.Lock()
	p.ready = append(p.ready, o)
	p.mu.Unlock()
	select {
	case p.bell <- struct{}{}:
	default: // rung already
	}
}

func (p *pipeline) take() []groups.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	ready := p.ready
	p.ready = nil
	return ready
}

// write answers until everything that was read is answered, or the stream
// breaks. over says whether it has seen read return.
func (p *pipeline) write(ctx context.Context, ended <-chan error, send func(*devicev1.SubmitStreamResponse) error) (err error, over bool) {
	draining, last := p.s.draining, error(nil)
	for {
		for ready := p.take(); len(ready) > 0; ready = p.take() {
			if err := send(p.answer(ready)); err != nil {
				return err, over
			}
			for range ready {
				<-p.slots
			}
		}
		if over && len(p.slots) == 0 {
			return last, over
		}
		if draining == nil && len(p.slots) == 0 {
			return errDraining, over
		}
		select {
		case <-p.bell:
		case last = <-ended:
			ended, over = nil, true
		case <-draining:
			draining = nil // what is under way is answered, then the stream ends
		case <-ctx.Done():
			return ctx.Err(), over
		}
	}
}

// answer puts outcomes into one response, with one head per room: the latest.
func (p *pipeline) answer(ready []groups.Outcome) *devicev1.SubmitStreamResponse {
	type last struct {
		receipt *groups.Receipt
		head    *groups.SignedHead
	}
	m := new(devicev1.SubmitStreamResponse)
	rooms := make(map[groups.RoomID]*last)
	for i := range ready {
		o := &ready[i]
		if o.Err != nil {
			m.Refused = append(m.Refused, p.refused(o))
			continue
		}
		m.Receipts = append(m.Receipts, encodeReceipt(&o.Receipt))
		l := rooms[o.Receipt.Room]
		if l == nil {
			l = &last{receipt: &o.Receipt}
			rooms[o.Receipt.Room] = l
		}
		if o.Receipt.Seq > l.receipt.Seq {
			l.receipt = &o.Receipt
		}
		if o.Head != nil && (l.head == nil || o.Head.Head.Seq > l.head.Head.Seq) {
			l.head = o.Head
		}
	}
	for _, l := range rooms {
		if l.head != nil && l.head.Head.Seq < l.receipt.Seq {
			l.head = nil
		}
		if head := p.s.headFor(l.receipt, l.head); head != nil {
			m.Heads = append(m.Heads, head.Marshal())
		}
	}
	return m
}

func (p *pipeline) refused(o *groups.Outcome) *devicev1.Refused {
	r, kind, known := refusalOf(o.Err)
	p.s.metrics.refused(kind)
	if !known {
		p.s.config.Logger.Error("submission", "device", p.session.device, "err", o.Err)
	}
	return &devicev1.Refused{Id: o.ID[:], Refusal: r}
}

func encodeReceipt(r *groups.Receipt) []byte {
	w := wire.NewWriter(make([]byte, 0, 96+len(r.Room)))
	r.Encode(w)
	return w.Bytes()
}
