package gateway

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A writes counts how a stream is written.
type writes struct {
	*httptest.ResponseRecorder
	sizes []int
}

func (w *writes) Write(b []byte) (int, error) {
	w.sizes = append(w.sizes, len(b))
	return w.ResponseRecorder.Write(b)
}

// A prefix and its message leave in one write, a large one in pieces, and no
// byte is lost or moved.
func TestStreamIsWrittenJoined(t *testing.T) {
	for _, x := range []struct {
		message, writes int
	}{{0, 1}, {1, 1}, {5, 1}, {1000, 1}, {pieceSize - maxPrefix, 1}, {pieceSize, 2}, {3 * pieceSize, 4}} {
		w := &writes{ResponseRecorder: httptest.NewRecorder()}
		r := &reply{ResponseWriter: w, stream: true, call: new(call)}
		prefix, message := []byte("12345"), bytes.Repeat([]byte{7}, x.message)
		for _, b := range [][]byte{prefix, message} {
			if n, err := r.Write(b); n != len(b) || err != nil {
				t.Fatalf("wrote %d of %d: %v", n, len(b), err)
			}
		}
		r.Flush()
		if len(w.sizes) != x.writes || !bytes.Equal(w.Body.Bytes(), append(prefix, message...)) {
			t.Errorf("%d bytes left in writes of %v", x.message, w.sizes)
		}
	}
	w := httptest.NewRecorder()
	r := &reply{ResponseWriter: w, stream: true}
	r.Write([]byte("alone"))
	if r.Flush(); w.Body.String() != "alone" {
		t.Errorf("a prefix alone became %q", w.Body)
	}
}

// "a reader that does not take data for 30 s": one that takes some is slow,
// not gone.
func TestProgressIsNoStall(t *testing.T) {
	s := newStalls(time.Minute, prometheus.NewCounter(prometheus.CounterOpts{Name: "x"}))
	g := s.watch(&call{http: http.NewResponseController(httptest.NewRecorder())})
	defer g.close()
	err := g.write(func() error {
		g.since = g.since.Add(-time.Hour)
		g.progress()
		now := time.Now()
		if g.check(now.Add(50 * time.Second)) {
			t.Error("ended although it moved")
		}
		if !g.check(now.Add(2 * time.Minute)) {
			t.Error("not ended although it did not move")
		}
		return context.DeadlineExceeded
	})
	if err != errStalled {
		t.Errorf("ended with %v", err)
	}
	if g.check(time.Now().Add(time.Hour)) {
		t.Error("ended twice")
	}
}

// "connection ... life at most 24 h"
func TestOldConnectionIsClosed(t *testing.T) {
	f := serve(t, nil)
	for age, want := range map[time.Duration]string{time.Hour: "", connectionLife + time.Second: "close"} {
		req := httptest.NewRequest("POST", "/parley.device.v1.DeviceService/Challenge", nil)
		req = req.WithContext(context.WithValue(req.Context(), bornKey{}, time.Now().Add(-age)))
		w := httptest.NewRecorder()
		f.server.ServeHTTP(w, req)
		if got := w.Header().Get("Connection"); got != want {
			t.Errorf("after %s: Connection %q, want %q", age, got, want)
		}
	}
}
