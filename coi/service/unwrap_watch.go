package service

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"

	lookupv1 "parley/api/lookup/v1"
	"parley/api/lookup/v1/lookupv1connect"
	"parley/coi"
)

// WatchEvery is how often an unwrap service looks at the certificates over its
// keys.
const WatchEvery = time.Hour

// watchWithin bounds the questions about one CoI.
const watchWithin = 30 * time.Second

// A CertificateWatch looks at what the world sees of the keys that an unwrap
// service holds: the certificate that the lookup service shows as the one in use,
// and its status. It opens and refuses nothing; it tells the administrator early
// what devices find out as well.
type CertificateWatch struct {
	Site   string                        // required
	Trust  func() (*coi.Trust, error)    // read at each round; required
	Keys   func() (*KeyRing, error)      // read at each round; required
	Status map[string]string             // the service's settings of who is asked about devices, by site
	Client func(*coi.Trust) *http.Client // to the site's services; nil is PeerClient
	Logger *slog.Logger                  // nil logs nothing
	Now    func() time.Time              // nil is time.Now
}

// Run looks at once and then each hour, until its context ends.
func (w *CertificateWatch) Run(ctx context.Context) {
	log := w.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ticker := time.NewTicker(WatchEvery)
	defer ticker.Stop()
	for {
		for _, problem := range w.Problems(ctx) {
			log.Warn("certificate of a CoI", "problem", problem)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Problems makes one round and says what is wrong: nothing, if the certificate in
// use of each CoI with a key here is over one of these keys, in force, and good by
// its status.
func (w *CertificateWatch) Problems(ctx context.Context) []string {
	trust, err := w.Trust()
	if err != nil {
		return []string{fmt.Sprintf("read trust: %v", err)}
	}
	ring, err := w.Keys()
	if err != nil {
		return []string{fmt.Sprintf("read keys: %v", err)}
	}
	var calls *http.Client
	if w.Client != nil {
		calls = w.Client(trust)
	} else {
		calls = PeerClient(trust, w.Site, w.now)
	}
	defer calls.CloseIdleConnections()
	var out []string
	told := map[string]coi.Community{}
	for _, s := range trust.Sites() {
		if problem := Unchecked(&s, w.Status[s.Name]); problem != "" && !meant(&s, w.Status[s.Name]) {
			out = append(out, problem)
		}
		if s.Name == w.Site {
			for _, c := range s.CoIs {
				told[c.Name] = c
			}
		}
	}
	for _, name := range ring.Names() {
		c, known := told[name]
		if !known {
			out = append(out, fmt.Sprintf("%s has a key here, and the site's trust bundle does not name it: parley-pki trust coi", name))
			continue
		}
		if err := w.look(ctx, calls, trust, ring, &c); err != nil {
			out = append(out, fmt.Sprintf("%s: %v", name, err))
		}
	}
	return out
}

// meant says whether nobody is asked about a site's devices because somebody has
// said so, and there is nobody to ask.
func meant(s *coi.Site, status string) bool { return status == StatusNone && ResponderOf(s) == "" }

func (w *CertificateWatch) now() time.Time {
	if w.Now != nil {
		return w.Now()
	}
	return time.Now()
}

// look asks about one CoI.
func (w *CertificateWatch) look(ctx context.Context, calls *http.Client, trust *coi.Trust, ring *KeyRing, c *coi.Community) error {
	ctx, cancel := context.WithTimeout(ctx, watchWithin)
	defer cancel()
	resp, err := lookupv1connect.NewLookupServiceClient(calls, c.Lookup).Lookup(ctx, connect.NewRequest(&lookupv1.LookupRequest{Names: []string{c.Name}}))
	if err != nil {
		return fmt.Errorf("lookup service: %w", err)
	}
	active, err := activeOf(trust, resp.Msg.Cois, c.Name, w.now())
	if err != nil {
		return err
	}
	if !ring.holds(c.Name, active.Leaf) {
		return fmt.Errorf("the lookup service shows serial %x, and its key is not here: nothing is wrapped to it until it is", active.Leaf.SerialNumber)
	}
	if c.OCSP == "" {
		return nil
	}
	_, status, err := AskStatus(ctx, calls, StatusQuestion{URL: c.OCSP, Cert: active.Leaf, Issuer: active.Issuer, Now: w.now})
	if err != nil {
		return err
	}
	if status.State != coi.Good {
		return fmt.Errorf("the certificate in use, serial %x, is %s: have the CoI CA issue another one", active.Leaf.SerialNumber, status.State)
	}
	return nil
}

// activeOf returns the certificate that a lookup service shows as the one in use.
func activeOf(trust *coi.Trust, list []*lookupv1.CoI, name string, now time.Time) (*coi.Subject, error) {
	for _, found := range list {
		for _, cert := range found.Certificates {
			if found.Name != name || !cert.Active {
				continue
			}
			s, err := trust.VerifyCoI(cert.Chain, now)
			if err == nil && s.URI != name {
				err = fmt.Errorf("it is of %s", s.URI)
			}
			if err != nil {
				return nil, fmt.Errorf("the certificate that the lookup service shows: %w", err)
			}
			return s, nil
		}
	}
	return nil, fmt.Errorf("the lookup service shows no certificate in use: have the CoI CA issue one")
}

// holds says whether a certificate of a CoI is over a key of the ring.
func (r *KeyRing) holds(name string, cert *x509.Certificate) bool {
	want := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	for _, k := range r.Of(name) {
		if k.SPKI == want {
			return true
		}
	}
	return false
}
