package suite

import (
	"crypto/ecdh"
	"crypto/hpke"
	"fmt"
)

// An HPKEPrivateKey opens what was encrypted to its public key.
type HPKEPrivateKey struct {
	key    hpke.PrivateKey
	public []byte
}

func newHPKEPrivateKey(key hpke.PrivateKey, err error) (*HPKEPrivateKey, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	return &HPKEPrivateKey{key, key.PublicKey().Bytes()}, nil
}

// GenerateKeyPair makes a new HPKE key pair.
func (s *Suite) GenerateKeyPair() (*HPKEPrivateKey, error) {
	return newHPKEPrivateKey(s.kem.GenerateKey())
}

// DeriveKeyPair derives an HPKE key pair from a secret
// (RFC 9180, Section 7.1.3). It fails with ErrBadKey if the secret gives none.
func (s *Suite) DeriveKeyPair(secret []byte) (*HPKEPrivateKey, error) {
	return newHPKEPrivateKey(s.kem.DeriveKeyPair(secret))
}

// NewHPKEPrivateKey reads a private key as Bytes wrote it, or a scalar of a
// NIST curve without its leading zero octets. It fails with ErrBadKey.
func (s *Suite) NewHPKEPrivateKey(b []byte) (*HPKEPrivateKey, error) {
	return newHPKEPrivateKey(s.kem.NewPrivateKey(padLeft(b, s.kem.scalar)))
}

// CheckHPKEPublicKey returns ErrBadKey if public is no HPKEPublicKey of the
// suite, or one that nothing can be encrypted to: an X25519 point of low order,
// also in a hybrid (RFC 9180, Section 7.1.4).
func (s *Suite) CheckHPKEPublicKey(public []byte) error {
	if _, err := s.kem.NewPublicKey(public); err != nil {
		return fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	if s.kem.curve == ecdh.X25519() && lowOrderX25519.holds(public[s.kem.latticeSize:]) {
		return fmt.Errorf("%w: X25519 point of low order", ErrBadKey)
	}
	return nil
}

// PublicKey returns the encoded HPKEPublicKey. It must not be changed.
func (k *HPKEPrivateKey) PublicKey() []byte { return k.public }

// Bytes returns the private key (RFC 9180, Section 7.1.2). For X25519 it may
// differ from what the key was made of, in the bits that do not count: compare
// public keys, not these.
func (k *HPKEPrivateKey) Bytes() ([]byte, error) { return k.key.Bytes() }

// Encrypt is EncryptWithLabel (RFC 9420, Section 5.1.3). It fails with
// ErrBadKey if public is no key, or one no secret can be agreed with. Who
// encrypts to several recipients under one context calls NewSealer.
func (s *Suite) Encrypt(public []byte, label string, context, plaintext []byte) (kemOutput, ciphertext []byte, err error) {
	return s.NewSealer(label, context).Seal(public, plaintext)
}

// Decrypt is DecryptWithLabel (RFC 9420, Section 5.1.3): the plaintext, or
// ErrDecrypt for whatever reason.
func (s *Suite) Decrypt(key *HPKEPrivateKey, label string, context, kemOutput, ciphertext []byte) ([]byte, error) {
	recipient, err := hpke.NewRecipient(kemOutput, key.key, s.kemKDF, s.kemAEAD, encryptContext(label, context))
	if err != nil {
		return nil, ErrDecrypt
	}
	plaintext, err := recipient.Open(nil, ciphertext)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

// encryptContext encodes
//
//	struct { opaque label<V>; opaque context<V>; } EncryptContext;
func encryptContext(label string, context []byte) []byte {
	return append(encryptPrefix(label, context), context...)
}

// encryptPrefix encodes what is before the bytes of the context.
func encryptPrefix(label string, context []byte) []byte {
	b := appendVarint(make([]byte, 0, len(labelPrefix)+len(label)+8), len(labelPrefix)+len(label))
	b = append(append(b, labelPrefix...), label...)
	return appendVarint(b, len(context))
}
