package client

import (
	"context"
	"io"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
)

// Tail opens the stream of entries.
func (l *gatewayLink) Tail(ctx context.Context, req *devicev1.TailRequest) (Receiver[devicev1.TailResponse], error) {
	return openStream(ctx, l.address, req, l.service.Tail)
}

// Blob opens the stream of a blob.
func (l *gatewayLink) Blob(ctx context.Context, req *devicev1.GetBlobRequest) (Receiver[devicev1.GetBlobResponse], error) {
	return openStream(ctx, l.address, req, l.service.GetBlob)
}

// openStream makes a server-streaming call.
func openStream[Req, Resp any](ctx context.Context, peer string, req *Req,
	do func(context.Context, *connect.Request[Req]) (*connect.ServerStreamForClient[Resp], error)) (Receiver[Resp], error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := do(ctx, connect.NewRequest(req))
	if err != nil {
		cancel()
		return nil, remoteError(peer, err)
	}
	return &serverStream[Resp]{stream, peer, cancel}, nil
}

// A serverStream is a Receiver. Its context ends it, so that Close may be
// called while Receive waits.
type serverStream[T any] struct {
	stream *connect.ServerStreamForClient[T]
	peer   string
	cancel context.CancelFunc
}

// Receive returns the next answer, or io.EOF.
func (s *serverStream[T]) Receive() (*T, error) {
	if s.stream.Receive() {
		// The generated client uses one message for all answers of a stream, but
		// makes a new one for each Receive.
		return s.stream.Msg(), nil
	}
	if err := s.stream.Err(); err != nil {
		return nil, remoteError(s.peer, err)
	}
	return nil, io.EOF
}

// Close ends the stream.
func (s *serverStream[T]) Close() error {
	s.cancel()
	return nil
}
