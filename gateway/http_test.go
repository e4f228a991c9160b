package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/testutil"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// post calls as a stranger would: plain HTTP, plain JSON, no generated code.
func post(t *testing.T, f *fixture, call, session string, in any) (status int, out map[string]any, h http.Header) {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest("POST", "https://"+f.addr+"/parley.device.v1.DeviceService/"+call, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if session != "" {
		req.Header.Set("Authorization", "Bearer "+session)
	}
	res, err := f.http1().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out, res.Header
}

// "Connect (protobuf, also plain JSON over HTTP) on one port"
func TestPlainJSON(t *testing.T) {
	f := serve(t, nil)
	c := f.caller(alice, f.http2())
	_, ch, h := post(t, f, "Challenge", "", map[string]any{"device": alice})
	if _, port, _ := net.SplitHostPort(f.addr); !strings.Contains(h.Get("Alt-Svc"), `h3=":`+port+`"`) {
		t.Errorf("Alt-Svc %q does not name port %s", h.Get("Alt-Svc"), port)
	}
	nonce, err := base64.StdEncoding.DecodeString(ch["nonce"].(string))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := c.sign(loginTBS(groups.NodeID(ch["node"].(string)), alice, nonce))
	if err != nil {
		t.Fatal(err)
	}
	status, login, _ := post(t, f, "Login", "", map[string]any{"device": alice, "chain": [][]byte{c.cert}, "nonce": nonce, "signature": sig})
	if status != 200 {
		t.Fatalf("login: %d %v", status, login)
	}
	session := login["session"].(string)
	sub := map[string]any{"room": testRoom, "kind": 1, "id": make([]byte, 16), "body": []byte("x")}
	if status, out, _ := post(t, f, "Submit", session, map[string]any{"submission": sub}); status != 200 || out["receipt"] == "" {
		t.Fatalf("submit: %d %v", status, out)
	}
	status, out, _ := post(t, f, "DescribeRoom", session, map[string]any{"room": testRoom})
	if room := out["room"].(map[string]any); status != 200 || room["seq"] != "1" || out["devices"].([]any)[0] != string(alice) {
		t.Errorf("describe: %d %v", status, out)
	}
	status, out, _ = post(t, f, "DescribeRoom", session, map[string]any{"room": "ops"})
	details, _ := out["details"].([]any)
	if status != 400 || out["code"] != "invalid_argument" || len(details) != 1 {
		t.Fatalf("a refusal: %d %v", status, out)
	}
	if d := details[0].(map[string]any); d["type"] != "parley.device.v1.Refusal" || d["debug"].(map[string]any)["kind"] != "invalid" {
		t.Errorf("its detail: %v", d)
	}
	if status, out, _ = post(t, f, "ListRooms", "nobody", map[string]any{}); status != 401 {
		t.Errorf("without a session: %d %v", status, out)
	}
	r := f.login(alice, f.http2(), connect.WithProtoJSON()).tail(&devicev1.TailRequest{AllRooms: true}).all()
	if r.err != nil || r.last[string(testRoom)] != 1 {
		t.Errorf("a tail in JSON: %v, %v", r.last, r.err)
	}
}

// gRPC and gRPC-Web clients are served by the same handler.
func TestOtherProtocols(t *testing.T) {
	f := serve(t, nil)
	for name, o := range map[string]connect.ClientOption{"grpc": connect.WithGRPC(), "grpcweb": connect.WithGRPCWeb()} {
		t.Run(name, func(t *testing.T) {
			c := f.login(alice, f.http2(), o)
			room := groups.RoomID("mimi://alpha.example/r/" + name)
			c.must(room, groups.KindCreate, "x")
			if r := c.tail(&devicev1.TailRequest{Cursors: []*devicev1.Cursor{cursor(room, 0)}}).all(); r.err != nil || r.last[string(room)] != 1 {
				t.Errorf("tail: %v, %v", r.last, r.err)
			}
			_, err := c.submit(room, groups.KindMessage, "stale")
			refused(t, err, groups.StaleEpoch)
		})
	}
}

// Malformed anything "gets a typed error, is counted, and changes nothing".
func TestMalformedRequests(t *testing.T) {
	f := serve(t, nil)
	c := f.login(alice, f.http2())
	for _, x := range []struct {
		name, method, call, contentType, body string
		status                                int
		kind                                  groups.Kind
	}{
		{"bad JSON", "POST", "Submit", "application/json", "{", 400, groups.Invalid},
		{"bad protobuf", "POST", "Submit", "application/proto", "\xff\xff\xff", 400, groups.Invalid},
		{"no such call", "POST", "Nothing", "application/json", "{}", 404, groups.NotFound},
		{"a GET", "GET", "Submit", "application/json", "", 405, groups.Invalid},
		{"another type", "POST", "Submit", "text/html", "x", 415, groups.Invalid},
		{"oversize login", "POST", "Login", "application/json", `{"device":"` + strings.Repeat("a", maxLogin) + `"}`, 429, groups.TooLarge},
		{"oversize chunk", "POST", "PutBlob", "application/json", `{"chunk":"` + strings.Repeat("a", maxChunk) + `"}`, 429, groups.TooLarge},
		{"gzip", "POST", "Submit", "application/json", "{}", 501, groups.Invalid},
	} {
		t.Run(x.name, func(t *testing.T) {
			counter := f.server.metrics.refusals.WithLabelValues(x.kind.String())
			before := testutil.ToFloat64(counter)
			req, err := http.NewRequest(x.method, "https://"+f.addr+"/parley.device.v1.DeviceService/"+x.call, strings.NewReader(x.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", x.contentType)
			req.Header.Set("Authorization", "Bearer "+c.session)
			if x.name == "gzip" {
				req.Header.Set("Content-Encoding", "gzip")
			}
			res, err := f.http2().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != x.status {
				t.Errorf("status %d, want %d", res.StatusCode, x.status)
			}
			eventually(t, "it is counted", func() bool { return testutil.ToFloat64(counter) == before+1 })
		})
	}
}

// "memory bought by an unread length": a stream's frame that promises too much
// is refused by its length, one that promises what never comes buys nothing.
func TestUnreadLength(t *testing.T) {
	f := serve(t, nil)
	c := f.login(alice, f.http2())
	for name, size := range map[string]uint32{"over the limit": 1 << 31, "within it": maxFrame} {
		t.Run(name, func(t *testing.T) {
			body, w := io.Pipe()
			req, err := http.NewRequest("POST", "https://"+f.addr+"/parley.device.v1.DeviceService/SubmitStream", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/connect+proto")
			req.Header.Set("Authorization", "Bearer "+c.session)
			go func() {
				w.Write(binary.BigEndian.AppendUint32([]byte{0}, size))
				w.Write(make([]byte, 100))
				w.Close()
			}()
			res, err := f.http2().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			answer, err := io.ReadAll(res.Body)
			if err != nil || !bytes.Contains(answer, []byte(`"error"`)) {
				t.Errorf("answered %q, %v", answer, err)
			}
		})
	}
}

// "TLS 1.3"
func TestOldTLSIsRefused(t *testing.T) {
	f := serve(t, nil)
	c, err := tls.Dial("tcp", f.addr, &tls.Config{RootCAs: f.pool, MaxVersion: tls.VersionTLS12})
	if err == nil {
		c.Close()
		t.Error("TLS 1.2 was accepted")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.Connections = 2 })
	dial := func() (net.Conn, error) { return tls.Dial("tcp", f.addr, &tls.Config{RootCAs: f.pool}) }
	one, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	two, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if c, err := dial(); err == nil {
		c.Close()
		t.Error("a third connection of two")
	}
	one.Close()
	eventually(t, "the place is free", func() bool {
		c, err := dial()
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// "no panic": a bug in what a call asks is an internal error, and the server
// lives on.
func TestPanicIsInternal(t *testing.T) {
	f := serve(t, func(c *Config) { c.Roster = panics{} })
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	_, err := c.DescribeRoom(context.Background(), connect.NewRequest(&devicev1.DescribeRoomRequest{Room: string(testRoom)}))
	refused(t, err, groups.Internal)
	if strings.Contains(err.Error(), "boom") {
		t.Errorf("told a stranger: %v", err)
	}
	c.must(testRoom, groups.KindMessage, "x")
}

type panics struct{}

func (panics) Members(groups.RoomID) ([]groups.DeviceID, error) { panic("boom") }

// "drain: no new calls, tails told to reconnect, pending submits answered"
func TestGracefulStop(t *testing.T) {
	for _, version := range []string{"http2", "http3"} {
		t.Run(version, func(t *testing.T) {
			f := serve(t, nil)
			h := f.http2()
			if version == "http3" {
				h = f.http3()
			}
			c := f.login(alice, h)
			c.must(testRoom, groups.KindCreate, "x")
			r := c.tail(&devicev1.TailRequest{AllRooms: true, Follow: true})
			r.until("caught up", func() bool { return r.caughtUp == 1 })
			hold := make(chan struct{})
			f.world.mu.Lock()
			f.world.hold = hold
			f.world.mu.Unlock()
			s := c.SubmitStream(context.Background())
			if err := s.Send(&devicev1.SubmitStreamRequest{Submissions: []*devicev1.Submission{submission(testRoom, groups.KindMessage, "y")}}); err != nil {
				t.Fatal(err)
			}
			unary := make(chan error, 1)
			go func() {
				_, err := c.submit(testRoom, groups.KindMessage, "z")
				unary <- err
			}()
			eventually(t, "both are under way", func() bool { return f.world.length(testRoom) == 3 })
			stopped := make(chan struct{})
			go func() { f.stop(); close(stopped) }()
			r.all()
			refused(t, r.err, groups.Unavailable)
			close(hold)
			m, err := s.Receive()
			if err != nil || len(m.Receipts) != 1 {
				t.Errorf("a submission under way: %v, %v", m, err)
			}
			_, err = s.Receive()
			refused(t, err, groups.Unavailable)
			s.CloseRequest()
			s.CloseResponse()
			if err := <-unary; err != nil {
				t.Errorf("a call under way: %v", err)
			}
			<-stopped
		})
	}
}

// A call that never ends does not keep the server from stopping.
func TestStopIsBounded(t *testing.T) {
	f := serve(t, func(c *Config) { c.Limits.DrainTimeout = 100 * time.Millisecond })
	c := f.login(alice, f.http2())
	c.must(testRoom, groups.KindCreate, "x")
	hold := make(chan struct{})
	f.world.mu.Lock()
	f.world.hold = hold
	f.world.mu.Unlock()
	failed := make(chan error, 1)
	go func() {
		_, err := c.submit(testRoom, groups.KindMessage, "z")
		failed <- err
	}()
	eventually(t, "it is under way", func() bool { return f.world.length(testRoom) == 2 })
	go func() {
		if err := <-failed; err == nil {
			t.Error("answered without an outcome")
		}
		close(hold) // what stands behind the gateway may end now
	}()
	start := time.Now()
	f.stop()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("stopping took %s", d)
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{}); groups.KindOf(err) != groups.Invalid || !strings.Contains(fmt.Sprint(err), "Node") {
		t.Errorf("an empty Config: %v", err)
	}
	if _, err := newMetrics(nil); err != nil {
		t.Error(err)
	}
	if !errors.Is(errNoSession, &groups.Error{Kind: groups.Denied}) {
		t.Error("errNoSession is not Denied")
	}
}
