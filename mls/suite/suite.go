package suite

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
)

// Errors of this package. They say what was wrong with an input; none carries
// secret bytes.
var (
	// ErrUnknownSuite says that a cipher suite is not one of ours.
	ErrUnknownSuite = errors.New("unknown cipher suite")
	// ErrBadKey says that bytes are not a key of the suite.
	ErrBadKey = errors.New("bad key")
	// ErrSignature says that a signature does not verify.
	ErrSignature = errors.New("signature does not verify")
	// ErrDecrypt says that a ciphertext does not open.
	ErrDecrypt = errors.New("ciphertext does not open")
	// ErrLength says that a derived value of impossible length was asked for.
	ErrLength = errors.New("length out of range")
)

// An ID is a CipherSuite value of RFC 9420, Section 17.1.
type ID uint16

// The suites built here. Suites 4 and 6 need X448 and Ed448, which the
// standard library has not.
const (
	X25519AES128SHA256Ed25519 ID = 1
	P256AES128SHA256P256      ID = 2
	X25519ChaChaSHA256Ed25519 ID = 3
	P521AES256SHA512P521      ID = 5
	P384AES256SHA384P384      ID = 7
)

// A Suite is one cipher suite: its algorithms and the operations made of them.
// It is a constant: safe for use by many goroutines, and two suites are the
// same if their pointers are.
type Suite struct {
	id   ID
	name string
	hash hashAlgorithm
	aead aeadAlgorithm
	sig  signatureAlgorithm

	kem     hpke.KEM
	kemKDF  hpke.KDF
	kemAEAD hpke.AEAD
}

var suites = [...]Suite{
	{X25519AES128SHA256Ed25519, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
		sha256Hash, aes128GCM, signatureAlgorithm{},
		hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.AES128GCM()},
	{P256AES128SHA256P256, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
		sha256Hash, aes128GCM, signatureAlgorithm{elliptic.P256()},
		hpke.DHKEM(ecdh.P256()), hpke.HKDFSHA256(), hpke.AES128GCM()},
	{X25519ChaChaSHA256Ed25519, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
		sha256Hash, chaCha20Poly1305, signatureAlgorithm{},
		hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305()},
	{P521AES256SHA512P521, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
		sha512Hash, aes256GCM, signatureAlgorithm{elliptic.P521()},
		hpke.DHKEM(ecdh.P521()), hpke.HKDFSHA512(), hpke.AES256GCM()},
	{P384AES256SHA384P384, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
		sha384Hash, aes256GCM, signatureAlgorithm{elliptic.P384()},
		hpke.DHKEM(ecdh.P384()), hpke.HKDFSHA384(), hpke.AES256GCM()},
}

// Lookup returns the suite with the given id, or ErrUnknownSuite.
func Lookup(id ID) (*Suite, error) {
	for i := range suites {
		if suites[i].id == id {
			return &suites[i], nil
		}
	}
	return nil, fmt.Errorf("%w %d", ErrUnknownSuite, id)
}

// IDs returns the ids of all suites, ascending.
func IDs() []ID {
	ids := make([]ID, len(suites))
	for i := range suites {
		ids[i] = suites[i].id
	}
	return ids
}

// ID returns the suite's number.
func (s *Suite) ID() ID { return s.id }

// String returns the suite's name in RFC 9420, Section 17.1.
func (s *Suite) String() string { return s.name }

// HashSize returns the length of a hash, a secret and a MAC, in bytes (Nh).
func (s *Suite) HashSize() int { return s.hash.size }

// KeySize returns the length of an AEAD key, in bytes (AEAD.Nk).
func (s *Suite) KeySize() int { return s.aead.keySize }

// NonceSize returns the length of an AEAD nonce, in bytes (AEAD.Nn).
func (s *Suite) NonceSize() int { return nonceSize }

// Random returns n bytes fit for a key.
func Random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: it ends the program instead
	return b
}
