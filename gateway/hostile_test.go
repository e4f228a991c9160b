package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// A stream that is opened and never asked for anything held its place until the
// session ended, and the server up when it stopped. The question has the time of a
// call; after it, a tail lives as long as it is read.
func TestHalfOpenTailIsEnded(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.CallTimeout = 5 * time.Second })
	var asked []*reader
	var callers []*caller
	ended := make(chan string, 6)
	for name, h := range map[string]*http.Client{"http1": f.http1(), "http2": f.http2(), "http3": f.http3()} {
		c := f.login(alice, h)
		room := groups.RoomID("mimi://alpha.example/r/" + name)
		c.must(room, groups.KindCreate, "x")
		r := c.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(room, 0)}, Follow: true})
		r.until("the entry", func() bool { return r.last[string(room)] == 1 })
		asked, callers = append(asked, r), append(callers, c)
		for _, call := range []string{"Tail", "GetBlob"} {
			body, w := io.Pipe()
			defer w.Close()
			req, err := http.NewRequest("POST", "https://"+f.addr+"/parley.device.v1.DeviceService/"+call, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/connect+proto")
			req.Header.Set("Authorization", "Bearer "+c.session)
			go func() {
				if res, err := h.Do(req); err == nil {
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				ended <- name + " " + call
			}()
			w.Write([]byte{0, 0, 0}) // of a prefix of five
		}
	}
	for i := range cap(ended) {
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("only %d of %d have ended", i, cap(ended))
		}
	}
	for i, r := range asked {
		for room := range r.last {
			callers[i].must(groups.RoomID(room), groups.KindMessage, "y")
			r.until("a tail that was asked for goes on", func() bool { return r.last[room] == 2 })
		}
	}
	eventually(t, "their places are free", func() bool {
		f.server.devices.mu.Lock()
		r := f.server.devices.m[alice]
		f.server.devices.mu.Unlock()
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.streams == len(asked)
	})
}

// One Ack is one write for the cursors and one for each Welcome: a device can not
// make of a small request tens of thousands of them.
func TestAckIsBounded(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.TailRooms = 10 })
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	m := new(devicev1.AckRequest)
	for i := range 11 {
		m.Welcomes = append(m.Welcomes, cursor(groups.RoomID(fmt.Sprint("mimi://alpha.example/r/r", i)), 1))
	}
	_, err := c.Ack(context.Background(), connect.NewRequest(m))
	refused(t, err, groups.TooLarge)
	m.Welcomes, m.Cursors = nil, m.Welcomes
	_, err = c.Ack(context.Background(), connect.NewRequest(m))
	refused(t, err, groups.TooLarge)
	if _, err := c.Ack(context.Background(), connect.NewRequest(&devicev1.AckRequest{Cursors: []*devicev1.Cursor{cursor(testRoom, 1)}})); err != nil {
		t.Error(err)
	}
}

// Parts that are empty are two bytes each, and cost a hundred to read: a request of
// nothing else bought memory of fifty times its length.
func TestARequestOfEmptyPartsBuysNothing(t *testing.T) {
	full := &devicev1.SubmitStreamRequest{Submissions: make([]*devicev1.Submission, 4096)}
	for i := range full.Submissions {
		full.Submissions[i] = submission(testRoom, groups.KindMessage, "x")
	}
	for _, c := range []interface {
		Marshal(any) ([]byte, error)
		Unmarshal([]byte, any) error
	}{protoCodec{}, jsonCodec{}} {
		empty := bytes.Repeat([]byte{0x0a, 0}, maxFrame/2)
		if _, ok := c.(jsonCodec); ok {
			empty = []byte(`{"submissions":[{}` + strings.Repeat(",{}", maxFrame/3-10) + "]}")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.Unmarshal(empty, new(devicev1.SubmitStreamRequest))
		runtime.ReadMemStats(&after)
		if cost := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, errCrowded) || cost > 1<<20 {
			t.Errorf("%T: %v, for %d bytes", c, err, cost)
		}
		b, err := c.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Unmarshal(b, new(devicev1.SubmitStreamRequest)); err != nil {
			t.Errorf("%T: all that may be in flight: %v", c, err)
		}
	}
}
