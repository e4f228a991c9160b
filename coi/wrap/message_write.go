package wrap

import (
	"bytes"
	"crypto"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// write encodes a message as ContentInfo (RFC 5652, Section 3), in DER.
func (m *message) write() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidAuthEnvelopedData)
		b.AddASN1(tag0c, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, m.writeData)
		})
	})
	return b.Bytes()
}

func (m *message) writeData(b *cryptobyte.Builder) {
	b.AddASN1Int64(0)
	infos := make([][]byte, len(m.recipients))
	for i := range m.recipients {
		infos[i] = m.recipients[i].write()
	}
	slices.SortFunc(infos, bytes.Compare) // X.690, Section 11.6
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		for _, info := range infos {
			b.AddBytes(info)
		}
	})
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidData)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidAES256GCM)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(m.nonce)
				b.AddASN1Int64(macSize)
			})
		})
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(m.ciphertext) })
	})
	b.AddASN1OctetString(m.mac)
}

// write encodes one RecipientInfo.
func (r *recipient) write() []byte {
	if r.agree != nil {
		return r.writeAgree()
	}
	return sequence(func(b *cryptobyte.Builder) { // KeyTransRecipientInfo (RFC 5652, Section 6.2.1)
		b.AddASN1Int64(2)
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(r.keyID) })
		b.AddBytes(algOAEP)
		b.AddASN1OctetString(r.key)
	})
}

// writeAgree encodes KeyAgreeRecipientInfo (RFC 5652, Section 6.2.2).
func (r *recipient) writeAgree() []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag1c, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		b.AddASN1(tag0c, func(b *cryptobyte.Builder) {
			b.AddASN1(tag1c, func(b *cryptobyte.Builder) {
				b.AddBytes(algECPublicKey)
				b.AddASN1BitString(r.agree.point)
			})
		})
		if len(r.agree.ukm) > 0 {
			b.AddASN1(tag1c, func(b *cryptobyte.Builder) { b.AddASN1OctetString(r.agree.ukm) })
		}
		if r.agree.hash == crypto.SHA384 {
			b.AddBytes(algStdDHSHA384)
		} else {
			b.AddBytes(algStdDHSHA256)
		}
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(tag0c, func(b *cryptobyte.Builder) { b.AddASN1OctetString(r.keyID) })
				b.AddASN1OctetString(r.key)
			})
		})
	})
	return b.BytesOrPanic()
}
