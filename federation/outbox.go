package federation

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

var errOutboxFull = errors.New("too much waits for this lane")

// An outbox holds what waits for a lane, already encoded. Frames are merged by
// putting their encodings one after the other until coalesce is reached, so
// that what came while the lane was busy leaves in one write.
type outbox struct {
	mu    sync.Mutex
	buf   []byte        // whole frames, and one that is open
	open  int           // where the open frame's length stands, -1 if none
	spare []byte        // the buffer written last, to be used again
	wake  chan struct{} // something waits
	space chan struct{} // something left
}

func newOutbox() *outbox {
	return &outbox{open: -1, wake: make(chan struct{}, 1), space: make(chan struct{}, 1)}
}

// add puts f behind what waits unless that would make more than limit bytes; an
// empty outbox takes anything that fits a frame.
func (o *outbox) add(f *linkv1.Frame, limit int) error {
	size := proto.Size(f)
	if size > groups.MaxFrame {
		return errFrameTooLarge
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.buf) > 0 && len(o.buf)+size > limit {
		return errOutboxFull
	}
	if o.open >= 0 && len(o.buf)-o.open+size > coalesce {
		o.finish()
	}
	if o.open < 0 {
		o.open = len(o.buf)
		o.buf = append(o.buf, 0, 0, 0, 0)
	}
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(o.buf, f)
	if err != nil {
		return err
	}
	o.buf = b
	poke(o.wake)
	return nil
}

// wait puts f behind what waits as soon as that is below waitOutbox.
func (o *outbox) wait(ctx context.Context, f *linkv1.Frame) error {
	for {
		err := o.add(f, waitOutbox)
		if err != errOutboxFull {
			poke(o.space) // others may wait for what is left
			return err
		}
		select {
		case <-o.space:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// drained waits until less than limit bytes wait.
func (o *outbox) drained(ctx context.Context, limit int) error {
	for {
		o.mu.Lock()
		below := len(o.buf) < limit
		o.mu.Unlock()
		if below {
			poke(o.space)
			return nil
		}
		select {
		case <-o.space:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// finish writes the open frame's length.
func (o *outbox) finish() {
	binary.BigEndian.PutUint32(o.buf[o.open:], uint32(len(o.buf)-o.open-lengthBytes))
	o.open = -1
}

// take returns whole frames, nothing if nothing waits; give them back with
// recycle.
func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.buf) == 0 {
		return nil
	}
	if o.open >= 0 {
		o.finish()
	}
	b := o.buf
	o.buf, o.spare = o.spare[:0], nil
	return b
}

// recycle keeps a written buffer for later, unless it is large.
func (o *outbox) recycle(b []byte) {
	o.mu.Lock()
	if cap(b) <= 2*waitOutbox {
		o.spare = b
	}
	o.mu.Unlock()
	poke(o.space)
}
