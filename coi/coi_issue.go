package coi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"
)

// CoILife is how long a CoI certificate lasts unless a CoIPlan says otherwise:
// short, so that a lost revocation does little harm.
const CoILife = 7 * 24 * time.Hour

// MaxCoILife is the longest a CoI certificate may last.
const MaxCoILife = 398 * 24 * time.Hour

// NewCoIAuthority makes a site's CoI CA: a root of its own, ECDSA P-256, ten
// years, no CA below it. It is marked by a policy as good for CoIs alone, so
// that it can not end up among the roots of devices by mistake; keep it in
// another directory, with another administrator.
func NewCoIAuthority(site string, now time.Time) (*CA, error) {
	t, err := caTemplate(site, "CoI root CA", now)
	if err != nil {
		return nil, err
	}
	t.NotAfter = now.Add(RootLife)
	t.MaxPathLenZero = true
	t.Policies = policies(OIDCoIRoot)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CoI root key: %w", err)
	}
	ca := &CA{Site: site, Cert: t, Key: key}
	ca.Cert, err = ca.issue(t, key.Public())
	return ca, err
}

// A CoIPlan says what a CoI certificate is made with.
type CoIPlan struct {
	Request *CoIRequest   // whose key it is for; required
	Life    time.Duration // zero is CoILife; at most MaxCoILife
	OCSP    string        // URL to stand in the certificate, empty for none
	CRL     string        // URL to stand in the certificate, empty for none
}

// IssueCoI makes the certificate of a CoI of the CA's site: keyEncipherment
// for RSA, keyAgreement for EC, no extended usage, always a subject key
// identifier.
func (ca *CA) IssueCoI(name Name, plan CoIPlan, now time.Time) (*x509.Certificate, error) {
	if name.Purpose != CoI || name.Site != ca.Site {
		return nil, refuse(BadName, "%s is no CoI of %s", name.URI(), ca.Site)
	}
	if !hasPolicy(ca.Cert, OIDCoIRoot) {
		return nil, refuse(WrongPurpose, "CA %q is not made for CoIs", ca.Cert.Subject)
	}
	if err := CheckCoIKey(plan.Request.Key); err != nil {
		return nil, err
	}
	if plan.Life < 0 || plan.Life > MaxCoILife {
		return nil, refuse(TooLarge, "a CoI certificate of %s: at most %s", plan.Life, MaxCoILife)
	}
	if plan.Life == 0 {
		plan.Life = CoILife
	}
	t, err := leafTemplate(name, now)
	if err != nil {
		return nil, err
	}
	t.NotAfter = now.Add(plan.Life)
	t.KeyUsage = coiUsage(plan.Request.Key)
	if t.SubjectKeyId, err = keyIdentifier(plan.Request.Key); err != nil {
		return nil, err
	}
	if t.ExtraExtensions, err = pqExtensions(plan.Request.PostQuantum); err != nil {
		return nil, err
	}
	if plan.OCSP != "" {
		t.OCSPServer = []string{plan.OCSP}
	}
	if plan.CRL != "" {
		t.CRLDistributionPoints = []string{plan.CRL}
	}
	return ca.sign(t, plan.Request.Key)
}

// coiUsage is what a CoI's key does: it is encrypted to, or agreed with.
func coiUsage(key crypto.PublicKey) x509.KeyUsage {
	if _, ok := key.(*rsa.PublicKey); ok {
		return x509.KeyUsageKeyEncipherment
	}
	return x509.KeyUsageKeyAgreement
}

// keyIdentifier is the first 160 bits of the SHA-256 of a public key's bits
// (RFC 7093, Section 2).
func keyIdentifier(key crypto.PublicKey) ([]byte, error) {
	bits, err := keyBits(key)
	if err != nil {
		return nil, err
	}
	h := sha256.Sum256(bits)
	return h[:20], nil
}

// keyBits returns the BIT STRING of a SubjectPublicKeyInfo: what RFC 5280 and
// RFC 6960 hash.
func keyBits(key crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, refuse(WrongKey, "public key: %w", err)
	}
	return spkiBits(spki)
}

// spkiBits is keyBits of a key in DER.
func spkiBits(spki []byte) ([]byte, error) {
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if rest, err := asn1.Unmarshal(spki, &info); err != nil || len(rest) > 0 {
		return nil, refuse(Malformed, "not a public key in DER")
	}
	return info.Key.RightAlign(), nil
}
