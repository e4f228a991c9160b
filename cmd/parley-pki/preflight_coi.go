package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	neturl "net/url"
	"slices"
	"time"

	"connectrpc.com/connect"

	lookupv1 "parley/api/lookup/v1"
	"parley/api/lookup/v1/lookupv1connect"
	unwrapv1 "parley/api/unwrap/v1"
	"parley/api/unwrap/v1/unwrapv1connect"
	"parley/coi"
	"parley/coi/service"
)

// community asks the services of one CoI, as a device would before it wraps.
func (p *preflight) community(ctx context.Context, c *coi.Community) {
	calls := service.PeerClient(p.trust, p.site.Name, time.Now)
	defer calls.CloseIdleConnections()
	active := p.lookup(ctx, calls, c)
	if len(c.Unwrap) == 0 {
		p.bad(c.Name, "unwrap", "the trust bundle names no unwrap service", "parley-pki trust coi ... --unwrap URL")
	}
	for _, url := range c.Unwrap {
		p.unwrap(ctx, calls, c, unwrapAt{url, active})
	}
	p.compare(ctx, calls, c)
	if active == nil {
		return
	}
	p.status(ctx, calls, c, active)
}

// lookup returns the certificate that keys would be wrapped to, nil for none.
func (p *preflight) lookup(ctx context.Context, calls *http.Client, c *coi.Community) *coi.Subject {
	if !p.endpoint(c.Name, "lookup", c.Lookup) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, preflightWithin)
	defer cancel()
	resp, err := lookupv1connect.NewLookupServiceClient(calls, c.Lookup).Lookup(ctx, connect.NewRequest(&lookupv1.LookupRequest{Names: []string{c.Name}}))
	if err != nil {
		p.bad(c.Name, "lookup", err.Error(), "start parley-pki lookup, and see its log")
		return nil
	}
	for _, found := range resp.Msg.Cois {
		for _, cert := range found.Certificates {
			if !cert.Active {
				continue
			}
			s, err := p.trust.VerifyCoI(cert.Chain, time.Now())
			if err != nil || s.URI != c.Name {
				p.bad(c.Name, "lookup", fmt.Sprintf("its certificate is not good: %v", err), "have the CoI CA issue one: parley-pki coi issue")
				return nil
			}
			p.ok(c.Name, "lookup", "serial %x, until %s", s.Leaf.SerialNumber, when(s.NotAfter))
			p.Control = append(p.Control, holder{Realm: "coi", What: c.Name, Key: short(s.Leaf.RawSubjectPublicKeyInfo), From: s.Issuer.Subject.String()})
			if service.EndsSoon(s.Leaf.NotBefore, s.NotAfter, time.Now()) {
				p.warn(c.Name, "lookup", "its certificate ends at "+when(s.NotAfter), "have the CoI CA issue the next one: parley-pki coi issue")
			}
			return s
		}
	}
	p.bad(c.Name, "lookup", "it shows no active certificate", "have the CoI CA issue one: parley-pki coi issue")
	return nil
}

// unwrapAt is an unwrap service, and the certificate it should hold the key of.
type unwrapAt struct {
	url    string
	active *coi.Subject
}

// unwrap compares the keys that a service holds with what lookup shows (E23).
func (p *preflight) unwrap(ctx context.Context, calls *http.Client, c *coi.Community, at unwrapAt) {
	if !p.endpoint(c.Name, "unwrap", at.url) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, preflightWithin)
	defer cancel()
	resp, err := unwrapv1connect.NewUnwrapServiceClient(calls, at.url).Keys(ctx, connect.NewRequest(&unwrapv1.KeysRequest{Cois: []string{c.Name}}))
	if err != nil {
		p.bad(c.Name, "unwrap", err.Error(), "start parley-pki unwrap, and see its log")
		return
	}
	p.Control = append(p.Control, holder{Realm: "unwrap", What: resp.Msg.Service + " with the log " + resp.Msg.LogKey, Where: at.url})
	if len(resp.Msg.Cois) != 1 || len(resp.Msg.Cois[0].SpkiHashes) == 0 {
		p.bad(c.Name, "unwrap", at.url+" holds no key of it", "parley-pki coi request, in the unwrap service's directory")
		return
	}
	if at.active == nil {
		return
	}
	want := sha256.Sum256(at.active.Leaf.RawSubjectPublicKeyInfo)
	if !slices.ContainsFunc(resp.Msg.Cois[0].SpkiHashes, func(h []byte) bool { return bytes.Equal(h, want[:]) }) {
		p.bad(c.Name, "agree", fmt.Sprintf("lookup shows key %x, %s does not hold it: nothing would be wrapped", want, at.url),
			"replace the certificate in both: the key in unwrap first, then coi issue and publish")
		return
	}
	if newest := resp.Msg.Cois[0].Certified; len(newest) > 0 && !bytes.Equal(newest, want[:]) {
		p.bad(c.Name, "agree", fmt.Sprintf("lookup shows key %x, %s has a newer certificate for key %x: nothing would be wrapped", want, at.url, newest),
			"publish the new certificate to lookup, or put the one that lookup shows beside its key in keys/")
		return
	}
	p.ok(c.Name, "agree", "lookup and %s name one key", at.url)
}

// status asks for the certificate's status, where there is a service for it.
func (p *preflight) status(ctx context.Context, calls *http.Client, c *coi.Community, s *coi.Subject) {
	if c.OCSP == "" {
		p.ok(c.Name, "status", "no status service is named: certificates end after %s", s.Leaf.NotAfter.Sub(s.Leaf.NotBefore).Round(time.Hour))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, preflightWithin)
	defer cancel()
	_, status, err := service.AskStatus(ctx, calls, service.StatusQuestion{URL: c.OCSP, Cert: s.Leaf, Issuer: s.Issuer})
	switch {
	case err != nil:
		p.bad(c.Name, "status", err.Error(), "start parley-pki ocsp, and see its log")
	case status.State != coi.Good:
		p.bad(c.Name, "status", fmt.Sprintf("%s says: %s", c.OCSP, status.State), "have the CoI CA issue another certificate")
	default:
		p.ok(c.Name, "status", "good at %s, by %s", when(status.ThisUpdate), status.Responder)
		p.Control = append(p.Control, holder{Realm: "ocsp", What: status.Responder, Where: c.OCSP, From: s.Issuer.Subject.String()})
	}
	if err == nil && service.EndsSoon(status.Certified[0], status.Certified[1], time.Now()) {
		p.warn(c.Name, "status", fmt.Sprintf("the certificate of %s ends at %s", status.Responder, when(status.Certified[1])), "have the CoI CA certify it again: parley-pki certify responder")
	}
}

// endpoint connects to a service and notes whose certificate it has. One key in
// two roles is a broken separation (E17).
func (p *preflight) endpoint(coiName, role, url string) bool {
	leaf, err := p.peer(url)
	if err != nil {
		p.bad(coiName, role, err.Error(), "is the service running at "+url+", and is the address in the trust bundle right?")
		return false
	}
	s, err := p.trust.Verify(coi.Chain(leaf), coi.Service, time.Now())
	if err != nil {
		p.bad(coiName, role, err.Error(), "have the site's administrator certify it: parley-pki certify service "+role)
		return false
	}
	key := short(leaf.RawSubjectPublicKeyInfo)
	if other := p.seen(key, role); other != "" {
		p.bad(coiName, role, fmt.Sprintf("%s has the key of the %s service", url, other), "give each service a directory and a key of its own")
		return false
	}
	p.Control = append(p.Control, holder{Realm: role, What: s.URI, Where: url, Key: key, From: leaf.Issuer.String()})
	if service.EndsSoon(leaf.NotBefore, leaf.NotAfter, time.Now()) {
		p.warn(coiName, role, fmt.Sprintf("the HTTPS certificate of %s ends at %s", url, when(leaf.NotAfter)), "have the site's administrator certify it again: parley-pki certify service "+role)
	}
	return true
}

// peer returns the certificate that a server shows; what it is worth is looked
// at afterwards.
func (p *preflight) peer(url string) (*x509.Certificate, error) {
	u, err := neturl.Parse(url)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL: %w", url, err)
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: preflightWithin}, Config: &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}}
	ctx, cancel := context.WithTimeout(context.Background(), preflightWithin)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	defer conn.Close()
	tc, ok := conn.(*tls.Conn)
	if !ok || len(tc.ConnectionState().PeerCertificates) == 0 {
		return nil, fmt.Errorf("%s shows no certificate", url)
	}
	return tc.ConnectionState().PeerCertificates[0], nil
}
