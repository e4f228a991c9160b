package wrap

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The object identifiers of the profile.
var (
	oidAuthEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 23} // RFC 5083, Section 2
	oidData              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}         // RFC 5652, Section 4
	oidAES256GCM         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}    // RFC 5084, Section 3.2
	oidAES256Wrap        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 45}    // RFC 3565, Section 2.3.2
	oidOAEP              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}         // RFC 4055, Section 4
	oidMGF1              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}         // RFC 4055, Section 2.2
	oidSHA256            = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}     // RFC 5754, Section 2.2: without parameters
	oidECPublicKey       = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}             // RFC 5480, Section 2.1.1
	oidStdDHSHA256       = asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1}                // RFC 5753, Section 7.1.4
	oidStdDHSHA384       = asn1.ObjectIdentifier{1, 3, 132, 1, 11, 2}                // RFC 5753, Section 7.1.4
)

// Tags of CMS.
const (
	tag0  = cbasn1.Tag(0) | 0x80 // [0] IMPLICIT, primitive
	tag0c = cbasn1.Tag(0) | 0xa0 // [0], constructed
	tag1c = cbasn1.Tag(1) | 0xa0
	tag2c = cbasn1.Tag(2) | 0xa0
)

// The algorithm identifiers of the profile, as they are written; one that is
// read must be the same to the byte. OAEP names its hash twice, because the
// default of both places is SHA-1 (RFC 4055, Section 4.1).
var (
	algSHA256 = sequence(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidSHA256) })
	algOAEP   = sequence(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidOAEP)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tag0c, func(b *cryptobyte.Builder) { b.AddBytes(algSHA256) })
			b.AddASN1(tag1c, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidMGF1)
					b.AddBytes(algSHA256)
				})
			})
		})
	})
	algAES256Wrap  = sequence(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidAES256Wrap) })
	algECPublicKey = sequence(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidECPublicKey) })
	algStdDHSHA256 = sequence(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidStdDHSHA256)
		b.AddBytes(algAES256Wrap)
	})
	algStdDHSHA384 = sequence(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidStdDHSHA384)
		b.AddBytes(algAES256Wrap)
	})
)

// sequence writes a SEQUENCE.
func sequence(fill func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, fill)
	return b.BytesOrPanic()
}
