package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"parley/api/interop/v1/interopv1connect"
)

const (
	maxMessage  = 64 << 20 // bytes of a call; larger ones are refused
	maxHeader   = 64 << 10
	headWithin  = 10 * time.Second
	closeWithin = 5 * time.Second
)

// serve answers calls that come over l, HTTP/2 without TLS, until ctx ends. Calls
// that then take longer than closeWithin are cut off. It closes l.
func serve(ctx context.Context, l net.Listener, s *service) error {
	server := &http.Server{
		Handler: handler(s), Protocols: new(http.Protocols),
		ReadHeaderTimeout: headWithin, MaxHeaderBytes: maxHeader,
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(l) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	err := server.Shutdown(end)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-stopped
	if err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// handler speaks gRPC, gRPC-Web and Connect for s.
func handler(s *service) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(interopv1connect.NewMLSClientHandler(s,
		connect.WithInterceptors(oneByOne()), connect.WithReadMaxBytes(maxMessage)))
	return mux
}

// oneByOne lets one call at a time into the service, and gives its errors the
// code that the caller sees.
func oneByOne() connect.UnaryInterceptorFunc {
	var mu sync.Mutex
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
			mu.Lock()
			defer mu.Unlock()
			resp, err := next(ctx, r)
			if err != nil {
				return nil, connect.NewError(code(err), err)
			}
			return resp, nil
		}
	}
}
