package gateway

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"parley/api/device/v1/devicev1connect"
	"parley/groups"
)

// ServeHTTP is where every request of every HTTP version comes in.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.begin(0)
	defer s.calls.end()
	c := &call{http: http.NewResponseController(w)}
	ctx := context.WithValue(r.Context(), callKey{}, c)
	read, write := time.Now().Add(s.config.Limits.CallTimeout), time.Time{}
	stream := isStream(r.URL.Path)
	if !stream {
		write = read
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, write)
		defer cancel()
	} else if r.URL.Path == devicev1connect.DeviceServiceSubmitStreamProcedure {
		read = time.Time{} // it is read as long as it lives
	}
	// Both are set for every request, since on HTTP/1.1 they stay with the
	// connection. A transport that has none leaves it to its own limits.
	c.http.SetReadDeadline(read)
	c.http.SetWriteDeadline(write)
	if born, ok := ctx.Value(bornKey{}).(time.Time); ok && time.Since(born) > connectionLife {
		w.Header().Set("Connection", "close")
	}
	answer := &reply{ResponseWriter: w, stream: stream, call: c}
	s.handler.ServeHTTP(answer, r.WithContext(ctx))
	answer.release()
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
	case status < http.StatusInternalServerError, status == http.StatusNotImplemented: // an encoding we do not speak
		return groups.Invalid
	}
	return groups.Internal
}

// A reply notes the status of an answer. Of a stream it joins what Connect
// writes apart, a prefix of five bytes and a message, into one write: each
// write costs a hop to the connection's goroutine, or a packet.
type reply struct {
	http.ResponseWriter
	status int
	stream bool
	call   *call
	prefix []byte // written by Connect and not passed on yet
	space  [maxPrefix]byte
}

// pieceSize is how much of a stream is written at a time. A reader that takes
// this much within Limits.StallTimeout is slow, not gone.
const pieceSize = 32 << 10

// maxPrefix is the size of an envelope's prefix in Connect and gRPC.
const maxPrefix = 5

// joined holds buffers for one write.
var joined = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// WriteHeader notes the status.
func (r *reply) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write passes on what is no prefix, after the prefix that came before it.
func (r *reply) Write(b []byte) (int, error) {
	if r.prefix == nil {
		if r.stream && len(b) == maxPrefix {
			r.prefix = append(r.space[:0], b...)
			return len(b), nil
		}
		return r.pass(b)
	}
	buf := joined.Get().(*bytes.Buffer)
	defer joined.Put(buf)
	buf.Reset()
	buf.Write(r.prefix)
	buf.Write(b)
	r.prefix = nil
	if _, err := r.pass(buf.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// pass writes b, of a stream in pieces.
func (r *reply) pass(b []byte) (n int, err error) {
	for r.stream && len(b) > pieceSize {
		m, err := r.ResponseWriter.Write(b[:pieceSize])
		n += m
		if err != nil {
			return n, err
		}
		b = b[pieceSize:]
		r.call.guard.progress()
	}
	m, err := r.ResponseWriter.Write(b)
	return n + m, err
}

// release passes on a prefix that nothing followed.
func (r *reply) release() {
	if r.prefix != nil {
		b := r.prefix
		r.prefix = nil
		r.ResponseWriter.Write(b) // one that fails fails the next as well
	}
}

// Flush sends what is buffered; all our transports can.
func (r *reply) Flush() {
	r.release()
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for http.ResponseController.
func (r *reply) Unwrap() http.ResponseWriter { return r.ResponseWriter }
