package client

import (
	"context"
	"log/slog"
	"time"

	"parley/mls/suite"
)

// A Config is what a Device is made of.
type Config struct {
	// Store holds the device's state; it must be given, and an identity must be in it (Enroll).
	Store Store
	// Connect makes a link to one of the site's gateways; nil means Dial with
	// what the identity knows.
	Connect func(ctx context.Context, id Identity) (Link, error)
	// FetchTrust asks the identity realm for the trust bundle and the gateways,
	// and returns the identity with them; nil means from its Service.
	FetchTrust func(ctx context.Context, id Identity) (Identity, error)
	// KeyServices are the certificate services of communities; nil means those
	// that rooms' policies name, over HTTPS.
	KeyServices KeyServices
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log takes what an operator wants to know; nil means nothing is logged.
	Log *slog.Logger
	// Suite is the cipher suite of rooms made here and of the key packages
	// published; zero means X25519, AES-128-GCM, SHA-256, Ed25519.
	Suite suite.ID
	// KeyPackages is how many unused key packages are kept at the gateway;
	// zero means 20.
	KeyPackages int
	// Pipeline is how many messages of one room may be on their way at once;
	// zero means 1. With more the outbox empties faster, but if the hub refuses
	// one for a moment, those behind it overtake it.
	Pipeline int
	// Upkeep is how often, give or take a third, the device looks for work that nobody asked
	// it for: new devices, people waiting to be added, proposals to commit.
	// Zero means 20 seconds.
	Upkeep time.Duration
	// MinBackoff and MaxBackoff bound the wait between two attempts to
	// connect; zero means 250 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
}

const (
	defaultKeyPackages = 20
	defaultUpkeep      = 20 * time.Second
	defaultMinBackoff  = 250 * time.Millisecond
	defaultMaxBackoff  = 30 * time.Second
)

// complete fills in what zero values mean.
func (c Config) complete() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Suite == 0 {
		c.Suite = suite.X25519AES128SHA256Ed25519
	}
	if c.KeyPackages == 0 {
		c.KeyPackages = defaultKeyPackages
	}
	if c.Pipeline == 0 {
		c.Pipeline = 1
	}
	if c.Upkeep == 0 {
		c.Upkeep = defaultUpkeep
	}
	if c.MinBackoff == 0 {
		c.MinBackoff = defaultMinBackoff
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = defaultMaxBackoff
	}
	return c
}
