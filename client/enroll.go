package client

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	enrollv1 "parley/api/enroll/v1"
	"parley/api/enroll/v1/enrollv1connect"
	"parley/coi"
	"parley/groups"
)

// An Enrolment is what a person types in to make a device.
type Enrolment struct {
	// Service is the URL of the site's enrolment service; it must be given.
	Service string
	// CA holds the site's CAs in PEM, Fingerprint the SHA-256 of its root: one
	// of them must be given, by another way than the network.
	CA          []byte
	Fingerprint *coi.Fingerprint
	// Code is the one-time code of the person; it must be given.
	Code string
	// Device is the device's local name, such as laptop; it must be given.
	Device string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

const (
	enrollTimeout = 30 * time.Second
	// maxEnrollAnswer bounds the service's answer: CAs of every peer.
	maxEnrollAnswer = 16 << 20
)

// Enroll makes a key, has the site's identity realm certify it, and puts the
// device into s. The key never leaves the store. If the service is not
// reached or refuses, nothing is stored.
func Enroll(ctx context.Context, s Store, e Enrolment) (Identity, error) {
	if _, err := LoadIdentity(s); !errors.Is(err, ErrNoIdentity) {
		return Identity{}, errors.Join(err, ErrIdentity)
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	ctx, cancel := context.WithTimeout(ctx, enrollTimeout)
	defer cancel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("make device key: %w", err)
	}
	csr, err := coi.NewRequest(key)
	if err != nil {
		return Identity{}, err
	}
	service, done, err := e.dial()
	if err != nil {
		return Identity{}, err
	}
	defer done()
	resp, err := service.Enroll(ctx, connect.NewRequest(&enrollv1.EnrollRequest{Code: e.Code, Csr: csr, Device: e.Device}))
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: %w", remoteError(e.Service, err))
	}
	id := Identity{Chain: resp.Msg.Chain, Service: e.Service, Made: e.Now(), Refresh: e.Now()}
	if id.Device, err = groups.ParseDeviceID(resp.Msg.Device); err != nil {
		return Identity{}, fmt.Errorf("enrol at %s: %w", e.Service, err)
	}
	id.setTrust(resp.Msg.Trust)
	if err := SaveIdentity(s, id, key, e.Now()); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// setTrust takes over what the identity realm says.
func (id *Identity) setTrust(t *enrollv1.TrustResponse) {
	id.Trust = nil
	for _, s := range t.GetSites() {
		site := SiteTrust{Site: groups.SiteID(s.Site), Roots: s.Roots, Intermediates: s.Intermediates, CoIRoots: s.CoiRoots}
		for _, c := range s.Cois {
			site.CoIs = append(site.CoIs, coi.Community{Name: c.Name, Lookup: c.Lookup, Unwrap: c.Unwrap, OCSP: c.Ocsp, Officer: c.Officer})
		}
		id.Trust = append(id.Trust, site)
	}
	id.Gateways = t.GetGateways()
}

// dial makes a client of the enrolment service that accepts only a service
// certificate of the site it was told.
func (e *Enrolment) dial() (enrollv1connect.EnrollServiceClient, func(), error) {
	verify := func(chain [][]byte) error {
		site, err := coi.Pin(chain, *e.Fingerprint)
		if err != nil {
			return err
		}
		return verifyPeer(chain, coi.Service, e.Now(), site)
	}
	if e.Fingerprint == nil {
		certs, err := coi.ParseCertificatesPEM(e.CA)
		if err != nil {
			return nil, nil, fmt.Errorf("CA file: %w", err)
		}
		verify = func(chain [][]byte) error { return verifyAnySite(chain, certs, e.Now()) }
	}
	return dialService(e.Service, verify)
}

// dialService makes a client whose TLS peer is judged by verify.
func dialService(url string, verify func(chain [][]byte) error) (enrollv1connect.EnrollServiceClient, func(), error) {
	transport := &http.Transport{
		TLSClientConfig:     verifiedTLS(verify),
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: enrollTimeout,
	}
	service := enrollv1connect.NewEnrollServiceClient(&http.Client{Transport: transport}, url,
		connect.WithReadMaxBytes(maxEnrollAnswer))
	return service, transport.CloseIdleConnections, nil
}

// verifiedTLS is a TLS configuration in which names of URIs count, not names of
// hosts: verify gets the peer's chain, leaf first.
func verifiedTLS(verify func(chain [][]byte) error) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection does it, by our own rules
		VerifyConnection: func(cs tls.ConnectionState) error {
			if err := verify(coi.Chain(cs.PeerCertificates...)); err != nil {
				return &untrustedError{err}
			}
			return nil
		},
	}
}

// An untrustedError says that who answers is not who should.
type untrustedError struct{ err error }

// Error returns what is wrong with the certificate.
func (e *untrustedError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *untrustedError) Unwrap() error { return e.err }

// verifyPeer checks a TLS peer's chain under the CAs of sites.
func verifyPeer(chain [][]byte, p coi.Purpose, now time.Time, sites ...coi.Site) error {
	trust, err := coi.NewTrust(sites...)
	if err != nil {
		return err
	}
	_, err = trust.Verify(chain, p, now)
	return err
}

// verifyAnySite checks a service's chain under CAs whose site is not known:
// it is the one the certificate names.
func verifyAnySite(chain [][]byte, cas []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("the service presents no certificate")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return fmt.Errorf("the service's certificate: %w", err)
	}
	for _, uri := range leaf.URIs {
		if name, err := coi.ParseName(uri.String()); err == nil {
			return verifyPeer(chain, coi.Service, now, coi.NewSite(name.Site, cas))
		}
	}
	return errors.New("the service's certificate names no site")
}

const (
	// trustAge is how old the trust bundle gets before it is fetched again;
	// trustSoon, when somebody of a site that it does not hold was met.
	trustAge  = 24 * time.Hour
	trustSoon = time.Minute
)

// refreshTrust fetches the trust bundle when it is due, and logs in again to
// have the ordering certificates judged anew.
func (d *Device) refreshTrust(ctx context.Context, s *session) error {
	id := d.Identity()
	age := d.cfg.Now().Sub(id.Refresh)
	if id.Service == "" && d.cfg.FetchTrust == nil || age < trustSoon || age < trustAge && !d.stranger.Load() {
		return nil
	}
	if err := d.RefreshTrust(ctx); err != nil {
		return err
	}
	d.stranger.Store(false)
	return d.login(ctx, s)
}

// meets notes a site that the trust bundle does not hold.
func (d *Device) meets(err error) {
	if coi.ReasonOf(err) == coi.UnknownSite {
		d.stranger.Store(true)
	}
}

// RefreshTrust fetches the trust bundle and the gateways' addresses again from
// the identity realm and stores them.
func (d *Device) RefreshTrust(ctx context.Context) error {
	fetch := d.cfg.FetchTrust
	if fetch == nil {
		fetch = d.fetchTrust
	}
	id, err := fetch(ctx, d.Identity())
	if err != nil {
		return err
	}
	id.Refresh = d.cfg.Now()
	return d.setIdentity(id)
}

// fetchTrust asks the enrolment service, which is verified under the trust the
// device has.
func (d *Device) fetchTrust(ctx context.Context, id Identity) (Identity, error) {
	me := d.self.Load()
	service, done, err := dialService(id.Service, func(chain [][]byte) error {
		subject, err := me.trust.Verify(chain, coi.Service, d.cfg.Now())
		if err == nil && subject.Site != string(id.Device.Site()) {
			err = groups.Errorf(groups.Denied, "%s is not of %s", subject.URI, id.Device.Site())
		}
		return err
	})
	if err != nil {
		return id, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, enrollTimeout)
	defer cancel()
	resp, err := service.Trust(ctx, connect.NewRequest(&enrollv1.TrustRequest{}))
	if err != nil {
		return id, fmt.Errorf("fetch trust: %w", remoteError(id.Service, err))
	}
	id.setTrust(resp.Msg)
	return id, nil
}
