package coi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

// pemXWing holds the 32 bytes of an X-Wing private key.
const pemXWing = "X-WING PRIVATE KEY"

// coiKeyTypes are the names of the keys that a CoI may have.
var coiKeyTypes = []string{"p256", "p384", "rsa3072"}

// NewCoIKey makes a CoI's key in software: p256, p384 or rsa3072.
func NewCoIKey(kind string) (crypto.Signer, error) {
	var key crypto.Signer
	var err error
	switch kind {
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa3072":
		key, err = rsa.GenerateKey(rand.Reader, MinRSA)
	default:
		return nil, refuse(WrongKey, "%q is no kind of key for a CoI: write one of %s", clip(kind), strings.Join(coiKeyTypes, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("make CoI key: %w", err)
	}
	return key, nil
}

// ParseCoIKeyPEM reads the private key of a CoI in PKCS #8 (RFC 5958), and the
// X-Wing private key that may follow it, nil if there is none.
func ParseCoIKeyPEM(data []byte) (crypto.Signer, hpke.PrivateKey, error) {
	if len(data) > MaxPEM {
		return nil, nil, refuse(TooLarge, "%d bytes of PEM: at most %d", len(data), MaxPEM)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemKey {
		return nil, nil, refuse(Malformed, "not a private key in PKCS #8 (-----BEGIN PRIVATE KEY-----)")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, refuse(Malformed, "private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, refuse(WrongKey, "a %T is no key of a CoI", key)
	}
	if err := CheckCoIKey(signer.Public()); err != nil {
		return nil, nil, err
	}
	more, rest := pem.Decode(rest)
	if more == nil {
		return signer, nil, nil
	}
	if again, _ := pem.Decode(rest); again != nil || more.Type != pemXWing {
		return nil, nil, refuse(Malformed, "a %s after the CoI's key", clip(more.Type))
	}
	pq, err := hpke.MLKEM768X25519().NewPrivateKey(more.Bytes)
	if err != nil {
		return nil, nil, refuse(Malformed, "X-Wing private key: %w", err)
	}
	return signer, pq, nil
}

// EncodeCoIKeyPEM writes what ParseCoIKeyPEM reads, unencrypted: keep the file
// to its owner (0600). pq may be nil.
func EncodeCoIKeyPEM(key crypto.Signer, pq hpke.PrivateKey) ([]byte, error) {
	out, err := EncodeKeyPEM(key)
	if err != nil || pq == nil {
		return out, err
	}
	seed, err := pq.Bytes()
	if err != nil {
		return nil, refuse(WrongKey, "X-Wing private key: %w", err)
	}
	return slices.Concat(out, pem.EncodeToMemory(&pem.Block{Type: pemXWing, Bytes: seed})), nil
}
