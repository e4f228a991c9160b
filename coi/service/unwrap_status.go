package service

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"parley/coi"
)

// maxStatuses bounds the answers that are kept; with more, all are forgotten.
const maxStatuses = 1 << 14

// A StatusClient asks OCSP responders (RFC 6960 over HTTP, with a nonce) whether
// devices' certificates are in force. It is safe for many goroutines.
type StatusClient struct {
	// URL is where the responder of a site's device CA is, by site. A site that is
	// not named has no devices that are good.
	URL map[string]string
	// Client makes the calls to the services of a site; required.
	Client func(site string) *http.Client
	// Keep is how long an answer "good" is used again, never beyond its own end;
	// zero asks each time.
	Keep time.Duration
	// Now is nil for time.Now.
	Now func() time.Time

	mu   sync.Mutex // guards good
	good map[[32]byte]time.Time
}

// Check returns nil only for a certificate that its responder says is good, in
// an answer to this very question.
func (c *StatusClient) Check(ctx context.Context, cert, issuer *x509.Certificate) error {
	now := time.Now()
	if c.Now != nil {
		now = c.Now()
	}
	key := sha256.Sum256(cert.Raw)
	if c.kept(key, now) {
		return nil
	}
	name, err := coi.CertificateName(cert.Raw)
	if err != nil {
		return err
	}
	url := c.URL[name.Site]
	if url == StatusNone {
		return nil
	}
	if url == "" {
		return fmt.Errorf("no status service is configured for the devices of %s", name.Site)
	}
	if issuer == nil {
		return errors.New("the certificate's issuer is not known")
	}
	_, status, err := AskStatus(ctx, c.Client(name.Site), StatusQuestion{URL: url, Cert: cert, Issuer: issuer, Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	if status.State != coi.Good {
		return fmt.Errorf("%s says: %s", url, status.State)
	}
	c.keep(key, now, status.NextUpdate)
	return nil
}

func (c *StatusClient) kept(key [32]byte, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.good[key]
	return ok && now.Before(until)
}

func (c *StatusClient) keep(key [32]byte, now, end time.Time) {
	until := now.Add(c.Keep)
	if end.Before(until) {
		until = end
	}
	if !until.After(now) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.good) >= maxStatuses || c.good == nil {
		c.good = map[[32]byte]time.Time{}
	}
	c.good[key] = until
}

// StatusNone, in place of a responder's URL, says that a site runs no status
// service: its devices are cut off by the entitlements alone.
const StatusNone = "none"
