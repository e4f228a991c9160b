package coi

import (
	"crypto/sha256"
	"crypto/x509"
	"strings"
)

// A Fingerprint is the SHA-256 of a certificate's DER.
type Fingerprint [sha256.Size]byte

// FingerprintOf returns a certificate's fingerprint.
func FingerprintOf(cert *x509.Certificate) Fingerprint { return sha256.Sum256(cert.Raw) }

// Pin finds, in the chain a certificate service presents, the root CA that has
// a fingerprint a person was told, and returns the site it names. It is how a
// device that knows nothing yet learns whom to trust; the chain itself is still
// to be verified as Service under a Trust of that site.
func Pin(chain [][]byte, print Fingerprint) (Site, error) {
	certs, err := parseChain(chain)
	if err == nil {
		err = checkKeys(certs)
	}
	if err != nil {
		return Site{}, err
	}
	for _, ca := range certs {
		if FingerprintOf(ca) != print {
			continue
		}
		uris, err := uriNames(ca)
		if err != nil {
			return Site{}, err
		}
		if len(uris) != 1 {
			return Site{}, refuse(BadName, "CA %q names no site: configure it by its file instead", ca.Subject)
		}
		site := NewSite(strings.TrimPrefix(uris[0], scheme), []*x509.Certificate{ca})
		return site, site.check()
	}
	return Site{}, refuse(Untrusted, "the service does not present the CA with fingerprint %x", print[:])
}
