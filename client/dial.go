package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	devicev1 "parley/api/device/v1"
	"parley/api/device/v1/devicev1connect"
	"parley/coi"
	"parley/groups"
)

const (
	dialTimeout = 10 * time.Second
	// callTimeout bounds a unary call; a commit may wait for another site.
	callTimeout = 60 * time.Second
	// pingAfter is how long a connection may be silent before it is asked
	// whether it lives.
	pingAfter = 15 * time.Second
	// maxAnswer bounds one message from a gateway.
	maxAnswer = 2*groups.MaxFrame + 64<<10
)

// A DialContext opens a connection, as net.Dialer does.
type DialContext func(ctx context.Context, network, address string) (net.Conn, error)

// Dial returns a link to the first of the identity's gateways that can be
// reached: Connect over HTTP/2 and TLS 1.3. The gateway has to present the
// certificate of a node of the device's own site.
func Dial(ctx context.Context, id Identity) (Link, error) {
	return DialOver(ctx, id, (&net.Dialer{Timeout: dialTimeout}).DialContext)
}

// DialOver is Dial over connections that open makes: a proxy's, or those of a
// simulated network.
func DialOver(ctx context.Context, id Identity, open DialContext) (Link, error) {
	trust, err := newTrust(id.Trust)
	if err != nil {
		return nil, err
	}
	if len(id.Gateways) == 0 {
		return nil, groups.Errorf(groups.Unavailable, "no gateway of %s is known: ask the identity realm again", id.Device.Site())
	}
	var last error
	for _, address := range id.Gateways {
		l := newGatewayLink(hostPort(address), id.Device.Site(), trust)
		l.open = open
		if last = l.probe(ctx); last == nil {
			return l, nil
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	return nil, last
}

// hostPort returns the address of a gateway that the identity realm names by a
// URL, https://chat.alpha.example, or by host and port.
func hostPort(gateway string) string {
	address := strings.TrimSuffix(strings.TrimPrefix(gateway, "https://"), "/")
	if _, _, err := net.SplitHostPort(address); err != nil {
		return net.JoinHostPort(strings.Trim(address, "[]"), "443")
	}
	return address
}

// A gatewayLink is a Link over HTTP/2 to one gateway.
type gatewayLink struct {
	address string
	site    groups.SiteID
	trust   *coi.Trust
	open    DialContext
	service devicev1connect.DeviceServiceClient
	token   atomic.Pointer[string] // of the session
	node    atomic.Pointer[string] // URI of the TLS peer

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // open connections, closed with the link
	closed bool
	idle   func()
}

func newGatewayLink(address string, site groups.SiteID, trust *coi.Trust) *gatewayLink {
	l := &gatewayLink{address: address, site: site, trust: trust, conns: make(map[net.Conn]struct{})}
	transport := &http.Transport{
		DialContext:         l.dial,
		TLSClientConfig:     l.tlsConfig(),
		TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: dialTimeout},
	}
	l.idle = transport.CloseIdleConnections
	l.service = devicev1connect.NewDeviceServiceClient(
		&http.Client{Transport: &bearer{transport, l}}, "https://"+address,
		connect.WithReadMaxBytes(maxAnswer),
		connect.WithAcceptCompression("gzip", nil, nil)) // ciphertext does not compress
	return l
}

// tlsConfig accepts a node of the site and remembers which.
func (l *gatewayLink) tlsConfig() *tls.Config {
	return verifiedTLS(func(chain [][]byte) error {
		subject, err := l.trust.Verify(chain, coi.Node, time.Now())
		if err != nil {
			return fmt.Errorf("gateway %s: %w", l.address, err)
		}
		if subject.Site != string(l.site) {
			return groups.Errorf(groups.Denied, "gateway %s is a node of %s, not of %s", l.address, subject.Site, l.site)
		}
		l.node.Store(&subject.URI)
		return nil
	})
}

// dial opens a TCP connection that is closed with the link.
func (l *gatewayLink) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.open(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	tracked := &trackedConn{conn, l}
	l.conns[tracked] = struct{}{}
	return tracked, nil
}

// probe says whether somebody listens at the address.
func (l *gatewayLink) probe(ctx context.Context) error {
	conn, err := l.dial(ctx, "tcp", l.address)
	if err != nil {
		return remoteError(l.address, err)
	}
	return conn.Close()
}

// A trackedConn forgets itself when it is closed.
type trackedConn struct {
	net.Conn
	link *gatewayLink
}

// Close closes the connection.
func (c *trackedConn) Close() error {
	c.link.mu.Lock()
	delete(c.link.conns, c)
	c.link.mu.Unlock()
	return c.Conn.Close()
}

// Close closes all connections: streams and calls under way end.
func (l *gatewayLink) Close() error {
	l.mu.Lock()
	l.closed = true
	open := make([]net.Conn, 0, len(l.conns))
	for c := range l.conns {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		c.Close() // what it has to say is of no use any more
	}
	l.idle()
	return nil
}

// A bearer adds the session to every request.
type bearer struct {
	next http.RoundTripper
	link *gatewayLink
}

// RoundTrip sends a request with the session's token.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if token := b.link.token.Load(); token != nil {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+*token)
		if req.ContentLength < 0 { // our copy of a stream's request
			req.Body = &wholeMessages{ReadCloser: req.Body}
		}
	}
	return b.next.RoundTrip(req)
}

// Call makes a unary call.
func (l *gatewayLink) Call(ctx context.Context, req, resp proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := l.call(ctx, req)
	if err != nil {
		return remoteError(l.address, err)
	}
	proto.Merge(resp, got)
	switch got := got.(type) {
	case *devicev1.LoginResponse:
		l.token.Store(&got.Session)
	case *devicev1.ChallengeResponse:
		if node := l.node.Load(); node == nil || *node != got.Node {
			return groups.Errorf(groups.Denied, "gateway %s gives a challenge of another node, %s", l.address, clip(got.Node))
		}
	}
	return nil
}

// call finds the call by the request's type.
func (l *gatewayLink) call(ctx context.Context, req proto.Message) (proto.Message, error) {
	s := l.service
	switch req := req.(type) {
	case *devicev1.ChallengeRequest:
		return unary(ctx, req, s.Challenge)
	case *devicev1.LoginRequest:
		return unary(ctx, req, s.Login)
	case *devicev1.PublishKeyPackagesRequest:
		return unary(ctx, req, s.PublishKeyPackages)
	case *devicev1.CountKeyPackagesRequest:
		return unary(ctx, req, s.CountKeyPackages)
	case *devicev1.ClaimKeyPackagesRequest:
		return unary(ctx, req, s.ClaimKeyPackages)
	case *devicev1.ListDevicesRequest:
		return unary(ctx, req, s.ListDevices)
	case *devicev1.ListRoomsRequest:
		return unary(ctx, req, s.ListRooms)
	case *devicev1.DescribeRoomRequest:
		return unary(ctx, req, s.DescribeRoom)
	case *devicev1.GetGroupInfoRequest:
		return unary(ctx, req, s.GetGroupInfo)
	case *devicev1.ListWelcomesRequest:
		return unary(ctx, req, s.ListWelcomes)
	case *devicev1.SubmitRequest:
		return unary(ctx, req, s.Submit)
	case *devicev1.AckRequest:
		return unary(ctx, req, s.Ack)
	case *devicev1.SignalRequest:
		return unary(ctx, req, s.Signal)
	case *devicev1.StatBlobRequest:
		return unary(ctx, req, s.StatBlob)
	case *devicev1.PutBlobRequest:
		return unary(ctx, req, s.PutBlob)
	}
	panic(fmt.Sprintf("BUG: %T is not a request of the device service", req))
}

// unary makes one call of the generated client.
func unary[Req, Resp any, P interface {
	*Resp
	proto.Message
}](ctx context.Context, req *Req, do func(context.Context, *connect.Request[Req]) (*connect.Response[Resp], error)) (proto.Message, error) {
	resp, err := do(ctx, connect.NewRequest(req))
	if err != nil {
		return nil, err
	}
	return P(resp.Msg), nil
}
