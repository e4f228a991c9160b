package coi

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	// NonceSize is the length of a nonce of ours, in bytes (RFC 9654, Section
	// 2.1).
	NonceSize = 32
	// MaxNonce is the longest nonce that is answered (RFC 9654, Section 2.1).
	MaxNonce = 128
)

// readNonce returns the nonce among a request's or a response's extensions,
// nil if there is none. Several are not well-formed.
func readNonce(exts cryptobyte.String) (nonce []byte, ok bool) {
	bad := false
	ok = readExtensions(exts, func(oid asn1.ObjectIdentifier, value cryptobyte.String) bool {
		if !oid.Equal(oidNonce) {
			return false
		}
		var n cryptobyte.String
		if nonce != nil || !value.ReadASN1(&n, cbasn1.OCTET_STRING) || !value.Empty() || len(n) == 0 || len(n) > MaxNonce {
			bad = true
		}
		nonce = n
		return true
	})
	return nonce, ok && !bad
}

// addNonce writes the extensions [tag] EXPLICIT with a nonce; nothing without
// one.
func addNonce(b *cryptobyte.Builder, tag uint8, nonce []byte) {
	if len(nonce) == 0 {
		return
	}
	b.AddASN1(explicit(tag), func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidNonce)
				b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
			})
		})
	})
}
