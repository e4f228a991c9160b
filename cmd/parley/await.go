package main

import (
	"context"
	"errors"

	"parley/client"
	"parley/groups"
)

// caughtUp waits until everything at the gateway has been read, or until Run
// has given up.
func (s *session) caughtUp(ctx context.Context) error {
	return s.await(ctx, s.CaughtUp)
}

// current finds a room by what a person calls it, and waits until everything at
// the gateway has been read.
func (s *session) current(ctx context.Context, name string) (groups.RoomID, error) {
	room, err := s.room(name)
	if err != nil {
		return "", err
	}
	return room, s.caughtUp(ctx)
}

// await runs an act that waits for the device to be online. If the device can
// not come online, the answer says why, as far as that is known.
func (s *session) await(ctx context.Context, act func(context.Context) error) error {
	return s.awaitOr(ctx, act, false)
}

// awaitOr is await that, if hasty, ends with the first attempt to connect that
// fails.
func (s *session) awaitOr(ctx context.Context, act func(context.Context) error, hasty bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sub := s.Subscribe(16)
	defer sub.Close()
	var last error // why the last attempt to connect has failed
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case e, ok := <-sub.C:
				if !ok {
					return
				}
				if e.Kind != client.EventConnection {
					continue
				}
				if last = e.Err; last != nil && hasty {
					cancel(last)
				}
			case <-s.ended:
				cancel(s.why)
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	err := act(ctx)
	cause := context.Cause(ctx)
	cancel(nil)
	<-watched
	switch {
	case err == nil:
		return nil
	case errors.Is(cause, context.Canceled): // Ctrl-C: nothing else is why
		return cause
	case cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded):
		return cause
	case last != nil:
		return advise(last, "gave up after "+s.app.timeout.String())
	}
	return err
}
