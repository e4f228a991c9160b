package federation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"sync"
	"testing"
	"time"

	"parley/groups"
)

// A testCA is a site's root.
type testCA struct {
	site groups.SiteID
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// testPKI is the roots of all sites of a test; it proves nodes as coi does.
type testPKI struct {
	mu  sync.Mutex
	now func() time.Time
	cas map[groups.SiteID]*testCA
}

func newPKI(t testing.TB, sites ...groups.SiteID) *testPKI {
	p := &testPKI{now: time.Now, cas: make(map[groups.SiteID]*testCA)}
	for _, s := range sites {
		p.cas[s] = newCA(t, s)
	}
	return p
}

func newCA(t testing.TB, site groups.SiteID) *testCA {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: string(site)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &testCA{site, cert, key}
}

// issue makes a node's certificate.
func (ca *testCA) issue(t testing.TB, node groups.NodeID, life time.Duration) Certificates {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(string(node))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		URIs: []*url.URL{uri}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return func() (*tls.Certificate, error) { return cert, nil }
}

// VerifyNode proves a node under the root of the site its URI names.
func (p *testPKI) VerifyNode(chain [][]byte, now time.Time) (groups.NodeID, time.Time, error) {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return "", time.Time{}, groups.Errorf(groups.Invalid, "certificate: %w", err)
	}
	if len(leaf.URIs) != 1 {
		return "", time.Time{}, groups.Errorf(groups.Denied, "no node in certificate")
	}
	node, err := groups.ParseNodeID(leaf.URIs[0].String())
	if err != nil {
		return "", time.Time{}, err
	}
	p.mu.Lock()
	ca := p.cas[node.Site()]
	p.mu.Unlock()
	if ca == nil {
		return "", time.Time{}, groups.Errorf(groups.Denied, "no CA for %s", node.Site())
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return "", time.Time{}, groups.Errorf(groups.Denied, "certificate of %s: %w", node, err)
	}
	return node, leaf.NotAfter, nil
}
