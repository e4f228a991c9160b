package service

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
	// Told returns the responder that a site's trust bundle names, empty for none;
	// required if URL says StatusBundle.
	Told func(site string) (string, error)
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
	at, err := c.responder(name.Site)
	if err != nil || at == StatusNone {
		return err
	}
	if issuer == nil {
		return errors.New("the certificate's issuer is not known")
	}
	client := c.Client(name.Site)
	if client == nil {
		return fmt.Errorf("the trust bundle of %s was not there when this service started: start it again", name.Site)
	}
	_, status, err := AskStatus(ctx, client, StatusQuestion{URL: at, Cert: cert, Issuer: issuer, Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	if status.State != coi.Good {
		return fmt.Errorf("%s says: %s", at, status.State)
	}
	c.keep(key, now, status.NextUpdate)
	return nil
}

// responder returns the URL of a site's responder, or StatusNone.
func (c *StatusClient) responder(site string) (string, error) {
	at := c.URL[site]
	switch at {
	case "":
		return "", fmt.Errorf("no status service is configured for the devices of %s", site)
	case StatusBundle:
		told, err := c.Told(site)
		if err == nil && told == "" {
			told = StatusNone
		}
		return told, err
	}
	return at, nil
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

const (
	// StatusNone, in place of a responder's URL, says that nobody is to be asked
	// about the devices of a site: they are cut off by the entitlements alone.
	StatusNone = "none"
	// StatusBundle is the responder that the site's trust bundle names, as it is
	// when a device asks; StatusNone while it names none.
	StatusBundle = "bundle"
)

// CheckResponder refuses what says nothing of who is asked about devices.
func CheckResponder(s string) error {
	if s == StatusNone || s == StatusBundle {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is no responder: write its URL such as https://127.0.0.1:7447, %q for the one that the site's trust bundle names, or %q for nobody, which lets revoked devices in",
			s, StatusBundle, StatusNone)
	}
	return nil
}

// ResponderOf returns where a site's trust bundle says that its status is asked
// for, that of devices too; empty for nowhere.
func ResponderOf(s *coi.Site) string {
	for i := range s.CoIs {
		if s.CoIs[i].OCSP != "" {
			return s.CoIs[i].OCSP
		}
	}
	return ""
}

// Unchecked says what the devices of a site may do, if nobody is asked about them
// under a setting of status; empty if somebody is, or if they get nothing at all.
func Unchecked(s *coi.Site, status string) string {
	responder := ResponderOf(s)
	why := ""
	switch {
	case status == StatusNone && responder != "":
		why = fmt.Sprintf("status says %q, and the site has a responder at %s", StatusNone, responder)
	case status == StatusNone:
		why = fmt.Sprintf("status says %q", StatusNone)
	case status == StatusBundle && responder == "":
		why = fmt.Sprintf("status says %q, and the site's trust bundle names no responder", StatusBundle)
	default:
		return ""
	}
	return fmt.Sprintf("revoked devices of %s get keys here until parley-pki entitle deny names them: in config.toml, %s", s.Name, why)
}
