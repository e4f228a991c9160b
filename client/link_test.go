package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/api/device/v1/devicev1connect"
	enrollv1 "parley/api/enroll/v1"
	"parley/api/enroll/v1/enrollv1connect"
	"parley/client"
	"parley/client/store"
	"parley/coi"
	"parley/groups"
)

// serve runs a handler over HTTP/2 and TLS with a certificate, on loopback.
func serve(t *testing.T, cert *coi.Issued, chain []*x509Cert, h http.Handler) (address string) {
	t.Helper()
	pair := tls.Certificate{Certificate: append([][]byte{cert.Cert.Raw}, coi.Chain(chain...)...), PrivateKey: cert.Key}
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: h, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ServeTLS(l, "", "")
	}()
	t.Cleanup(func() { server.Close(); <-done })
	return l.Addr().String()
}

// A tiny gateway says what a test wants to hear.
type tiny struct {
	devicev1connect.UnimplementedDeviceServiceHandler
	node string
	saw  chan string // Authorization of each submission
}

func (g *tiny) Challenge(context.Context, *connect.Request[devicev1.ChallengeRequest]) (*connect.Response[devicev1.ChallengeResponse], error) {
	return connect.NewResponse(&devicev1.ChallengeResponse{Node: g.node, Nonce: []byte("n")}), nil
}

func (g *tiny) Login(context.Context, *connect.Request[devicev1.LoginRequest]) (*connect.Response[devicev1.LoginResponse], error) {
	return connect.NewResponse(&devicev1.LoginResponse{Session: "token"}), nil
}

func (g *tiny) Submit(_ context.Context, req *connect.Request[devicev1.SubmitRequest]) (*connect.Response[devicev1.SubmitResponse], error) {
	g.saw <- req.Header().Get("Authorization")
	err := connect.NewError(connect.CodeAborted, errors.New("x"))
	err.AddDetail(must(connect.NewErrorDetail(&devicev1.Refusal{Kind: "stale_epoch", Text: "too late", Epoch: 7, Seq: 9})))
	return nil, err
}

func (g *tiny) SubmitStream(_ context.Context, s *connect.BidiStream[devicev1.SubmitStreamRequest, devicev1.SubmitStreamResponse]) error {
	for {
		req, err := s.Receive()
		if err != nil {
			return err
		}
		answer := new(devicev1.SubmitStreamResponse)
		for _, sub := range req.Submissions {
			answer.Receipts = append(answer.Receipts, sub.Id)
		}
		if err := s.Send(answer); err != nil {
			return err
		}
	}
}

func (g *tiny) Tail(ctx context.Context, _ *connect.Request[devicev1.TailRequest], s *connect.ServerStream[devicev1.TailResponse]) error {
	if err := s.Send(&devicev1.TailResponse{CaughtUp: true}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (g *tiny) GetBlob(_ context.Context, _ *connect.Request[devicev1.GetBlobRequest], s *connect.ServerStream[devicev1.GetBlobResponse]) error {
	return s.Send(&devicev1.GetBlobResponse{Chunk: []byte("blob")})
}

// gateway runs a tiny gateway of the hub's site and dials it.
func (h *hub) gateway(node string) (*tiny, client.Identity) {
	h.t.Helper()
	g := &tiny{node: node, saw: make(chan string, 1)}
	mux := http.NewServeMux()
	mux.Handle(devicev1connect.NewDeviceServiceHandler(g))
	address := serve(h.t, must(h.ca.IssueNode("a1", []string{"127.0.0.1"}, time.Now())), nil, mux)
	return g, client.Identity{Device: "mimi://alpha.example/d/alice/laptop", Trust: h.trust, Gateways: []string{address}}
}

func TestLinkSpeaksToAGateway(t *testing.T) {
	h := newHub(t, "alpha.example")
	g, id := h.gateway("mimi://alpha.example/n/a1")
	link := must(client.Dial(t.Context(), id))
	defer link.Close()
	var challenge devicev1.ChallengeResponse
	if err := link.Call(t.Context(), &devicev1.ChallengeRequest{}, &challenge); err != nil || string(challenge.Nonce) != "n" {
		t.Fatal(err)
	}
	if err := link.Call(t.Context(), &devicev1.LoginRequest{}, &devicev1.LoginResponse{}); err != nil {
		t.Fatal(err)
	}
	err := link.Call(t.Context(), &devicev1.SubmitRequest{}, &devicev1.SubmitResponse{})
	remote, ok := errors.AsType[*groups.RemoteError](err)
	if !ok || remote.Kind != groups.StaleEpoch || remote.Text != "too late" || remote.Epoch != 7 || remote.Seq != 9 {
		t.Errorf("a refusal arrives as %v", err)
	}
	if saw := <-g.saw; saw != "Bearer token" {
		t.Errorf("the session is sent as %q", saw)
	}
	err = link.Call(t.Context(), &devicev1.AckRequest{}, &devicev1.AckResponse{})
	if remote, ok := errors.AsType[*groups.RemoteError](err); !ok || remote.Kind != groups.NotFound {
		t.Errorf("a call that the gateway does not have: %v", err)
	}
	submit := must(link.Submit(t.Context()))
	for i := range 3 {
		if err := submit.Send(&devicev1.SubmitStreamRequest{Submissions: []*devicev1.Submission{{Id: []byte{byte(i)}}}}); err != nil {
			t.Fatal(err)
		}
		answer, err := submit.Receive()
		if err != nil || answer.Receipts[0][0] != byte(i) {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	for i := range 3 {
		if err := submit.Send(&devicev1.SubmitStreamRequest{Submissions: []*devicev1.Submission{{Id: []byte{byte(10 + i)}}}}); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < 3; {
		answer, err := submit.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range answer.Receipts {
			if r[0] != byte(10+got) {
				t.Fatalf("receipt %d is of %d", got, r[0])
			}
			got++
		}
	}
	submit.Close()
	if _, err := submit.Receive(); err == nil {
		t.Error("a closed stream answers")
	}
	blob := must(link.Blob(t.Context(), &devicev1.GetBlobRequest{}))
	if part, err := blob.Receive(); err != nil || string(part.Chunk) != "blob" {
		t.Error(err)
	}
	if _, err := blob.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
	blob.Close()
	tail := must(link.Tail(t.Context(), &devicev1.TailRequest{}))
	if answer, err := tail.Receive(); err != nil || !answer.CaughtUp {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { _, err := tail.Receive(); ended <- err }()
	link.Close()
	if err := <-ended; err == nil {
		t.Error("closing the link does not end its streams")
	}
	if err := link.Call(t.Context(), &devicev1.LoginRequest{}, &devicev1.LoginResponse{}); groups.KindOf(err) != groups.Unavailable {
		t.Errorf("a closed link: %v", err)
	}
}

func TestLinkTrustsOnlyNodesOfTheOwnSite(t *testing.T) {
	h := newHub(t, "alpha.example")
	call := func(id client.Identity) error {
		link, err := client.Dial(t.Context(), id)
		if err != nil {
			return err
		}
		defer link.Close()
		return link.Call(t.Context(), &devicev1.ChallengeRequest{}, &devicev1.ChallengeResponse{})
	}
	_, id := h.gateway("mimi://alpha.example/n/other")
	if err := call(id); groups.KindOf(err) != groups.Denied {
		t.Errorf("a challenge of another node: %v", err)
	}
	foreign := newHub(t, "beta.example")
	_, theirs := foreign.gateway("mimi://beta.example/n/a1")
	theirs.Device, theirs.Trust = id.Device, append(h.trust, foreign.trust...)
	// One who is not trusted was called unreachable.
	untrusted := func(err error) bool {
		return groups.KindOf(err) == groups.Denied && strings.Contains(err.Error(), "is not trusted") && !strings.Contains(err.Error(), "reachable")
	}
	if err := call(theirs); !untrusted(err) {
		t.Errorf("a node of another site is our gateway: %v", err)
	}
	theirs.Trust = h.trust
	if err := call(theirs); !untrusted(err) {
		t.Errorf("a node of an unknown site is our gateway: %v", err)
	}
	id.Gateways = []string{"127.0.0.1:1"}
	if err := call(id); groups.KindOf(err) != groups.Unavailable {
		t.Errorf("nobody listens: %v", err)
	}
	id.Gateways = nil
	if err := call(id); groups.KindOf(err) != groups.Unavailable {
		t.Errorf("no gateway is known: %v", err)
	}
}

// An enroller certifies whatever it is asked, for alice.
type enroller struct {
	h *hub
}

func (e *enroller) Enroll(_ context.Context, req *connect.Request[enrollv1.EnrollRequest]) (*connect.Response[enrollv1.EnrollResponse], error) {
	if req.Msg.Code != "right" {
		return nil, connect.NewError(connect.CodePermissionDenied, errors.New("wrong code"))
	}
	key, err := coi.ParseRequest(req.Msg.Csr)
	if err != nil {
		return nil, err
	}
	cert := must(e.h.devices.IssueDevice(coi.Name{Purpose: coi.Device, Site: "alpha.example", Local: "alice", Device: req.Msg.Device}, key, time.Now()))
	return connect.NewResponse(&enrollv1.EnrollResponse{
		Chain: [][]byte{cert.Raw}, Device: "mimi://alpha.example/d/alice/" + req.Msg.Device, Trust: e.trust("g1:443"),
	}), nil
}

func (e *enroller) Trust(context.Context, *connect.Request[enrollv1.TrustRequest]) (*connect.Response[enrollv1.TrustResponse], error) {
	return connect.NewResponse(e.trust("g2:443")), nil
}

func (e *enroller) trust(gateway string) *enrollv1.TrustResponse {
	return &enrollv1.TrustResponse{
		Sites: []*enrollv1.SiteTrust{{
			Site: "alpha.example", Roots: [][]byte{e.h.ca.Cert.Raw}, Intermediates: [][]byte{e.h.devices.Cert.Raw},
		}},
		Gateways: []string{gateway},
	}
}

func TestEnrolment(t *testing.T) {
	h := newHub(t, "alpha.example")
	mux := http.NewServeMux()
	mux.Handle(enrollv1connect.NewEnrollServiceHandler(&enroller{h}))
	service := "https://" + serve(t, must(h.ca.IssueService("enroll", []string{"127.0.0.1"}, time.Now())), []*x509Cert{h.ca.Cert}, mux)
	print := coi.FingerprintOf(h.ca.Cert)
	ca := coi.EncodeCertificatesPEM(h.ca.Cert)
	foreign := newHub(t, "beta.example")
	other := coi.FingerprintOf(foreign.ca.Cert)
	for name, e := range map[string]client.Enrolment{
		"wrong code":        {Code: "wrong", Fingerprint: &print},
		"wrong fingerprint": {Code: "right", Fingerprint: &other},
		"wrong CA":          {Code: "right", CA: coi.EncodeCertificatesPEM(foreign.ca.Cert)},
		"no CA":             {Code: "right"},
	} {
		s := store.NewMemory()
		e.Service, e.Device = service, "laptop"
		if _, err := client.Enroll(t.Context(), s, e); err == nil {
			t.Errorf("%s: enrolled", name)
		}
		if _, err := client.LoadIdentity(s); !errors.Is(err, client.ErrNoIdentity) {
			t.Errorf("%s: the store holds %v", name, err)
		}
	}
	for _, e := range []client.Enrolment{{Fingerprint: &print}, {CA: ca}} {
		s := store.NewMemory()
		e.Service, e.Device, e.Code = service, "laptop", "right"
		id, err := client.Enroll(t.Context(), s, e)
		if err != nil || id.Device != "mimi://alpha.example/d/alice/laptop" || id.Gateways[0] != "g1:443" {
			t.Fatalf("%+v, %v", id, err)
		}
		if _, err := client.Enroll(t.Context(), s, e); !errors.Is(err, client.ErrIdentity) {
			t.Errorf("enrolled twice: %v", err)
		}
		d := must(client.Open(client.Config{Store: s}))
		if err := d.RefreshTrust(t.Context()); err != nil || d.Identity().Gateways[0] != "g2:443" {
			t.Errorf("refreshed: %v, %v", d.Identity().Gateways, err)
		}
		d.Close()
	}
}

func TestIdentityIsChecked(t *testing.T) {
	h := newHub(t, "alpha.example")
	s := store.NewMemory()
	h.enrol("alice/laptop", s)
	good := must(client.LoadIdentity(s))
	_, key, _ := ed25519.GenerateKey(nil)
	if err := client.SaveIdentity(store.NewMemory(), good, key, time.Now()); err == nil {
		t.Error("a certificate for another key is stored")
	}
	if _, err := client.Open(client.Config{Store: store.NewMemory()}); !errors.Is(err, client.ErrNoIdentity) {
		t.Errorf("an empty store: %v", err)
	}
}
