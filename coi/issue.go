package coi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// How long what is issued lasts. Nothing outlives the CA that issued it.
const (
	RootLife         = 10 * 365 * 24 * time.Hour
	IntermediateLife = 5 * 365 * 24 * time.Hour
	NodeLife         = 398 * 24 * time.Hour
	OrderingLife     = 5 * 365 * 24 * time.Hour // old heads must verify for long
	DeviceLife       = 398 * 24 * time.Hour
)

// A CA is a certificate that may issue others, and its key.
type CA struct {
	Site string
	Cert *x509.Certificate
	Key  crypto.Signer
}

// An Issued is a new certificate and the key made for it.
type Issued struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// NewCA makes a site's root: ECDSA P-256, ten years, one level of CAs below it.
// Its subjectAltName names the site, so that it can not be configured for
// another by mistake.
func NewCA(site string, now time.Time) (*CA, error) {
	t, err := caTemplate(site, "root CA", now)
	if err != nil {
		return nil, err
	}
	t.NotAfter = now.Add(RootLife)
	t.MaxPathLen = 1
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make root key: %w", err)
	}
	ca := &CA{Site: site, Cert: t, Key: key}
	ca.Cert, err = ca.issue(t, key.Public())
	return ca, err
}

// IssueIntermediate makes the CA for devices: Ed25519, because each leaf of a
// room costs a verification under it; five years, nothing but devices below it.
// Because its extended key usages are clientAuth and OCSPSigning (for the
// responder that answers for its devices), whoever steals its key can make
// neither nodes nor ordering keys.
func (ca *CA) IssueIntermediate(now time.Time) (*CA, error) {
	t, err := caTemplate(ca.Site, "device CA", now)
	if err != nil {
		return nil, err
	}
	t.NotAfter = now.Add(IntermediateLife)
	t.MaxPathLenZero = true
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageOCSPSigning}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make device CA key: %w", err)
	}
	cert, err := ca.issue(t, key.Public())
	return &CA{Site: ca.Site, Cert: cert, Key: key}, err
}

// caTemplate is what CA certificates have in common.
func caTemplate(site, what string, now time.Time) (*x509.Certificate, error) {
	if err := CheckSite(site); err != nil {
		return nil, err
	}
	return &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{site[:min(len(site), maxLabel)]}, CommonName: what},
		NotBefore:             now.Add(-Skew),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		URIs:                  []*url.URL{{Scheme: "mimi", Host: site}},
	}, nil
}

// issue signs a template for a key, after giving it a random serial of 127
// bits and no end beyond the CA's own.
func (ca *CA) issue(t *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	return ca.sign(t, key)
}

// sign is issue for a key that its caller has checked.
func (ca *CA) sign(t *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] = serial[0]&0x7f | 0x40 // positive, and always 16 octets
	t.SerialNumber = new(big.Int).SetBytes(serial)
	if t.NotAfter.After(ca.Cert.NotAfter) {
		t.NotAfter = ca.Cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca.Cert, key, ca.Key)
	if err != nil {
		return nil, fmt.Errorf("issue %q: %w", t.Subject, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue %q: %w", t.Subject, err)
	}
	return cert, nil
}
