package suite

import (
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
)

// Errors of this package. They say what was wrong with an input; none carries
// secret bytes. Every error wraps one of these, but that of a key which is kept
// elsewhere.
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

// The suites of RFC 9420 built here. Suites 4 and 6 need X448 and Ed448, which
// the standard library has not.
const (
	X25519AES128SHA256Ed25519 ID = 1
	P256AES128SHA256P256      ID = 2
	X25519ChaChaSHA256Ed25519 ID = 3
	P521AES256SHA512P521      ID = 5
	P384AES256SHA384P384      ID = 7
)

// Draft names the document that defines the post-quantum suites. It is not an
// RFC and has no code points yet: TBD1 is 0xF601 here, in the range for private
// use (RFC 9420, Section 17.1), and so on; the 6 is the version of the draft,
// so that an incompatible one gets other numbers. They keep what is sent now
// from who may have a quantum computer later; their signatures are of today.
const Draft = "draft-ietf-mls-pq-ciphersuites-06"

// The suites of Draft built here: hybrids of ML-KEM with an elliptic curve,
// and ML-KEM alone. TBD9 to TBD11 need ML-DSA, which the standard library has
// not.
const (
	MLKEM768X25519AES128SHA256Ed25519 ID = 0xf601 + iota
	MLKEM768X25519AES256SHA384Ed25519
	MLKEM768P256AES128SHA256P256
	MLKEM768P256AES256SHA384P256
	MLKEM1024P384AES256SHA384P384
	MLKEM768AES256SHA384Ed25519
	MLKEM768AES256SHA384P256
	MLKEM1024AES256SHA384P384
)

// IsDraft reports whether the suite with that id is one of Draft.
func (id ID) IsDraft() bool {
	return id >= MLKEM768X25519AES128SHA256Ed25519 && id <= MLKEM1024AES256SHA384P384
}

// A Suite is one cipher suite: its algorithms and the operations made of them.
// It is a constant: safe for use by many goroutines, and two suites are the
// same if their pointers are.
type Suite struct {
	id   ID
	name string
	hash hashAlgorithm
	aead aeadAlgorithm
	sig  signatureAlgorithm

	kem     kemAlgorithm
	kemKDF  hpke.KDF
	kemAEAD hpke.AEAD
}

var (
	ed25519Signature = signatureAlgorithm{}
	p256Signature    = signatureAlgorithm{elliptic.P256()}
	p384Signature    = signatureAlgorithm{elliptic.P384()}
	p521Signature    = signatureAlgorithm{elliptic.P521()}
)

var suites = [...]Suite{
	{X25519AES128SHA256Ed25519, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
		sha256Hash, aes128GCM, ed25519Signature, kemX25519, hpke.HKDFSHA256(), hpke.AES128GCM()},
	{P256AES128SHA256P256, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
		sha256Hash, aes128GCM, p256Signature, kemP256, hpke.HKDFSHA256(), hpke.AES128GCM()},
	{X25519ChaChaSHA256Ed25519, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
		sha256Hash, chaCha20Poly1305, ed25519Signature, kemX25519, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305()},
	{P521AES256SHA512P521, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
		sha512Hash, aes256GCM, p521Signature, kemP521, hpke.HKDFSHA512(), hpke.AES256GCM()},
	{P384AES256SHA384P384, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
		sha384Hash, aes256GCM, p384Signature, kemP384, hpke.HKDFSHA384(), hpke.AES256GCM()},

	{MLKEM768X25519AES128SHA256Ed25519, "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519",
		sha256Hash, aes128GCM, ed25519Signature, kemXWing, hpke.HKDFSHA256(), hpke.AES128GCM()},
	{MLKEM768X25519AES256SHA384Ed25519, "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519",
		sha384Hash, aes256GCM, ed25519Signature, kemXWing, hpke.HKDFSHA384(), hpke.AES256GCM()},
	{MLKEM768P256AES128SHA256P256, "MLS_128_MLKEM768P256_AES128GCM_SHA256_P256",
		sha256Hash, aes128GCM, p256Signature, kemMLKEM768P256, hpke.HKDFSHA256(), hpke.AES128GCM()},
	{MLKEM768P256AES256SHA384P256, "MLS_128_MLKEM768P256_AES256GCM_SHA384_P256",
		sha384Hash, aes256GCM, p256Signature, kemMLKEM768P256, hpke.HKDFSHA384(), hpke.AES256GCM()},
	{MLKEM1024P384AES256SHA384P384, "MLS_192_MLKEM1024P384_AES256GCM_SHA384_P384",
		sha384Hash, aes256GCM, p384Signature, kemMLKEM1024P384, hpke.HKDFSHA384(), hpke.AES256GCM()},
	{MLKEM768AES256SHA384Ed25519, "MLS_128_MLKEM768_AES256GCM_SHA384_Ed25519",
		sha384Hash, aes256GCM, ed25519Signature, kemMLKEM768, hpke.HKDFSHA384(), hpke.AES256GCM()},
	{MLKEM768AES256SHA384P256, "MLS_128_MLKEM768_AES256GCM_SHA384_P256",
		sha384Hash, aes256GCM, p256Signature, kemMLKEM768, hpke.HKDFSHA384(), hpke.AES256GCM()},
	{MLKEM1024AES256SHA384P384, "MLS_192_MLKEM1024_AES256GCM_SHA384_P384",
		sha384Hash, aes256GCM, p384Signature, kemMLKEM1024, hpke.HKDFSHA384(), hpke.AES256GCM()},
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

// IDs returns the ids of all suites, ascending: those of RFC 9420, then those
// of Draft.
func IDs() []ID {
	ids := make([]ID, len(suites))
	for i := range suites {
		ids[i] = suites[i].id
	}
	return ids
}

// ID returns the suite's number.
func (s *Suite) ID() ID { return s.id }

// String returns the suite's name in RFC 9420, Section 17.1, or in Draft.
func (s *Suite) String() string {
	if s.id.IsDraft() {
		return s.name + " (" + Draft + ")"
	}
	return s.name
}

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
