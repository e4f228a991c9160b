package gateway

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"connectrpc.com/connect"

	"parley/api/device/v1/devicev1connect"
	"parley/groups"
)

// A call is one HTTP request on its way: who asks, and the levers on its
// connection.
type call struct {
	http    *http.ResponseController
	session *session    // nil before the gate, and for Challenge and Login
	guard   *writeGuard // of a stream, once it is watched
	refused bool        // counted already
}

// asked notes that the request of a stream that only answers has been read: from
// now on the stream lives as long as it is taken.
func (c *call) asked() { c.http.SetReadDeadline(time.Time{}) }

// callKey finds the call in a request's context.
type callKey struct{}

func callOf(ctx context.Context) *call {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		panic("BUG: a call that did not come through ServeHTTP")
	}
	return c
}

// gate runs before any byte of a request's body is read: who has no session
// gets no further than Login.
func (s *Server) gate(ctx context.Context, spec connect.Spec, _ connect.Peer, header http.Header) (context.Context, error) {
	if err := s.admit(callOf(ctx), spec, header); err != nil {
		return ctx, s.refuse(ctx, spec.Procedure, err)
	}
	return ctx, nil
}

func (s *Server) admit(c *call, spec connect.Spec, header http.Header) error {
	select {
	case <-s.draining:
		return errDraining
	default:
	}
	switch spec.Procedure {
	case devicev1connect.DeviceServiceChallengeProcedure, devicev1connect.DeviceServiceLoginProcedure:
		return nil
	}
	token, ok := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	if !ok {
		return errNoSession
	}
	now := s.config.Now()
	session, ok := s.sessions.find(token, now)
	if !ok {
		return errNoSession
	}
	c.session = session
	switch spec.Procedure {
	case devicev1connect.DeviceServiceSubmitProcedure, devicev1connect.DeviceServiceSubmitStreamProcedure,
		devicev1connect.DeviceServiceSignalProcedure:
		return nil // have rates of their own
	}
	if !session.rates.calls.AllowN(now, 1) {
		return busy("calls")
	}
	return nil
}

// refuse turns an error into what the device is told, counts it, and logs what
// it is not told.
func (s *Server) refuse(ctx context.Context, procedure string, err error) error {
	ce, kind, known := connectError(err)
	c := callOf(ctx)
	if !c.refused {
		c.refused = true
		s.metrics.refused(kind)
	}
	if !known {
		device := groups.DeviceID("")
		if c.session != nil {
			device = c.session.device
		}
		s.config.Logger.Error("call", "procedure", procedure, "device", device, "err", err)
	}
	return ce
}

// An interceptor stands around every call: no panic leaves it, and no error
// without a Refusal.
type interceptor struct{ s *Server }

// WrapUnary guards a call with one answer.
func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
		err = i.guard(ctx, req.Spec().Procedure, func() (err error) {
			res, err = next(ctx, req)
			return err
		})
		return res, err
	}
}

// WrapStreamingClient is for clients, which a Server is not.
func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler guards a stream: it counts against the device's
// streams, and ends with its session.
func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return i.guard(ctx, conn.Spec().Procedure, func() error {
			session := callOf(ctx).session
			release, err := session.rates.stream()
			if err != nil {
				return err
			}
			defer release()
			ctx, cancel := context.WithDeadline(ctx, session.expires)
			defer cancel()
			stop := context.AfterFunc(session.ctx, cancel)
			defer stop()
			return i.s.whyEnded(session, next(ctx, conn))
		})
	}
}

// whyEnded says so if a stream broke off because the node stops or its session
// has ended.
func (s *Server) whyEnded(session *session, err error) error {
	if err == nil || session.ctx.Err() == nil && s.config.Now().Before(session.expires) {
		return err
	}
	select {
	case <-s.draining:
		return errDraining
	default:
		return errNoSession
	}
}

// guard runs f, and makes a panic an internal error.
func (i *interceptor) guard(ctx context.Context, procedure string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil {
			err = i.s.refuse(ctx, procedure, err)
		}
	}()
	return f()
}
