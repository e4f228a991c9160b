package coi

import (
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

const (
	// MaxChain is the most certificates in a chain.
	MaxChain = 3
	// MaxChainBytes bounds a chain, in bytes of DER.
	MaxChainBytes = 12 << 10
	// Skew is how far in the future a leaf may begin: clocks differ. It does
	// not lengthen a certificate's end.
	Skew = 5 * time.Minute
)

// A Subject is whom a verified chain speaks for.
type Subject struct {
	Name     Name
	URI      string           // of Name
	Site     string           // whose CA vouched for it
	Key      crypto.PublicKey // Ed25519 or ECDSA, see CheckKey; of a CoI see CheckCoIKey
	NotAfter time.Time        // the first end in the chain: trust it no longer
	Bot      bool             // a device that no person holds: its certificate says so
	Leaf     *x509.Certificate
	Issuer   *x509.Certificate // the CA that signed the leaf: whose status answers count
}

// Verify says whom a chain speaks for: chain[0] is the leaf, in DER, the rest
// are intermediates in any order and may be left out where the site's Trust
// holds them. It demands exactly one URI, of the form of purpose; the usages of
// purpose and none of another; keys CheckKey accepts; and a path to a root of
// the very site that the URI names, valid at now (RFC 5280, Section 6).
//
// At most MaxChain certificates of MaxChainBytes are looked at. It costs one
// signature verification where the Trust holds the issuing CA. A refusal is an
// *Error.
func (t *Trust) Verify(chain [][]byte, purpose Purpose, now time.Time) (*Subject, error) {
	certs, err := parseChain(chain)
	if err == nil {
		err = checkKeys(certs)
	}
	if err != nil {
		return nil, err
	}
	leaf := certs[0]
	name, a, err := t.claim(leaf, purpose)
	if err != nil {
		return nil, err
	}
	if err := checkLeaf(leaf, purpose); err != nil {
		return nil, err
	}
	if err := checkDates(leaf, now); err != nil {
		return nil, err
	}
	path, err := a.path(certs, purpose, now)
	if err != nil {
		return nil, err
	}
	return &Subject{
		Name: name, URI: name.URI(), Site: name.Site, Key: leaf.PublicKey, NotAfter: path.end,
		Bot: purpose == Device && hasPolicy(leaf, OIDBot), Leaf: leaf, Issuer: path.issuer,
	}, nil
}

// claim returns the name that a leaf carries, which must be one of purpose, and
// the CAs of the site in it.
func (t *Trust) claim(leaf *x509.Certificate, purpose Purpose) (Name, *anchors, error) {
	name, err := leafName(leaf)
	if err != nil {
		return Name{}, nil, err
	}
	if name.Purpose != purpose {
		return Name{}, nil, refuse(WrongPurpose, "%s is a %s, a %s is needed here", name.URI(), name.Purpose, purpose)
	}
	a := t.sites[name.Site]
	if a == nil {
		return Name{}, nil, refuse(UnknownSite, "no CA is configured for %s, whose name %s carries", name.Site, name.URI())
	}
	return name, a, nil
}

func parseChain(chain [][]byte) ([]*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, refuse(Malformed, "no certificate")
	}
	size := 0
	for _, der := range chain {
		size += len(der)
	}
	if len(chain) > MaxChain || size > MaxChainBytes {
		return nil, refuse(TooLarge, "a chain of %d certificates and %d bytes: at most %d and %d", len(chain), size, MaxChain, MaxChainBytes)
	}
	certs := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, refuse(Malformed, "certificate %d of the chain: %w", i+1, err)
		}
		certs[i] = cert
	}
	return certs, nil
}

func checkKeys(certs []*x509.Certificate) error {
	for _, cert := range certs {
		if err := CheckKey(cert.PublicKey); err != nil {
			return err
		}
	}
	return nil
}

// checkLeaf holds the leaf's own usages against its purpose.
func checkLeaf(leaf *x509.Certificate, purpose Purpose) error {
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0 {
		return refuse(WrongPurpose, "a CA certificate can not be used as a %s", purpose)
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return refuse(WrongPurpose, "the certificate's key usage does not allow signatures")
	}
	client := slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	server := slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	some := slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning)
	ok := false
	switch purpose {
	case Device:
		ok = client && !server
	case Node:
		ok = client && server
	case Service:
		ok = server && !client
	case Ordering:
		ok = !client && !server && leaf.KeyUsage == x509.KeyUsageDigitalSignature
	}
	if !ok || some {
		return refuse(WrongPurpose, "the certificate's extended key usages are not those of a %s", purpose)
	}
	return nil
}

func checkDates(leaf *x509.Certificate, now time.Time) error {
	if now.After(leaf.NotAfter) {
		return refuse(Expired, "the certificate ended at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if leaf.NotBefore.Sub(now) > Skew {
		return refuse(NotYetValid, "the certificate begins at %s: is this machine's clock right?", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// A certPath is what counts of a way from a leaf to a root.
type certPath struct {
	end    time.Time         // the first end on it
	issuer *x509.Certificate // of the leaf
}

// path finds a way from the leaf to a root of this site.
func (a *anchors) path(certs []*x509.Certificate, purpose Purpose, now time.Time) (certPath, error) {
	if certs[0].NotBefore.After(now) {
		now = certs[0].NotBefore // within Skew, checkDates said
	}
	opts := x509.VerifyOptions{Roots: a.roots, Intermediates: a.intermediates, CurrentTime: now, KeyUsages: usages(purpose)}
	if len(certs) > 1 {
		opts.Intermediates = a.intermediates.Clone()
		for _, c := range certs[1:] {
			if !a.holds(c) {
				opts.Intermediates.AddCert(c)
			}
		}
	}
	chains, err := certs[0].Verify(opts)
	if err != nil {
		return certPath{}, a.explain(err)
	}
	var last error
	for _, chain := range chains {
		end, err := a.end(chain, purpose, now)
		if err == nil {
			return certPath{end, chain[min(1, len(chain)-1)]}, nil
		}
		last = err
	}
	return certPath{}, last
}

// usages are what every CA of a path must allow. An ordering certificate has no
// extended usage, so its CAs are looked at by end.
func usages(p Purpose) []x509.ExtKeyUsage {
	switch p {
	case Device:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case Node, Service:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
}

// end checks what x509 does not and returns the first end of a chain.
func (a *anchors) end(chain []*x509.Certificate, purpose Purpose, now time.Time) (time.Time, error) {
	end := chain[0].NotAfter
	for _, ca := range chain[1:] {
		limited := len(ca.ExtKeyUsage) > 0 && !slices.Contains(ca.ExtKeyUsage, x509.ExtKeyUsageAny)
		if purpose == Ordering && (limited || len(ca.UnknownExtKeyUsage) > 0) {
			return time.Time{}, refuse(WrongPurpose, "CA %q may not issue ordering certificates", ca.Subject)
		}
		if ca.NotAfter.Before(end) {
			end = ca.NotAfter
		}
	}
	issuers := a.issuers[chain[len(chain)-1]]
	if len(issuers) == 0 {
		return end, nil
	}
	var best time.Time // the longest-lived root that is valid now
	for _, root := range issuers {
		if !now.Before(root.NotBefore) && !now.After(root.NotAfter) && root.NotAfter.After(best) {
			best = root.NotAfter
		}
	}
	if best.IsZero() {
		return best, refuse(Expired, "the root CA of %s has ended, or not begun", a.site.Name)
	}
	if best.Before(end) {
		end = best
	}
	return end, nil
}

// explain puts what x509 found into our words.
func (a *anchors) explain(err error) error {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch invalid.Reason {
		case x509.Expired:
			return refuse(Expired, "a CA of the chain is not valid at this time: %w", err)
		case x509.IncompatibleUsage:
			return refuse(WrongPurpose, "a CA of the chain may not issue this: %w", err)
		}
	}
	return refuse(Untrusted, "no CA of %s vouches for it: %w", a.site.Name, err)
}
