package client

import (
	"context"

	"google.golang.org/protobuf/proto"

	devicev1 "parley/api/device/v1"
)

// A Link is a device's way to its gateway. It is safe for many goroutines. A
// refusal by the gateway is a *groups.RemoteError, a gateway that can not be
// reached is a *groups.Error of kind Unavailable. After a Login has succeeded
// the link belongs to that session.
type Link interface {
	// Call makes the unary call of the device service that takes req's type,
	// and fills resp, which has to be of its answer's type.
	Call(ctx context.Context, req, resp proto.Message) error
	// Submit opens a stream of submissions.
	Submit(ctx context.Context) (SubmitStream, error)
	// Tail streams the entries of rooms.
	Tail(ctx context.Context, req *devicev1.TailRequest) (Receiver[devicev1.TailResponse], error)
	// Blob streams a blob.
	Blob(ctx context.Context, req *devicev1.GetBlobRequest) (Receiver[devicev1.GetBlobResponse], error)
	// Close ends the session and all streams.
	Close() error
}

// A Receiver is a stream of answers. It is used by one goroutine; Close may be
// called by another, and ends a Receive.
type Receiver[T any] interface {
	// Receive returns the next answer, or io.EOF at the stream's end. The
	// answer belongs to the caller.
	Receive() (*T, error)
	Close() error
}

// A SubmitStream is a stream of submissions and their outcomes. One goroutine
// sends, another receives.
type SubmitStream interface {
	Receiver[devicev1.SubmitStreamResponse]
	// Send sends submissions; it blocks while the gateway takes no more.
	Send(req *devicev1.SubmitStreamRequest) error
}
