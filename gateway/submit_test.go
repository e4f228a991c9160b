package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls/wire"
)

func receiptOf(b []byte) (groups.Receipt, error) {
	var r groups.Receipt
	d := wire.NewReader(b)
	r.Decode(d)
	return r, d.Done()
}

// Every HTTP version carries the calls.
func TestSubmit(t *testing.T) {
	f := serve(t, nil)
	for name, h := range map[string]*http.Client{"http1": f.http1(), "http2": f.http2(), "http3": f.http3()} {
		t.Run(name, func(t *testing.T) {
			c := f.login(alice, h)
			room := groups.RoomID("mimi://alpha.example/r/" + name)
			if seq := c.must(room, groups.KindCreate, "x"); seq != 1 {
				t.Errorf("created at %d", seq)
			}
			r, err := c.Submit(context.Background(), connect.NewRequest(&devicev1.SubmitRequest{Submission: submission(room, groups.KindMessage, "hello")}))
			if err != nil {
				t.Fatal(err)
			}
			receipt, err := receiptOf(r.Msg.Receipt)
			if err != nil || receipt.Seq != 2 {
				t.Errorf("receipt %+v, %v", receipt, err)
			}
			head, err := groups.ParseSignedHead(r.Msg.Head)
			if err != nil || head.Head.Seq < 2 {
				t.Errorf("head %+v, %v", head, err)
			}
		})
	}
}

// "Errors carry the kinds of style.md and enough to act on"
func TestSubmitRefused(t *testing.T) {
	f := serve(t, nil)
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	change := func(do func(*devicev1.Submission)) *devicev1.Submission {
		s := submission(testRoom, groups.KindMessage, "x")
		do(s)
		return s
	}
	for _, x := range []struct {
		name string
		kind groups.Kind
		code connect.Code
		sub  *devicev1.Submission
	}{
		{"stale", groups.StaleEpoch, connect.CodeAborted, submission(testRoom, groups.KindCommit, "stale")},
		{"a hub's word", groups.KeyStale, connect.CodeFailedPrecondition, submission(testRoom, groups.KindMessage, "remote")},
		{"internal", groups.Internal, connect.CodeInternal, submission(testRoom, groups.KindMessage, "broken")},
		{"unknown room", groups.NotFound, connect.CodeNotFound, submission("mimi://alpha.example/r/none", groups.KindMessage, "x")},
		{"no submission", groups.Invalid, connect.CodeInvalidArgument, nil},
		{"room name", groups.Invalid, connect.CodeInvalidArgument, change(func(s *devicev1.Submission) { s.Room = "ops" })},
		{"short id", groups.Invalid, connect.CodeInvalidArgument, change(func(s *devicev1.Submission) { s.Id = s.Id[1:] })},
		{"kind 0", groups.Invalid, connect.CodeInvalidArgument, change(func(s *devicev1.Submission) { s.Kind = 0 })},
		{"kind hub_move", groups.Invalid, connect.CodeInvalidArgument, change(func(s *devicev1.Submission) { s.Kind = uint32(groups.KindHubMove) })},
		{"kind 260", groups.Invalid, connect.CodeInvalidArgument, change(func(s *devicev1.Submission) { s.Kind = 260 })},
		{"no body", groups.Invalid, connect.CodeInvalidArgument, change(func(s *devicev1.Submission) { s.Body = nil })},
		{"large body", groups.TooLarge, connect.CodeOutOfRange, change(func(s *devicev1.Submission) { s.Body = make([]byte, groups.MaxBody+1) })},
		{"large attachment", groups.TooLarge, connect.CodeOutOfRange, change(func(s *devicev1.Submission) {
			s.Attachments = [][]byte{make([]byte, groups.MaxAttachment+1)}
		})},
		{"three attachments", groups.TooLarge, connect.CodeOutOfRange, change(func(s *devicev1.Submission) { s.Attachments = make([][]byte, 3) })},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := testutil.ToFloat64(f.server.metrics.refusals.WithLabelValues(x.kind.String()))
			_, err := c.Submit(context.Background(), connect.NewRequest(&devicev1.SubmitRequest{Submission: x.sub}))
			refused(t, err, x.kind)
			code, r := refusal(err)
			if code != x.code {
				t.Errorf("code %s, want %s", code, x.code)
			}
			if x.kind == groups.StaleEpoch && (r.Epoch != 7 || r.Seq != 42) {
				t.Errorf("stale epoch without a place: %v", r)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("internal words left the node: %v", err)
			}
			if after := testutil.ToFloat64(f.server.metrics.refusals.WithLabelValues(x.kind.String())); after != before+1 {
				t.Errorf("counted %v times", after-before)
			}
		})
	}
}

// "20 messages/s (burst 200), 1 commit/s -> Busy"
func TestRates(t *testing.T) {
	f := serve(t, func(c *Config) {
		c.Limits.Messages, c.Limits.MessageBurst, c.Limits.Commits, c.Limits.CommitBurst = 0, 3, 0, 2
	})
	now := time.Now()
	f.world.now = func() time.Time { return now }
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	c.must(testRoom, groups.KindCommit, "add "+string(bob))
	_, err := c.submit(testRoom, groups.KindCommit, "add "+string(bob))
	refused(t, err, groups.Busy)
	for range 3 {
		c.must(testRoom, groups.KindMessage, "x")
	}
	_, err = c.submit(testRoom, groups.KindMessage, "x")
	refused(t, err, groups.Busy)
	if err := c.login(); err != nil {
		t.Fatal(err)
	}
	_, err = c.submit(testRoom, groups.KindMessage, "x")
	refused(t, err, groups.Busy) // a new session is not a new allowance
	now = now.Add(time.Second)
	c.must(testRoom, groups.KindMessage, "x")
}

// "pipelined; answers come in batches"
func TestSubmitStream(t *testing.T) {
	f := serve(t, nil)
	for name, h := range map[string]*http.Client{"http2": f.http2(), "http3": f.http3()} {
		t.Run(name, func(t *testing.T) {
			c := f.login(alice, h)
			room := groups.RoomID("mimi://alpha.example/r/" + name)
			c.must(room, groups.KindCreate, "x")
			s := c.SubmitStream(context.Background())
			want := map[string]bool{}
			const n = 500
			go func() {
				for i := range n / 10 {
					m := new(devicev1.SubmitStreamRequest)
					for j := range 10 {
						m.Submissions = append(m.Submissions, submission(room, groups.KindMessage, fmt.Sprint(i, j)))
					}
					s.Send(m)
				}
				s.Send(&devicev1.SubmitStreamRequest{Submissions: []*devicev1.Submission{submission(room, groups.KindCommit, "stale"), {Room: "x", Id: []byte("bad")}}})
				s.CloseRequest()
			}()
			refusals := map[string]string{}
			responses := 0
			for {
				m, err := s.Receive()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				responses++
				if len(m.Receipts) > 0 && len(m.Heads) != 1 {
					t.Fatalf("%d heads for one room", len(m.Heads))
				}
				for _, b := range m.Receipts {
					r, err := receiptOf(b)
					if err != nil {
						t.Fatal(err)
					}
					want[string(r.ID[:])] = true
				}
				for _, r := range m.Refused {
					refusals[r.Refusal.Kind] = string(r.Id)
				}
			}
			s.CloseResponse()
			if len(want) != n {
				t.Errorf("%d receipts, want %d", len(want), n)
			}
			if len(refusals) != 2 || !strings.HasPrefix(refusals["invalid"], "bad") {
				t.Errorf("refusals: %v", refusals)
			}
			t.Logf("%d receipts in %d responses", n, responses)
		})
	}
}

// "bounded in flight then stop reading = backpressure"
func TestSubmitStreamBackpressure(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.InFlight = 8 })
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	hold := make(chan struct{})
	f.world.mu.Lock()
	f.world.hold = hold
	f.world.mu.Unlock()
	s := c.SubmitStream(context.Background())
	m := new(devicev1.SubmitStreamRequest)
	for range 20 {
		m.Submissions = append(m.Submissions, submission(testRoom, groups.KindMessage, "x"))
	}
	if err := s.Send(m); err != nil {
		t.Fatal(err)
	}
	s.CloseRequest()
	eventually(t, "eight are under way", func() bool { return f.world.length(testRoom) == 9 })
	time.Sleep(20 * time.Millisecond) // would more come, they would by now
	if n := f.world.length(testRoom); n != 9 {
		t.Errorf("%d entries while 8 may be under way", n)
	}
	f.world.mu.Lock()
	f.world.hold = nil
	f.world.mu.Unlock()
	close(hold)
	got := 0
	for {
		r, err := s.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got += len(r.Receipts)
	}
	s.CloseResponse()
	if got != 20 {
		t.Errorf("%d receipts, want 20", got)
	}
}

func (w *world) length(room groups.RoomID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.rooms[room].entries)
}

// eventually waits until something has come about.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came about that %s", what)
		}
	}
}

// A stream over its rate is slowed, not refused: what is refused would be
// overtaken by what follows.
func TestStreamOverItsRateIsSlowed(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.Messages, c.Limits.MessageBurst = 100, 3 })
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	s := c.SubmitStream(context.Background())
	m := new(devicev1.SubmitStreamRequest)
	for i := range 12 {
		m.Submissions = append(m.Submissions, submission(testRoom, groups.KindMessage, fmt.Sprint(i)))
	}
	start := time.Now()
	if err := s.Send(m); err != nil {
		t.Fatal(err)
	}
	s.CloseRequest()
	accepted := 0
	for {
		answer, err := s.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Refused) > 0 {
			t.Fatalf("refused: %v", answer.Refused)
		}
		accepted += len(answer.Receipts)
	}
	if took := time.Since(start); accepted != 12 || took < 50*time.Millisecond {
		t.Errorf("%d accepted in %v", accepted, took)
	}
}

// What a peer of another site says goes on to devices as text, whatever bytes it is
// and however much of it.
func TestRefusalOfAnybodyCanBeSent(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, err := range map[string]error{
		"cut in a letter": &groups.RemoteError{Peer: "hub", Kind: groups.Denied, Text: "caf\xc3"},
		"no text at all":  &groups.Error{Kind: groups.Invalid, Text: "\xff\xfe"},
		"endless":         &groups.RemoteError{Peer: "hub", Kind: groups.Denied, Text: long},
	} {
		r, kind, known := refusalOf(err)
		b, wrong := proto.Marshal(r)
		if wrong != nil || !known || kind == groups.Internal || len(b) > 4<<10 {
			t.Errorf("%s: %v, %d bytes, kind %s", name, wrong, len(b), kind)
		}
		connectError(err) // does not panic
	}
}
