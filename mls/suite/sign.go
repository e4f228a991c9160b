package suite

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
)

// A signatureAlgorithm is Ed25519, or ECDSA if it has a curve; each curve has
// its own hash (RFC 9420, Section 17.1).
type signatureAlgorithm struct{ curve elliptic.Curve }

// digest returns what ECDSA signs and the name of its hash.
func (a signatureAlgorithm) digest(b []byte) (crypto.Hash, []byte) {
	switch a.curve {
	case elliptic.P256():
		d := sha256.Sum256(b)
		return crypto.SHA256, d[:]
	case elliptic.P384():
		d := sha512.Sum384(b)
		return crypto.SHA384, d[:]
	default:
		d := sha512.Sum512(b)
		return crypto.SHA512, d[:]
	}
}

// A SignaturePrivateKey signs as a member. It holds a key, or the means to
// reach one that does not leave its hardware.
type SignaturePrivateKey struct {
	alg    signatureAlgorithm
	signer crypto.Signer
	public []byte
}

// GenerateSignatureKey makes a new signature key.
func (s *Suite) GenerateSignatureKey() (*SignaturePrivateKey, error) {
	if s.sig.curve == nil {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return s.SignatureKeyOf(key)
	}
	key, err := ecdsa.GenerateKey(s.sig.curve, rand.Reader)
	if err != nil {
		return nil, err
	}
	return s.SignatureKeyOf(key)
}

// NewSignaturePrivateKey reads a private key: a seed of 32 bytes for Ed25519
// (RFC 8032), a scalar for ECDSA, whose leading zero octets may be missing: other
// implementations write it so. It fails with ErrBadKey.
func (s *Suite) NewSignaturePrivateKey(b []byte) (*SignaturePrivateKey, error) {
	if s.sig.curve == nil {
		if len(b) != ed25519.SeedSize {
			return nil, fmt.Errorf("%w: Ed25519 seed of %d bytes", ErrBadKey, len(b))
		}
		return s.SignatureKeyOf(ed25519.NewKeyFromSeed(b))
	}
	key, err := ecdsa.ParseRawPrivateKey(s.sig.curve, padLeft(b, (s.sig.curve.Params().BitSize+7)/8))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	return s.SignatureKeyOf(key)
}

// padLeft returns b with leading zeros, n bytes long unless b is longer.
func padLeft(b []byte, n int) []byte {
	if len(b) == 0 || len(b) >= n {
		return b
	}
	return append(make([]byte, n-len(b), n), b...)
}

// SignatureKeyOf wraps a signer whose public key is of the suite's kind, or
// returns ErrBadKey.
func (s *Suite) SignatureKeyOf(signer crypto.Signer) (*SignaturePrivateKey, error) {
	public, err := s.SignaturePublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	return &SignaturePrivateKey{s.sig, signer, public}, nil
}

// SignaturePublicKey encodes a public key as a SignaturePublicKey of the suite
// (RFC 9420, Section 5.1.1), or returns ErrBadKey if it is of another kind:
// the bytes to compare with a leaf's signature_key for an X.509 credential.
func (s *Suite) SignaturePublicKey(key crypto.PublicKey) ([]byte, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if s.sig.curve == nil && len(k) == ed25519.PublicKeySize {
			return bytes.Clone(k), nil
		}
	case *ecdsa.PublicKey:
		if s.sig.curve != nil && k.Curve == s.sig.curve {
			return k.Bytes()
		}
	}
	return nil, fmt.Errorf("%w: %T does not sign in suite %d", ErrBadKey, key, s.id)
}

// PublicKey returns the encoded SignaturePublicKey. It must not be changed.
func (k *SignaturePrivateKey) PublicKey() []byte { return k.public }

// Signer returns the key as the standard library has it.
func (k *SignaturePrivateKey) Signer() crypto.Signer { return k.signer }

// Bytes returns the private key as NewSignaturePrivateKey reads it, or
// ErrBadKey if it is not ours to read.
func (k *SignaturePrivateKey) Bytes() ([]byte, error) {
	switch key := k.signer.(type) {
	case ed25519.PrivateKey:
		return key.Seed(), nil
	case *ecdsa.PrivateKey:
		return key.Bytes()
	}
	return nil, fmt.Errorf("%w: %T can not be exported", ErrBadKey, k.signer)
}

// Sign is SignWithLabel (RFC 9420, Section 5.1.2). It fails only if the key is
// elsewhere and can not be reached.
func (k *SignaturePrivateKey) Sign(label string, content []byte) ([]byte, error) {
	tbs := signContent(label, content)
	if k.alg.curve != nil {
		hash, digest := k.alg.digest(tbs)
		return k.signer.Sign(rand.Reader, digest, hash)
	}
	if key, ok := k.signer.(ed25519.PrivateKey); ok {
		return signEd25519(key, tbs), nil
	}
	return k.signer.Sign(rand.Reader, tbs, crypto.Hash(0))
}

// Verify is VerifyWithLabel (RFC 9420, Section 5.1.2): nil, ErrBadKey if
// public is no key of the suite, or ErrSignature. ECDSA signatures must be
// DER, without anything after it.
func (s *Suite) Verify(public []byte, label string, content, signature []byte) error {
	if s.sig.curve == nil {
		if len(public) != ed25519.PublicKeySize {
			return fmt.Errorf("%w: Ed25519 public key of %d bytes", ErrBadKey, len(public))
		}
		if !ed25519.Verify(public, signContent(label, content), signature) {
			return ErrSignature
		}
		return nil
	}
	key, err := ecdsa.ParseUncompressedPublicKey(s.sig.curve, public)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	_, digest := s.sig.digest(signContent(label, content))
	if !ecdsa.VerifyASN1(key, digest, signature) {
		return ErrSignature
	}
	return nil
}

// CheckSignatureKey returns ErrBadKey if public is no SignaturePublicKey of
// the suite, or an Ed25519 point of small order, for which anybody can sign.
func (s *Suite) CheckSignatureKey(public []byte) error {
	if s.sig.curve == nil {
		if len(public) != ed25519.PublicKeySize {
			return fmt.Errorf("%w: Ed25519 public key of %d bytes", ErrBadKey, len(public))
		}
		if lowOrderEd25519.holds(public) {
			return fmt.Errorf("%w: Ed25519 point of small order", ErrBadKey)
		}
		return nil
	}
	if _, err := ecdsa.ParseUncompressedPublicKey(s.sig.curve, public); err != nil {
		return fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	return nil
}

// signContent encodes
//
//	struct { opaque label<V>; opaque content<V>; } SignContent;
func signContent(label string, content []byte) []byte {
	b := make([]byte, 0, len(labelPrefix)+len(label)+len(content)+8)
	return appendLabelled(b, label, content)
}
