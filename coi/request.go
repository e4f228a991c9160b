package coi

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
)

// MaxRequest bounds a certification request, in bytes of DER.
const MaxRequest = 8 << 10

// NewRequest makes a certification request (RFC 2986) that proves possession of
// a key and asks for nothing: the issuer decides on the name.
func NewRequest(key crypto.Signer) ([]byte, error) {
	if err := CheckKey(key.Public()); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make certification request: %w", err)
	}
	return der, nil
}

// ParseRequest returns the key whose possession a certification request proves.
// Whatever else the request asks for is not looked at.
func ParseRequest(der []byte) (crypto.PublicKey, error) {
	if len(der) > MaxRequest {
		return nil, refuse(TooLarge, "a certification request of %d bytes: at most %d", len(der), MaxRequest)
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, refuse(Malformed, "certification request: %w", err)
	}
	if err := CheckKey(req.PublicKey); err != nil {
		return nil, err
	}
	if err := req.CheckSignature(); err != nil {
		return nil, refuse(BadSignature, "the certification request is not signed by its own key: %w", err)
	}
	return req.PublicKey, nil
}
