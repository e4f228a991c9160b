//go:build amd64 && gc && !purego

package suite

import (
	"crypto/ed25519"
	"crypto/fips140"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// signEd25519 signs with AVX2 where the processor has it: two thirds of what a
// device does for a message is its signature, and this halves it (see
// docs/design/014-signing.md). A signature of RFC 8032 is a function of key and
// message, so nobody can tell which program made it. Only signing is done here:
// which signatures are good is the standard library's to say, everywhere.
func signEd25519(key ed25519.PrivateKey, message []byte) []byte {
	if fips140.Enabled() {
		return ed25519.Sign(key, message)
	}
	return voi.Sign(voi.PrivateKey(key), message)
}
