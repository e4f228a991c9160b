package gateway

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	devicev1 "parley/api/device/v1"
	"parley/api/device/v1/devicev1connect"
	"parley/groups"
)

const (
	testSite groups.SiteID = "alpha.example"
	testNode groups.NodeID = "mimi://alpha.example/n/a1"
	testRoom groups.RoomID = "mimi://alpha.example/r/ops"

	alice groups.DeviceID = "mimi://alpha.example/d/alice/laptop"
	phone groups.DeviceID = "mimi://alpha.example/d/alice/phone"
	bob   groups.DeviceID = "mimi://alpha.example/d/bob/laptop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fixture is a running Server on loopback and the world behind it.
type fixture struct {
	t      testing.TB
	world  *world
	server *Server
	reg    *prometheus.Registry
	addr   string
	pool   *x509.CertPool
	stop   func() // stops the server and waits
}

// serve runs a Server; change may alter its Config.
func serve(t testing.TB, change func(*Config)) *fixture {
	t.Helper()
	cert, pool := selfSigned(t)
	f := &fixture{t: t, world: newWorld(), reg: prometheus.NewRegistry(), pool: pool}
	c := Config{
		Node: testNode, Site: testSite, TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		Authenticator: f.world, Submitter: f.world, Log: f.world, Rooms: f.world, Mailbox: f.world,
		Registry: f.world, Blobs: f.world, KeySource: f.world, Roster: f.world, Signals: f.world,
		Metrics: f.reg, Now: func() time.Time { return f.world.now() },
		Limits: Limits{Messages: 1e6, MessageBurst: 1e6, Commits: 1e6, CommitBurst: 1e6, DrainTimeout: 5 * time.Second},
	}
	if change != nil {
		change(&c)
	}
	var err error
	if f.server, err = New(c); err != nil {
		t.Fatal(err)
	}
	tcp, udp := listen(t)
	f.addr = tcp.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.server.Serve(ctx, tcp, udp) }()
	stopped := false
	f.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		f.world.held.Wait()
		if n := f.world.watching(); n != 0 {
			t.Errorf("%d watches are left", n)
		}
	}
	t.Cleanup(f.stop)
	return f
}

// listen finds a port that is free for both.
func listen(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 10 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp
		}
		tcp.Close()
	}
	t.Fatal("no port free for TCP and UDP")
	return nil, nil
}

func selfSigned(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a1"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// http2 and http3Client make clients of one protocol each.
func (f *fixture) http2() *http.Client {
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.pool}, ForceAttemptHTTP2: true}
	f.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func (f *fixture) http1() *http.Client {
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.pool}}
	f.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func (f *fixture) http3() *http.Client {
	t := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: f.pool}}
	f.t.Cleanup(func() { t.Close() })
	return &http.Client{Transport: t}
}

// A caller is a device with a client.
type caller struct {
	devicev1connect.DeviceServiceClient
	f       *fixture
	device  groups.DeviceID
	cert    []byte
	key     crypto.Signer
	session string
}

// caller makes a device that is not logged in, with an Ed25519 key.
func (f *fixture) caller(device groups.DeviceID, h *http.Client, options ...connect.ClientOption) *caller {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.callerWith(device, h, key, options...)
}

func (f *fixture) callerWith(device groups.DeviceID, h *http.Client, key crypto.Signer, options ...connect.ClientOption) *caller {
	c := &caller{f: f, device: device, key: key, cert: fmt.Appendf(nil, "certificate of %s %p", device, key)}
	f.world.mu.Lock()
	f.world.certs[string(c.cert)] = worldCert{device, key.Public(), time.Now().Add(24 * time.Hour)}
	f.world.mu.Unlock()
	options = append(options, connect.WithInterceptors(bearer{c}))
	c.DeviceServiceClient = devicev1connect.NewDeviceServiceClient(h, "https://"+f.addr, options...)
	return c
}

// login makes a device with a session.
func (f *fixture) login(device groups.DeviceID, h *http.Client, options ...connect.ClientOption) *caller {
	f.t.Helper()
	c := f.caller(device, h, options...)
	if err := c.login(); err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (c *caller) login() error {
	m, err := c.proof()
	if err != nil {
		return err
	}
	r, err := c.Login(context.Background(), connect.NewRequest(m))
	if err == nil {
		c.session = r.Msg.Session
	}
	return err
}

// proof asks for a challenge and signs it.
func (c *caller) proof() (*devicev1.LoginRequest, error) {
	r, err := c.Challenge(context.Background(), connect.NewRequest(&devicev1.ChallengeRequest{Device: string(c.device)}))
	if err != nil {
		return nil, err
	}
	m := &devicev1.LoginRequest{Device: string(c.device), Chain: [][]byte{c.cert}, Nonce: r.Msg.Nonce}
	m.Signature, err = c.sign(loginTBS(groups.NodeID(r.Msg.Node), c.device, r.Msg.Nonce))
	return m, err
}

func (c *caller) sign(b []byte) ([]byte, error) {
	if k, ok := c.key.(*ecdsa.PrivateKey); ok {
		h := map[int]crypto.Hash{256: crypto.SHA256, 384: crypto.SHA384, 521: crypto.SHA512}[k.Params().BitSize]
		d := h.New()
		d.Write(b)
		return c.key.Sign(rand.Reader, d.Sum(nil), h)
	}
	return c.key.Sign(rand.Reader, b, crypto.Hash(0))
}

// bearer puts the session into every call.
type bearer struct{ c *caller }

func (b bearer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		r.Header().Set("Authorization", "Bearer "+b.c.session)
		return next(ctx, r)
	}
}

func (b bearer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, s connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, s)
		conn.RequestHeader().Set("Authorization", "Bearer "+b.c.session)
		return conn
	}
}

func (b bearer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// submission makes one with a random id.
func submission(room groups.RoomID, k groups.EntryKind, body string) *devicev1.Submission {
	id := make([]byte, 16)
	rand.Read(id)
	return &devicev1.Submission{Room: string(room), Kind: uint32(k), Id: id, Body: []byte(body)}
}

// submit submits and returns the receipt.
func (c *caller) submit(room groups.RoomID, k groups.EntryKind, body string) (groups.Receipt, error) {
	r, err := c.Submit(context.Background(), connect.NewRequest(&devicev1.SubmitRequest{Submission: submission(room, k, body)}))
	if err != nil {
		return groups.Receipt{}, err
	}
	return receiptOf(r.Msg.Receipt)
}

// must fails the test unless a submission is accepted.
func (c *caller) must(room groups.RoomID, k groups.EntryKind, body string) groups.Seq {
	c.f.t.Helper()
	r, err := c.submit(room, k, body)
	if err != nil {
		c.f.t.Fatalf("submit %s %q: %v", k, body, err)
	}
	return r.Seq
}

// refusal returns what a call was refused with.
func refusal(err error) (connect.Code, *devicev1.Refusal) {
	ce, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return 0, &devicev1.Refusal{Kind: fmt.Sprint("no connect error: ", err)}
	}
	for _, d := range ce.Details() {
		if m, err := d.Value(); err == nil {
			if r, ok := m.(*devicev1.Refusal); ok {
				return ce.Code(), r
			}
		}
	}
	return ce.Code(), &devicev1.Refusal{}
}

// refused fails the test unless err is a refusal of a kind.
func refused(t testing.TB, err error, k groups.Kind) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want %s", k)
	}
	if _, r := refusal(err); r.Kind != k.String() {
		t.Fatalf("refused with %q (%v), want %s", r.Kind, err, k)
	}
}
