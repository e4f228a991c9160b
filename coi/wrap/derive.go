package wrap

import (
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// derive makes the key that wraps the content key: one block of the X9.63
// function over the agreed secret (SEC 1, Section 3.6.1) with
//
//	ECC-CMS-SharedInfo ::= SEQUENCE {          -- RFC 5753, Section 7.2
//	  keyInfo         AlgorithmIdentifier,     -- id-aes256-wrap
//	  entityUInfo [0] EXPLICIT OCTET STRING OPTIONAL,  -- ukm
//	  suppPubInfo [2] EXPLICIT OCTET STRING }  -- the key's length in bits
func (a *agreement) derive(z []byte) []byte {
	info := sequence(func(b *cryptobyte.Builder) {
		b.AddBytes(algAES256Wrap)
		if len(a.ukm) > 0 {
			b.AddASN1(tag0c, func(b *cryptobyte.Builder) { b.AddASN1OctetString(a.ukm) })
		}
		b.AddASN1(tag2c, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddUint32(keySize * 8) })
		})
	})
	h := a.hash.New()
	h.Write(z)
	h.Write(binary.BigEndian.AppendUint32(nil, 1))
	h.Write(info)
	return h.Sum(nil)[:keySize]
}

// An unavailable error says that a key could not be asked at all: its token or
// the program before it is away. That depends on nothing in the envelope, so it
// may be told from ErrOpen.
type unavailable interface {
	error
	Unavailable() bool
}

// outOfReach returns a key's error if the key could not be asked, else ErrOpen.
func outOfReach(err error) error {
	if u, ok := errors.AsType[unavailable](err); ok && u.Unavailable() {
		return err
	}
	return ErrOpen
}
