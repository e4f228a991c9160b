package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/sync/errgroup"
)

const (
	// sweepEvery is how often expired sessions and nonces are forgotten.
	sweepEvery = 5 * time.Second
	// closeTimeout is how long connections have to close after their calls.
	closeTimeout = 250 * time.Millisecond
)

// Serve answers devices on a TCP listener and, unless it is nil, a UDP socket
// of the same port, until ctx is done; then it stops: no new calls, tails are
// told to connect again, submissions under way get their answers, at most
// Limits.DrainTimeout. It closes both, waits for all it has started, and
// returns nil after ctx was done. A Server serves once.
func (s *Server) Serve(ctx context.Context, tcp net.Listener, udp net.PacketConn) error {
	tasks, ctx := errgroup.WithContext(ctx)
	web := s.webServer()
	var quic *quicServer
	if udp != nil {
		var err error
		if quic, err = s.listenQUIC(udp); err != nil {
			return errors.Join(err, tcp.Close(), udp.Close())
		}
		web.Handler = altSvc(quic.http, s)
		tasks.Go(func() error { return served("HTTP/3", quic.serve()) })
	}
	tasks.Go(func() error {
		return served("HTTP", web.ServeTLS(&boundedListener{tcp, &s.tcp, s.config.Limits.Connections}, "", ""))
	})
	background, stop := context.WithCancel(context.Background())
	tasks.Go(func() error { s.sweep(background); return nil })
	tasks.Go(func() error {
		<-ctx.Done()
		defer stop()
		s.shutdown(web, quic)
		return nil
	})
	return tasks.Wait()
}

// served makes the end of a server that we stopped no error.
func served(what string, err error) error {
	if err == nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", what, err)
}

// shutdown lets calls end, then closes what is left.
func (s *Server) shutdown(web *http.Server, quic *quicServer) {
	s.drain.Do(func() { close(s.draining) })
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Limits.DrainTimeout)
	defer cancel()
	s.calls.wait(ctx)
	s.sessions.close() // what still runs ends now
	last, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var closing sync.WaitGroup
	closing.Go(func() {
		if web.Shutdown(last) != nil {
			web.Close()
		}
	})
	if quic != nil {
		quic.close(last)
	}
	closing.Wait()
	s.calls.wait(last)
}

// sweep forgets what has expired and ends stalled streams, until ctx is done.
func (s *Server) sweep(ctx context.Context) {
	expired := time.NewTicker(sweepEvery)
	defer expired.Stop()
	stalled := time.NewTicker(max(s.config.Limits.StallTimeout/8, 10*time.Millisecond))
	defer stalled.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-stalled.C:
			s.stalls.sweep(now)
		case <-expired.C:
			now := s.config.Now()
			s.sessions.sweep(now)
			s.challenges.sweep(now)
			s.devices.sweep(now)
		}
	}
}

// altSvc tells on TCP that HTTP/3 is on the same port.
func altSvc(h3 *http3.Server, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h3.SetQUICHeaders(w.Header()) // fails only before the socket is there: then nothing is told
		next.ServeHTTP(w, r)
	})
}
