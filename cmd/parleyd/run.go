package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"parley/federation"
	"parley/gateway"
	"parley/storage"
)

// node is a running gateway node and the order in which it ends: devices
// first, then links, then the log.
type node struct {
	config  *config
	id      *identity
	log     *slog.Logger
	metrics *prometheus.Registry
	store   *storage.Store
	links   *federation.Node
	server  *gateway.Server
}

// stopTime bounds an orderly end; what is still open then is cut off.
const stopTime = 15 * time.Second

// gcPercent is how much garbage there may be, in per cent of what is in use,
// unless the environment's GOGC says otherwise. What is in use is mostly tables
// of Badger, without pointers: looking through it costs little, and garbage up to
// as much again would be memory that is touched once.
const gcPercent = 50

// run starts a node, serves until ctx is done or a part fails, and stops it.
func run(ctx context.Context, c *config) error {
	privateFiles()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log, err := newLogger(c.Log)
	if err != nil {
		return err
	}
	n, err := newNode(c, log)
	if err != nil {
		return err
	}
	cfg, err := n.storageConfig()
	if err != nil {
		return err
	}
	if n.store, err = storage.Open(cfg); err != nil {
		return fmt.Errorf("open %s: %w", cfg.Dir, err)
	}
	s, err := listen(c)
	if err != nil {
		return errors.Join(err, n.store.Close())
	}
	serveErr := n.serve(ctx, s)
	closeErr := n.store.Close()
	n.log.Info("stopped")
	return errors.Join(serveErr, closeErr)
}

// newNode makes a node that has its identity and nothing else yet.
func newNode(c *config, log *slog.Logger) (*node, error) {
	n := &node{config: c, log: log, metrics: prometheus.NewRegistry()}
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	n.id, err = loadIdentity(c)
	return n, err
}

// serve runs links, gateway and admin port on s until ctx is done. It closes s.
func (n *node) serve(ctx context.Context, s *sockets) error {
	if err := n.connect(s); err != nil {
		return errors.Join(err, s.close())
	}
	admin := serveAdmin(s.admin, n.metrics, n.status())
	n.log.Info("ready", "node", n.config.nodeID(), "devices", s.tcp.Addr().String(),
		"nodes", n.links.Addr().String(), "admin", s.admin.Addr().String())

	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error { return n.server.Serve(inner, s.tcp, s.udp) })
	g.Go(func() error { return n.fetchBlobs(inner) })
	err := g.Wait()
	n.log.Info("stopping")
	stopCtx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return errors.Join(err, n.links.Close(), admin.stop(stopCtx), s.links.Close())
}

// connect makes the parts that serve and lets them know each other. It starts
// the links last: what may go wrong by then has started nothing.
func (n *node) connect(s *sockets) error {
	late := &signals{}
	links, err := n.federationConfig(late)
	if err != nil {
		return err
	}
	links.PacketConn = s.links
	if n.links, err = federation.New(links); err != nil {
		return err
	}
	if n.server, err = gateway.New(n.gatewayConfig()); err != nil {
		return err
	}
	late.server = n.server
	if err := n.links.Start(); err != nil {
		return fmt.Errorf("federation.listen: %w", err)
	}
	return nil
}

// newLogger writes text on a terminal and JSON elsewhere, unless told.
func newLogger(c logConfig) (*slog.Logger, error) {
	var level slog.Level
	if c.Level != "" {
		if err := level.UnmarshalText([]byte(c.Level)); err != nil {
			return nil, fmt.Errorf("log.level: %q is none of debug, info, warn, error", c.Level)
		}
	}
	opts := &slog.HandlerOptions{Level: level}
	switch c.Format {
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
	case "", "auto":
		if term.IsTerminal(int(os.Stderr.Fd())) {
			return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
		}
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	}
	return nil, fmt.Errorf("log.format: %q is none of auto, text, json", c.Format)
}
