package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"parley/groups"
)

// adminServer answers health, metrics, status and profiles on loopback. It has no login:
// who can reach it runs on this machine.
type adminServer struct {
	http *http.Server
	done chan error
}

// status is what the admin port tells; each is called per request.
type status struct {
	ready func() error // nil when the node serves
	nodes func() any   // the site's nodes
	peers func() any   // links to other sites
	rooms func() any   // rooms held here

	refill, acceptLoss func(groups.RoomID) (any, error) // what an operator does with a parked room
}

// serveAdmin starts the port; stop waits for it.
func serveAdmin(l net.Listener, reg *prometheus.Registry, s status) *adminServer {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /nodes", answer(s.nodes))
	mux.HandleFunc("GET /peers", answer(s.peers))
	mux.HandleFunc("GET /rooms", answer(s.rooms))
	mux.HandleFunc("POST /rooms/refill", act(s.refill))
	mux.HandleFunc("POST /rooms/accept-loss", act(s.acceptLoss))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	a := &adminServer{
		http: &http.Server{Handler: fromHere(mux), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10},
		done: make(chan error, 1),
	}
	go func() { a.done <- a.http.Serve(l) }()
	return a
}

// fromHere answers only who asked for a loopback address: a page in a browser
// on this machine may give its own name that address, and not the reverse.
func fromHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !isLoopback(host) {
			http.Error(w, "ask for a loopback address, such as 127.0.0.1", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(read func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if err := enc.Encode(read()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

// actHeader is on every request that changes something: a page in a browser can
// not put it there without being asked first, and is not answered then.
const actHeader = "Parley-Admin"

// act does something to the room that the query names.
func act(do func(groups.RoomID) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(actHeader) == "" {
			http.Error(w, "a request that changes something has the header "+actHeader, http.StatusForbidden)
			return
		}
		room, err := groups.ParseRoomID(r.URL.Query().Get("room"))
		var said any
		if err == nil {
			said, err = do(room)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		answer(func() any { return said })(w, r)
	}
}

func (a *adminServer) stop(ctx context.Context) error {
	err := a.http.Shutdown(ctx)
	if served := <-a.done; served != http.ErrServerClosed {
		return served
	}
	return err
}
