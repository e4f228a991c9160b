package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
)

// maxAnswers bounds the answers of a stream that have been read and wait for
// Receive; then the stream is not read, and the gateway waits.
const maxAnswers = 256

// Submit opens the stream of submissions.
func (l *gatewayLink) Submit(ctx context.Context) (SubmitStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &submitStream{
		stream: l.service.SubmitStream(ctx), peer: l.address, cancel: cancel,
		bell: make(chan struct{}, 1), room: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	s.frames.write = s.stream.Send
	go s.read(ctx)
	return s, nil
}

// A submitStream is a SubmitStream. A goroutine reads its answers, so that
// those that come while the last ones are looked into are looked into together:
// the busier the device, the less an answer costs, without a delay added.
type submitStream struct {
	stream *connect.BidiStreamForClient[devicev1.SubmitStreamRequest, devicev1.SubmitStreamResponse]
	frames frames
	peer   string
	cancel context.CancelFunc
	bell   chan struct{} // capacity 1: something waits
	room   chan struct{} // capacity 1: something was taken
	ended  chan struct{} // closed when read has returned

	mu      sync.Mutex
	waiting []*devicev1.SubmitStreamResponse // at most maxAnswers
	err     error                            // why there are no more
}

// Send sends submissions, in order. An error may be that of an earlier frame.
func (s *submitStream) Send(req *devicev1.SubmitStreamRequest) error {
	return remoteError(s.peer, s.frames.send(req.Submissions))
}

// read reads answers until the stream ends.
func (s *submitStream) read(ctx context.Context) {
	defer close(s.ended)
	for {
		resp, err := s.stream.Receive()
		s.mu.Lock()
		if s.err = err; err == nil {
			s.waiting = append(s.waiting, resp)
		}
		s.mu.Unlock()
		poke(s.bell)
		if err != nil {
			return
		}
		full := s.crowded()
		for full {
			select {
			case <-s.room:
				full = s.crowded()
			case <-ctx.Done():
				full = false // the next Receive fails
			}
		}
	}
}

func (s *submitStream) crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting) >= maxAnswers
}

// Receive returns the next outcomes: of all answers that have come.
func (s *submitStream) Receive() (*devicev1.SubmitStreamResponse, error) {
	for {
		s.mu.Lock()
		resp, err := s.take(), s.err
		s.mu.Unlock()
		if resp != nil {
			poke(s.room)
			return resp, nil
		}
		if err != nil {
			return nil, remoteError(s.peer, err)
		}
		<-s.bell
	}
}

// take joins the answers that wait, up to the first that refuses something:
// what was accepted after a refusal is not to be seen before it. It returns nil
// if none wait.
func (s *submitStream) take() *devicev1.SubmitStreamResponse {
	if len(s.waiting) == 0 {
		return nil
	}
	first, n := s.waiting[0], 1
	for n < len(s.waiting) && len(first.Refused) == 0 {
		next := s.waiting[n]
		first.Receipts = append(first.Receipts, next.Receipts...)
		first.Heads = append(first.Heads, next.Heads...)
		first.Refused = next.Refused
		n++
	}
	rest := copy(s.waiting, s.waiting[n:])
	clear(s.waiting[rest:])
	s.waiting = s.waiting[:rest]
	return first
}

// closeWait bounds how long Close waits for what has not left: a gateway that
// reads nothing must not keep a device from leaving.
const closeWait = time.Second

// Close ends the stream and waits until it is not read any more. The context
// alone would not end a Receive: HTTP/2 looks at it only when the body of the
// request has been written.
func (s *submitStream) Close() error {
	stuck := time.AfterFunc(closeWait, s.cancel)
	defer stuck.Stop()
	err := errors.Join(s.frames.end(), s.stream.CloseRequest())
	s.cancel()
	<-s.ended
	return remoteError(s.peer, err)
}
