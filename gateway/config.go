package gateway

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/groups"
	"parley/mls/wire"
)

// A Config is what a Server is made of.
type Config struct {
	Node groups.NodeID // required; part of what a login signs
	Site groups.SiteID // required; only its devices may log in
	TLS  *tls.Config   // required: the certificates; versions below 1.3 are refused

	Authenticator Authenticator // required
	Submitter     Submitter     // required
	Log           Log           // required
	Rooms         Rooms         // required
	Mailbox       Mailbox       // required
	Registry      Registry      // required
	Blobs         Blobs         // required
	KeySource     KeySource     // required
	Roster        Roster        // nil: DescribeRoom names no devices
	Signals       Signals       // nil: signals stay on this node

	// OrderingCertificates returns the certificates (DER) under which heads
	// are signed, for devices; nil: none are told.
	OrderingCertificates func() [][]byte
	// Suites are the cipher suites of key packages that are taken; empty: 1,
	// 2, 3, 5 and 7.
	Suites []wire.CipherSuite

	Limits  Limits                // zero fields have the defaults named there
	Metrics prometheus.Registerer // nil: nothing is registered
	Logger  *slog.Logger          // nil: nothing is logged
	Now     func() time.Time      // nil: time.Now
}

// Limits are the rates and bounds of protocol.md, section 9. A zero field has
// the default that stands beside it.
type Limits struct {
	SessionLife     time.Duration // 1 h, and never past the certificate
	Sessions        int           // 100,000 on this node; then logins are busy
	DeviceSessions  int           // 16 of one device; then its oldest ends
	Devices         int           // 100,000 devices whose rates are remembered; then logins are busy
	Streams         int           // 16 of one device: Tail, SubmitStream, GetBlob; then busy
	Connections     int           // 65,536 of TCP, as many of QUIC; then they are closed at once
	Handshakes      int           // 200 a second on QUIC; then addresses are validated first
	Messages        float64       // 20 a second and device, messages and proposals
	MessageBurst    int           // 200
	Commits         float64       // 1 a second and device, commits and new rooms
	CommitBurst     int           // 10
	Claims          int           // 10 an hour, of one device for one user
	Signals         float64       // 20 a second and device
	Calls           float64       // 500 a second and device, of all other calls
	BlobBytes       uint64        // 4 GiB a day and device
	InFlight        int           // 4,096 submissions of one stream; then it is not read further
	TailRooms       int           // 10,000 rooms of one tail; then busy
	PageBytes       int           // 128 KiB of a room's entries in one response
	CallTimeout     time.Duration // 60 s to read a request and, unless a stream answers it, to write the answer
	StallTimeout    time.Duration // 30 s without a byte taken; then a stream is ended
	DrainTimeout    time.Duration // 10 s for calls that run when the server stops
	WakeCost        time.Duration // 20 us: a room's n tails are woken at most every n of these
	MaxWakeInterval time.Duration // 100 ms, the longest that a wake is held back
}

// or returns v, or d if v is zero.
func or[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// withDefaults fills the zero fields.
func (l Limits) withDefaults() Limits {
	return Limits{
		SessionLife:     or(l.SessionLife, time.Hour),
		Sessions:        or(l.Sessions, 100_000),
		DeviceSessions:  or(l.DeviceSessions, 16),
		Devices:         or(l.Devices, 100_000),
		Streams:         or(l.Streams, 16),
		Connections:     or(l.Connections, 1<<16),
		Handshakes:      or(l.Handshakes, 200),
		Messages:        or(l.Messages, 20),
		MessageBurst:    or(l.MessageBurst, 200),
		Commits:         or(l.Commits, 1),
		CommitBurst:     or(l.CommitBurst, 10),
		Claims:          or(l.Claims, 10),
		Signals:         or(l.Signals, 20),
		Calls:           or(l.Calls, 500),
		BlobBytes:       or(l.BlobBytes, 4<<30),
		InFlight:        or(l.InFlight, 4096),
		TailRooms:       or(l.TailRooms, 10_000),
		PageBytes:       or(l.PageBytes, 128<<10),
		CallTimeout:     or(l.CallTimeout, time.Minute),
		StallTimeout:    or(l.StallTimeout, 30*time.Second),
		DrainTimeout:    or(l.DrainTimeout, 10*time.Second),
		WakeCost:        or(l.WakeCost, 20*time.Microsecond),
		MaxWakeInterval: or(l.MaxWakeInterval, 100*time.Millisecond),
	}
}

// withDefaults fills what may be left out.
func (c Config) withDefaults() Config {
	c.Limits = c.Limits.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.Suites) == 0 {
		c.Suites = []wire.CipherSuite{1, 2, 3, 5, 7}
	}
	return c
}

// missing names the first required field that is not set.
func (c *Config) missing() string {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"Node", c.Node != ""}, {"Site", c.Site != ""}, {"TLS", c.TLS != nil},
		{"Authenticator", c.Authenticator != nil}, {"Submitter", c.Submitter != nil},
		{"Log", c.Log != nil}, {"Rooms", c.Rooms != nil}, {"Mailbox", c.Mailbox != nil},
		{"Registry", c.Registry != nil}, {"Blobs", c.Blobs != nil}, {"KeySource", c.KeySource != nil},
	} {
		if !f.set {
			return f.name
		}
	}
	return ""
}
