package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// An aeadAlgorithm is an AEAD by its key size; all of ours have nonces of 12
// and tags of 16 bytes.
type aeadAlgorithm struct {
	keySize int
	chacha  bool
}

var (
	aes128GCM        = aeadAlgorithm{16, false}
	aes256GCM        = aeadAlgorithm{32, false}
	chaCha20Poly1305 = aeadAlgorithm{32, true}
)

const (
	nonceSize = 12
	// TagSize is by how many bytes a ciphertext is longer than its plaintext.
	TagSize = 16
)

func (a aeadAlgorithm) open(key []byte) (cipher.AEAD, error) {
	if len(key) != a.keySize {
		return nil, fmt.Errorf("%w: AEAD key of %d bytes", ErrBadKey, len(key))
	}
	if a.chacha {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// A Sealing is what one AEAD encryption depends on beside its plaintext.
type Sealing struct{ Key, Nonce, AAD []byte }

// Seal appends to dst the AEAD ciphertext of plaintext. A key and nonce of the
// wrong length are our own broken promise.
func (s *Suite) Seal(dst, plaintext []byte, with Sealing) []byte {
	a, err := s.aead.open(with.Key)
	if err != nil || len(with.Nonce) != nonceSize {
		panic("BUG: AEAD key or nonce of wrong length")
	}
	return a.Seal(dst, with.Nonce, plaintext, with.AAD)
}

// Open appends to dst the plaintext of an AEAD ciphertext, or returns
// ErrDecrypt and leaves dst alone.
func (s *Suite) Open(dst, ciphertext []byte, with Sealing) ([]byte, error) {
	a, err := s.aead.open(with.Key)
	if err != nil || len(with.Nonce) != nonceSize {
		panic("BUG: AEAD key or nonce of wrong length")
	}
	plaintext, err := a.Open(dst, with.Nonce, ciphertext, with.AAD)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}
