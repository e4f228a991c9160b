package wrap

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
)

const (
	keySize     = 32          // of AES-256
	wrappedSize = keySize + 8 // of a key that is wrapped
)

// wrapIV is the initial value of RFC 3394, Section 2.2.3.1.
const wrapIV = 0xa6a6a6a6a6a6a6a6

// wrapKey wraps a key of some 8-byte blocks, at least two, under an AES key
// (RFC 3394, Section 2.2.1).
func wrapKey(kek, key []byte) []byte {
	block, err := aes.NewCipher(kek)
	if err != nil || len(key) < 16 || len(key)%8 != 0 {
		panic("BUG: a key of the wrong size")
	}
	n := len(key) / 8
	out := make([]byte, 8+len(key))
	copy(out[8:], key)
	var b [16]byte // A | R[i]
	binary.BigEndian.PutUint64(b[:8], wrapIV)
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(b[8:], out[8*i:])
			block.Encrypt(b[:], b[:])
			a := binary.BigEndian.Uint64(b[:8]) ^ uint64(n*j+i)
			binary.BigEndian.PutUint64(b[:8], a)
			copy(out[8*i:], b[8:])
		}
	}
	copy(out, b[:8])
	return out
}

// unwrapKey is the inverse; ok is 1 where the check value is right, and the
// time taken does not depend on it (RFC 3394, Section 2.2.2).
func unwrapKey(kek, wrapped []byte) (key []byte, ok int) {
	block, err := aes.NewCipher(kek)
	if err != nil || len(wrapped) < 24 || len(wrapped)%8 != 0 {
		panic("BUG: a wrapped key of the wrong size")
	}
	n := len(wrapped)/8 - 1
	key = make([]byte, 8*n)
	copy(key, wrapped[8:])
	var b [16]byte // A | R[i]
	copy(b[:8], wrapped)
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			a := binary.BigEndian.Uint64(b[:8]) ^ uint64(n*j+i)
			binary.BigEndian.PutUint64(b[:8], a)
			copy(b[8:], key[8*(i-1):])
			block.Decrypt(b[:], b[:])
			copy(key[8*(i-1):], b[8:])
		}
	}
	var iv [8]byte
	binary.BigEndian.PutUint64(iv[:], wrapIV)
	return key, subtle.ConstantTimeCompare(b[:8], iv[:])
}
