package coi

import (
	"bytes"
	"crypto/x509"
	"time"
)

// VerifyCoI says which CoI a chain speaks for: chain[0] is the leaf, in DER;
// the CoI root may follow it. It demands exactly one URI, of a CoI; the usages
// IssueCoI writes and no others; a key that CheckCoIKey accepts; a subject key
// identifier; and a signature by a CoI root of the very site that the URI
// names, valid at now. The roots of devices are not looked at.
//
// It does not say whether the certificate was revoked: see CheckStatus.
// Subject.Issuer is the CA to ask about it. A refusal is an *Error.
func (t *Trust) VerifyCoI(chain [][]byte, now time.Time) (*Subject, error) {
	certs, err := parseChain(chain)
	if err != nil {
		return nil, err
	}
	leaf := certs[0]
	name, a, err := t.claim(leaf, CoI)
	if err != nil {
		return nil, err
	}
	if err := checkCoILeaf(leaf); err != nil {
		return nil, err
	}
	if err := checkDates(leaf, now); err != nil {
		return nil, err
	}
	issuer, err := a.coiRoot(leaf, now)
	if err != nil {
		return nil, err
	}
	end := leaf.NotAfter
	if issuer.NotAfter.Before(end) {
		end = issuer.NotAfter
	}
	return &Subject{Name: name, URI: name.URI(), Site: name.Site, Key: leaf.PublicKey, NotAfter: end, Leaf: leaf, Issuer: issuer}, nil
}

// checkCoILeaf holds a certificate against what IssueCoI makes.
func checkCoILeaf(leaf *x509.Certificate) error {
	if err := CheckCoIKey(leaf.PublicKey); err != nil {
		return err
	}
	switch {
	case leaf.IsCA || hasPolicy(leaf, OIDCoIRoot):
		return refuse(WrongPurpose, "a CA certificate can not be used as a CoI")
	case leaf.KeyUsage != coiUsage(leaf.PublicKey):
		return refuse(WrongPurpose, "the certificate's key usage is not that of a CoI: RSA has keyEncipherment, EC has keyAgreement, and nothing else")
	case len(leaf.ExtKeyUsage) > 0 || len(leaf.UnknownExtKeyUsage) > 0:
		return refuse(WrongPurpose, "a CoI certificate has no extended key usage, this one has")
	case len(leaf.SubjectKeyId) == 0 || len(leaf.SubjectKeyId) > 64:
		return refuse(Malformed, "a CoI certificate has a subject key identifier, this one has none of use")
	}
	_, err := PostQuantumKey(leaf)
	return err
}

// coiRoot returns the CoI root of the site that signed a leaf.
func (a *anchors) coiRoot(leaf *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	if leaf.NotBefore.After(now) {
		now = leaf.NotBefore // within Skew, checkDates said
	}
	opts := x509.VerifyOptions{Roots: a.cois, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	chains, err := leaf.Verify(opts)
	if err != nil {
		return nil, a.explain(err)
	}
	issuer := chains[0][len(chains[0])-1]
	if len(chains[0]) != 2 || bytes.Equal(issuer.RawSubjectPublicKeyInfo, leaf.RawSubjectPublicKeyInfo) {
		return nil, refuse(Untrusted, "no CoI root of %s vouches for it", a.site.Name)
	}
	return issuer, nil
}
