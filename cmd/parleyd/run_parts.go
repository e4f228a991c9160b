package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"time"

	"parley/federation"
	"parley/gateway"
	"parley/groups"
	"parley/storage"
)

// blobs makes storage's blobs those of the links, which ask about blobs that
// are not here yet.
type blobs struct{ *storage.Store }

// StatBlob answers that nothing of an unknown blob is here.
func (b blobs) StatBlob(h groups.Hash) (have, size uint64, complete bool, err error) {
	have, size, complete, err = b.Store.StatBlob(h)
	if err != nil && groups.KindOf(err) == groups.NotFound {
		err = nil
	}
	return have, size, complete, err
}

func (n *node) storageConfig() (storage.Config, error) {
	ballast, err := n.config.Limits.ballast()
	if err != nil {
		return storage.Config{}, err
	}
	lowWater, err := parseSize(n.config.Limits.LowWater)
	return storage.Config{
		Dir: n.config.path(n.config.Data), Node: n.config.nodeID(),
		Signer: n.id, Verifier: n.id, Directory: directory{n.id},
		Log: n.log.With("part", "storage"), LowWater: lowWater, Ballast: ballast,
	}, err
}

func (n *node) gatewayConfig() gateway.Config {
	limits := n.config.Limits
	route := &router{site: n.config.Site, store: n.store, links: n.links}
	return gateway.Config{
		Node: n.config.nodeID(), Site: n.config.Site,
		TLS:           &tls.Config{Certificates: []tls.Certificate{n.id.tls}, MinVersion: tls.VersionTLS13},
		Authenticator: authenticator{n.id}, Submitter: route, KeySource: route,
		Log: n.store, Rooms: n.store, Mailbox: n.store, Registry: n.store, Blobs: n.store,
		Roster: n.store, Signals: n.links, OrderingCertificates: n.id.orderingLeaves,
		Limits:  limits.gateway(),
		Metrics: n.metrics, Logger: n.log.With("part", "gateway"),
	}
}

// gateway turns the file's limits into the gateway's.
func (l limitsConfig) gateway() gateway.Limits {
	return gateway.Limits{
		Messages: l.MessagesPerSecond, MessageBurst: l.MessageBurst,
		Commits: l.CommitsPerSecond, CommitBurst: l.CommitBurst, Claims: l.ClaimsPerHour,
	}
}

func (n *node) federationConfig(late *signals) (federation.Config, error) {
	c := n.config
	cfg := federation.Config{
		Node: c.nodeID(), Certificate: n.id.tlsCertificate,
		Peers: n.id, Orderings: n.id, Log: n.store, Rooms: n.store, Keys: n.store, Blobs: blobs{n.store}, Signals: late,
		Software: version(), Logger: n.log.With("part", "federation"), Registry: n.metrics,
		ResetKey: n.id.resetKey(),
	}
	for _, p := range c.Peers {
		cfg.Sites = append(cfg.Sites, federation.Peer{Site: p.Site, Addresses: p.Addresses})
	}
	if c.Gossip.KeyFile == "" {
		return cfg, nil
	}
	key, err := c.gossipKey()
	if err != nil {
		return cfg, err
	}
	cfg.Gossip = &federation.Gossip{
		Bind: c.Gossip.Listen, Advertise: c.Gossip.Advertise, LinkAddress: c.Federation.Advertise,
		Key: key, Join: c.Gossip.Join,
	}
	return cfg, nil
}

// gossipKey reads what the site's nodes share.
func (c *config) gossipKey() ([]byte, error) {
	file := c.path(c.Gossip.KeyFile)
	key, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("gossip.key_file: %w", err)
	}
	if len(key) != gossipKeySize {
		return nil, fmt.Errorf("gossip.key_file: %s has %d bytes, %d are needed: make one with `head -c %d /dev/urandom`",
			file, len(key), gossipKeySize, gossipKeySize)
	}
	return key, nil
}

// gossipKeySize is that of an AES-256 key.
const gossipKeySize = 32

// wantedInterval is how often missing blobs are looked for without a reason:
// after a start, or when more were missing than are asked for at a time.
const wantedInterval = time.Minute

// fetchBlobs has the links fetch blobs that entries here refer to, until ctx is
// done.
func (n *node) fetchBlobs(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	stop := n.store.WatchWanted(func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	defer stop()
	tick := time.NewTicker(wantedInterval)
	defer tick.Stop()
	for {
		wanted, err := n.store.Wanted()
		if err != nil {
			n.log.Warn("missing blobs can not be listed", "error", err)
		}
		for site, hashes := range wanted {
			n.links.WantBlobs(site, hashes)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-tick.C:
		}
	}
}
