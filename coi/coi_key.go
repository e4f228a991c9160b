package coi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
)

const (
	// MinRSA is the least RSA key of a CoI, in bits.
	MinRSA = 3072
	// MaxRSA is the largest RSA key of a CoI, in bits: larger ones cost time.
	MaxRSA = 8192
	// minExponent is the least public exponent (FIPS 186-5, Appendix A.1.1).
	minExponent = 1<<16 + 1
)

// CheckCoIKey refuses, as WrongKey, a public key that nothing is wrapped to:
// all but ECDSA on P-256 and P-384, and RSA of MinRSA to MaxRSA bits with a
// public exponent of 65537 or more.
func CheckCoIKey(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < MinRSA || n > MaxRSA {
			return refuse(WrongKey, "the CoI's RSA key has %d bits: make it %d to %d", n, MinRSA, MaxRSA)
		}
		if key.E < minExponent {
			return refuse(WrongKey, "the CoI's RSA key has the public exponent %d: make it %d", key.E, minExponent)
		}
		return nil
	}
	return refuse(WrongKey, "the CoI's key is a %T: make it EC on P-256 or P-384, or RSA of %d bits", key, MinRSA)
}

// A CoIRequest is what a certification request for a CoI proves and asks for.
type CoIRequest struct {
	Key         crypto.PublicKey // CheckCoIKey accepts it
	PostQuantum hpke.PublicKey   // X-Wing, nil if none
}

// NewCoIRequest makes a certification request (RFC 2986) for a CoI's key, in
// the unwrap realm: the CoI CA sees no more than this. pq is the X-Wing public
// key, nil for none.
func NewCoIRequest(key crypto.Signer, pq hpke.PublicKey) ([]byte, error) {
	if err := CheckCoIKey(key.Public()); err != nil {
		return nil, err
	}
	exts, err := pqExtensions(pq)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{ExtraExtensions: exts}, key)
	if err != nil {
		return nil, fmt.Errorf("make certification request: %w", err)
	}
	return der, nil
}

// ParseCoIRequest returns what a certification request asks for, once it is
// proven that who asks holds the key. At most MaxRequest bytes.
func ParseCoIRequest(der []byte) (*CoIRequest, error) {
	if len(der) > MaxRequest {
		return nil, refuse(TooLarge, "a certification request of %d bytes: at most %d", len(der), MaxRequest)
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, refuse(Malformed, "certification request: %w", err)
	}
	if err := CheckCoIKey(req.PublicKey); err != nil {
		return nil, err
	}
	if err := req.CheckSignature(); err != nil {
		return nil, refuse(BadSignature, "the certification request is not signed by its own key: %w", err)
	}
	pq, err := postQuantumKey(req.Extensions)
	if err != nil {
		return nil, err
	}
	return &CoIRequest{Key: req.PublicKey, PostQuantum: pq}, nil
}

// pqExtensions are the extensions of a CoI with an X-Wing key, none for nil.
func pqExtensions(pq hpke.PublicKey) ([]pkix.Extension, error) {
	if pq == nil {
		return nil, nil
	}
	ext, err := PostQuantumExtension(pq)
	return []pkix.Extension{ext}, err
}
