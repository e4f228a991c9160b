package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
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

// run starts a node, serves until ctx is done or a part fails, and stops it.
func run(ctx context.Context, c *config) error {
	n := &node{config: c, metrics: prometheus.NewRegistry()}
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if n.log, err = newLogger(c.Log); err != nil {
		return err
	}
	if n.id, err = loadIdentity(c); err != nil {
		return err
	}
	if err := n.openStore(); err != nil {
		return err
	}
	serveErr := n.serve(ctx)
	closeErr := n.store.Close()
	n.log.Info("stopped")
	return errors.Join(serveErr, closeErr)
}

func (n *node) openStore() error {
	lowWater, err := parseSize(n.config.Limits.LowWater)
	if err != nil {
		return err
	}
	n.store, err = storage.Open(storage.Config{
		Dir: n.config.path(n.config.Data), Node: n.config.nodeID(),
		Signer: n.id, Verifier: n.id, Directory: directory{n.id},
		Log: n.log.With("part", "storage"), LowWater: lowWater,
	})
	if err != nil {
		return fmt.Errorf("open %s: %w", n.config.path(n.config.Data), err)
	}
	return nil
}

// serve runs links, gateway and admin port until ctx is done.
func (n *node) serve(ctx context.Context) error {
	late := &signals{}
	links, err := n.federationConfig(late)
	if err != nil {
		return err
	}
	if n.links, err = federation.New(links); err != nil {
		return err
	}
	if n.server, err = gateway.New(n.gatewayConfig()); err != nil {
		return err
	}
	late.server = n.server
	tcp, udp, err := listenBoth(n.config.Gateway.Listen)
	if err != nil {
		return fmt.Errorf("gateway.listen: %w", err)
	}
	adminPort, err := net.Listen("tcp", n.config.Admin.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("admin.listen: %w", err), tcp.Close(), udp.Close())
	}
	if err := n.links.Start(); err != nil {
		return errors.Join(fmt.Errorf("federation.listen: %w", err), tcp.Close(), udp.Close(), adminPort.Close())
	}
	admin := serveAdmin(adminPort, n.metrics, n.status())
	n.log.Info("ready", "node", n.config.nodeID(), "devices", tcp.Addr().String(),
		"nodes", n.links.Addr().String(), "admin", adminPort.Addr().String())

	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error { return n.server.Serve(inner, tcp, udp) })
	g.Go(func() error { return n.fetchBlobs(inner) })
	err = g.Wait()
	n.log.Info("stopping")
	stopCtx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return errors.Join(err, n.links.Close(), admin.stop(stopCtx))
}

// listenBoth takes one port number for TCP and UDP. With port 0 the UDP socket
// follows what TCP was given.
func listenBoth(addr string) (net.Listener, net.PacketConn, error) {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		return nil, nil, errors.Join(err, tcp.Close())
	}
	return tcp, udp, nil
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
