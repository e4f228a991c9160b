package gateway

import (
	"context"
	"net/http"
	"time"

	"parley/api/device/v1/devicev1connect"
	"parley/groups"
)

// callTimeout is how long a call that is no stream may take to be read and
// answered, a slow line included.
const callTimeout = 60 * time.Second

// ServeHTTP is where every request of every HTTP version comes in.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.begin(0)
	defer s.calls.end()
	c := &call{http: http.NewResponseController(w)}
	deadline := time.Time{}
	ctx := context.WithValue(r.Context(), callKey{}, c)
	if !isStream(r.URL.Path) {
		deadline = time.Now().Add(callTimeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	// Both are set for every request, since on HTTP/1.1 they stay with the
	// connection. A transport that has none leaves it to its own limits.
	c.http.SetReadDeadline(deadline)
	c.http.SetWriteDeadline(deadline)
	if born, ok := ctx.Value(bornKey{}).(time.Time); ok && time.Since(born) > connectionLife {
		w.Header().Set("Connection", "close")
	}
	answer := &reply{ResponseWriter: w}
	s.handler.ServeHTTP(answer, r.WithContext(ctx))
	if answer.status >= http.StatusBadRequest && !c.refused {
		s.metrics.refused(kindOfStatus(answer.status))
	}
}

func isStream(path string) bool {
	switch path {
	case devicev1connect.DeviceServiceTailProcedure, devicev1connect.DeviceServiceSubmitStreamProcedure,
		devicev1connect.DeviceServiceGetBlobProcedure:
		return true
	}
	return false
}

// kindOfStatus is the kind of what HTTP or Connect refused before a call began:
// unknown paths, methods and content types, bodies that are too long or do
// not decode.
func kindOfStatus(status int) groups.Kind {
	switch {
	case status == http.StatusTooManyRequests:
		return groups.TooLarge
	case status == http.StatusNotFound:
		return groups.NotFound
	case status < http.StatusInternalServerError:
		return groups.Invalid
	}
	return groups.Internal
}

// A reply notes the status of an answer.
type reply struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (r *reply) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Flush sends what is buffered; all our transports can.
func (r *reply) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for http.ResponseController.
func (r *reply) Unwrap() http.ResponseWriter { return r.ResponseWriter }
