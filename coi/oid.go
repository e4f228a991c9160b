package coi

import (
	"crypto/hpke"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// arc is where all object identifiers of ours stand: 2.25 is for whoever draws
// a number by chance. It is below 2^31 because crypto/x509 reads no larger one.
//
//	2.25.1088144229.1   attributes of an envelope (package coi/wrap)
//	2.25.1088144229.2   extensions of a certificate
//	2.25.1088144229.3   certificate policies
const arc = 1088144229

// The object identifiers of ours; their meaning stands where they are used.
var (
	OIDRoom       = asn1.ObjectIdentifier{2, 25, arc, 1, 1} // UTF8String
	OIDEpoch      = asn1.ObjectIdentifier{2, 25, arc, 1, 2} // INTEGER
	OIDKeyID      = asn1.ObjectIdentifier{2, 25, arc, 1, 3} // OCTET STRING, 32 bytes
	OIDRecipients = asn1.ObjectIdentifier{2, 25, arc, 1, 4} // OCTET STRING, 32 bytes
	OIDPart       = asn1.ObjectIdentifier{2, 25, arc, 1, 5} // OCTET STRING, 4 bytes

	OIDPostQuantum = asn1.ObjectIdentifier{2, 25, arc, 2, 1} // OCTET STRING, an X-Wing public key

	OIDBot     = asn1.ObjectIdentifier{2, 25, arc, 3, 1} // a device that no person sits at
	OIDCoIRoot = asn1.ObjectIdentifier{2, 25, arc, 3, 2} // a root CA that vouches for CoIs, and for nothing else
)

// PostQuantumExtension is the certificate extension that carries an X-Wing
// public key beside the certificate's own. It is not critical: who does not
// know it wraps to the certificate's key alone.
func PostQuantumExtension(key hpke.PublicKey) (pkix.Extension, error) {
	if key == nil || key.KEM().ID() != hpke.MLKEM768X25519().ID() {
		return pkix.Extension{}, refuse(WrongKey, "a post-quantum key is X-Wing")
	}
	var b cryptobyte.Builder
	b.AddASN1OctetString(key.Bytes())
	value, err := b.Bytes()
	return pkix.Extension{Id: OIDPostQuantum, Value: value}, err
}

// PostQuantumKey returns the X-Wing public key that a certificate carries, nil
// if it carries none; one that is there and is none is Malformed.
func PostQuantumKey(cert *x509.Certificate) (hpke.PublicKey, error) {
	return postQuantumKey(cert.Extensions)
}

func postQuantumKey(exts []pkix.Extension) (hpke.PublicKey, error) {
	for _, ext := range exts {
		if !ext.Id.Equal(OIDPostQuantum) {
			continue
		}
		in := cryptobyte.String(ext.Value)
		var raw cryptobyte.String
		if !in.ReadASN1(&raw, cbasn1.OCTET_STRING) || !in.Empty() {
			return nil, refuse(Malformed, "the post-quantum key of the certificate is cut short")
		}
		key, err := hpke.MLKEM768X25519().NewPublicKey(raw)
		if err != nil {
			return nil, refuse(Malformed, "the post-quantum key of the certificate: %w", err)
		}
		return key, nil
	}
	return nil, nil
}
