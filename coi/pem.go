package coi

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
)

// MaxPEM bounds a PEM file this package reads, in bytes.
const MaxPEM = 256 << 10

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
	pemCoIs        = "PARLEY COIS" // JSON: where a site's CoI services are
)

// ParseCertificatesPEM reads a file of certificates, at most MaxCAs. Blocks of
// another kind are refused, not skipped: a private key in a bundle that is
// handed to others is an accident to stop at. Only a bundle's list of CoIs is
// passed over.
func ParseCertificatesPEM(data []byte) ([]*x509.Certificate, error) {
	certs, _, err := parseBundle(data)
	return certs, err
}

// parseBundle reads certificates and, where there is one, a list of CoIs.
func parseBundle(data []byte) (certs []*x509.Certificate, cois []Community, err error) {
	if len(data) > MaxPEM {
		return nil, nil, refuse(TooLarge, "%d bytes of PEM: at most %d", len(data), MaxPEM)
	}
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		switch {
		case block == nil && len(certs) == 0:
			return nil, nil, refuse(Malformed, "no certificate in PEM (-----BEGIN CERTIFICATE-----)")
		case block == nil:
			return certs, cois, nil
		case block.Type == pemCoIs:
			if err := json.Unmarshal(block.Bytes, &cois); err != nil || len(cois) > MaxCommunities {
				return nil, nil, refuse(Malformed, "the bundle's list of CoIs can not be read, or has more than %d", MaxCommunities)
			}
			continue
		case block.Type != pemCertificate:
			return nil, nil, refuse(Malformed, "a %s among certificates", clip(block.Type))
		case len(certs) == MaxCAs:
			return nil, nil, refuse(TooLarge, "more than %d certificates", MaxCAs)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, refuse(Malformed, "certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
}

// ParseSitePEM reads a site's trust bundle, as it is handed to a peer: all CAs
// of the site, in any order, and where the services of its CoIs are. NewTrust
// checks that they are CAs and fit the name.
func ParseSitePEM(data []byte, name string) (Site, error) {
	certs, cois, err := parseBundle(data)
	if err != nil {
		return Site{}, err
	}
	s := NewSite(name, certs)
	s.CoIs = cois
	return s, nil
}

// NewSite sorts CA certificates into roots, which sign themselves, roots for
// CoIs, whose policy says so, and intermediates.
func NewSite(name string, cas []*x509.Certificate) Site {
	s := Site{Name: name}
	for _, ca := range cas {
		if hasPolicy(ca, OIDCoIRoot) {
			s.CoIRoots = append(s.CoIRoots, ca)
		} else if bytes.Equal(ca.RawSubject, ca.RawIssuer) && ca.CheckSignatureFrom(ca) == nil {
			s.Roots = append(s.Roots, ca)
		} else {
			s.Intermediates = append(s.Intermediates, ca)
		}
	}
	return s
}

// PEM writes a site's CAs, roots first, and its CoIs: what ParseSitePEM reads.
func (s Site) PEM() []byte {
	out := EncodeCertificatesPEM(s.cas()...)
	if len(s.CoIs) == 0 {
		return out
	}
	list, err := json.Marshal(s.CoIs)
	if err != nil {
		panic("BUG: a list of texts can not be written as JSON")
	}
	return append(out, pem.EncodeToMemory(&pem.Block{Type: pemCoIs, Bytes: list})...)
}

// EncodeCertificatesPEM writes certificates as PEM.
func EncodeCertificatesPEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw})...)
	}
	return out
}

// ParseKeyPEM reads a private key in PKCS #8 (RFC 5958): one block, nothing
// else.
func ParseKeyPEM(data []byte) (crypto.Signer, error) {
	if len(data) > MaxPEM {
		return nil, refuse(TooLarge, "%d bytes of PEM: at most %d", len(data), MaxPEM)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemKey || len(bytes.TrimSpace(rest)) > 0 {
		return nil, refuse(Malformed, "not one private key in PKCS #8 (-----BEGIN PRIVATE KEY-----)")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, refuse(Malformed, "private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, refuse(WrongKey, "a %T can not sign", key)
	}
	if err := CheckKey(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}

// EncodeKeyPEM writes a private key in PKCS #8, unencrypted: keep the file to
// its owner (0600).
func EncodeKeyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, refuse(WrongKey, "private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

// Chain returns the DER of certificates, as Trust.Verify takes it.
func Chain(certs ...*x509.Certificate) [][]byte {
	out := make([][]byte, 0, len(certs))
	for _, c := range certs {
		out = append(out, slices.Clone(c.Raw))
	}
	return out
}
