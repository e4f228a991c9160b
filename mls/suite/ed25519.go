//go:build !amd64 || !gc || purego

package suite

import "crypto/ed25519"

// signEd25519 signs with the standard library.
func signEd25519(key ed25519.PrivateKey, message []byte) []byte {
	return ed25519.Sign(key, message)
}
