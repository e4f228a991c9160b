package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/time/rate"
)

// Bounds of a connection (protocol.md, section 9).
const (
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 60 * time.Second
	connectionLife   = 24 * time.Hour // then it is closed after the call that runs
	maxHeader        = 16 << 10       // of a request
	connStreams      = 256            // calls at a time on one connection
	streamWindow     = 1 << 20        // what one stream may send unread
	connWindow       = 2 << 20        // what one connection may
)

// tls13 returns the configured certificates with our bounds.
func (s *Server) tls13(protocols ...string) *tls.Config {
	c := s.config.TLS.Clone()
	c.MinVersion = tls.VersionTLS13
	c.NextProtos = protocols
	return c
}

// webServer makes the server of HTTP/1.1 and 2.
func (s *Server) webServer() *http.Server {
	return &http.Server{
		Handler:           s,
		TLSConfig:         s.tls13("h2", "http/1.1"),
		ReadHeaderTimeout: handshakeTimeout, // of the handshake too
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, bornKey{}, time.Now())
		},
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          connStreams,
			MaxReceiveBufferPerConnection: connWindow,
			MaxReceiveBufferPerStream:     streamWindow,
			SendPingTimeout:               idleTimeout,
			PingTimeout:                   handshakeTimeout,
			WriteByteTimeout:              s.config.Limits.StallTimeout,
		},
	}
}

// bornKey finds when a connection began.
type bornKey struct{}

// A boundedListener closes connections over a number at once, before a
// handshake is paid for.
type boundedListener struct {
	net.Listener
	open  *activity
	limit int
}

// Accept returns the next connection within the bound.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.begin(l.limit) {
			return &boundedConn{Conn: c, open: l.open}, nil
		}
		c.Close()
	}
}

// A boundedConn gives its place back when it is closed.
type boundedConn struct {
	net.Conn
	open *activity
	once sync.Once
}

func (c *boundedConn) Close() error {
	c.once.Do(c.open.end)
	return c.Conn.Close()
}

// A quicServer is HTTP/3 on one socket.
type quicServer struct {
	http      *http3.Server
	transport *quic.Transport
	listener  *boundedQUIC
}

// listenQUIC begins to listen; there is no 0-RTT, whose data could be
// replayed. Over Limits.Handshakes a second a stranger has to prove its
// address first (RFC 9000, Section 8.1.2).
func (s *Server) listenQUIC(udp net.PacketConn) (*quicServer, error) {
	handshakes := rate.NewLimiter(rate.Limit(s.config.Limits.Handshakes), s.config.Limits.Handshakes)
	t := &quic.Transport{Conn: udp, VerifySourceAddress: func(net.Addr) bool { return !handshakes.Allow() }}
	l, err := t.Listen(http3.ConfigureTLSConfig(s.tls13()), &quic.Config{
		HandshakeIdleTimeout:       handshakeTimeout,
		MaxIdleTimeout:             idleTimeout,
		KeepAlivePeriod:            idleTimeout / 3,
		InitialStreamReceiveWindow: streamWindow / 4,
		MaxStreamReceiveWindow:     streamWindow,
		MaxConnectionReceiveWindow: connWindow,
		MaxIncomingStreams:         connStreams,
		MaxIncomingUniStreams:      8, // control and QPACK take three
	})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return &quicServer{
		http: &http3.Server{
			Handler:        s,
			MaxHeaderBytes: maxHeader,
			IdleTimeout:    idleTimeout,
			ConnContext: func(ctx context.Context, _ *quic.Conn) context.Context {
				return context.WithValue(ctx, bornKey{}, time.Now())
			},
		},
		transport: t,
		listener:  &boundedQUIC{l, &s.udp, s.config.Limits.Connections},
	}, nil
}

func (q *quicServer) serve() error { return q.http.ServeListener(q.listener) }

// close says goodbye, leaves what was answered until ctx is done to arrive, and
// closes the socket.
func (q *quicServer) close(ctx context.Context) {
	q.http.Shutdown(ctx)
	q.listener.Close()
	q.transport.Close()
	q.transport.Conn.Close()
}

// A boundedQUIC closes connections over a number at once.
type boundedQUIC struct {
	*quic.Listener
	open  *activity
	limit int
}

// Accept returns the next connection within the bound.
func (l *boundedQUIC) Accept(ctx context.Context) (*quic.Conn, error) {
	for {
		c, err := l.Listener.Accept(ctx)
		if err != nil {
			return nil, err
		}
		if l.open.begin(l.limit) {
			context.AfterFunc(c.Context(), l.open.end)
			return c, nil
		}
		c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too many connections")
	}
}
