package coi

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A StatusRequest is what an OCSP client asks.
type StatusRequest struct {
	Certs []CertID // at least one, at most 16
	Nonce []byte   // nil if there is none
}

// NewStatusRequest asks for the status of a certificate that issuer signed
// (RFC 6960, Section 4.1.1; RFC 9654), naming it with SHA-256. The nonce is
// NonceSize random bytes, or nil where an answer made before is good enough.
func NewStatusRequest(cert, issuer *x509.Certificate, nonce []byte) ([]byte, error) {
	if len(nonce) > MaxNonce {
		return nil, refuse(TooLarge, "a nonce of %d bytes: at most %d", len(nonce), MaxNonce)
	}
	id, err := NewCertID(cert.SerialNumber, issuer, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return (&StatusRequest{Certs: []CertID{id}, Nonce: nonce}).Marshal()
}

// Marshal writes the request in DER.
//
//	OCSPRequest ::= SEQUENCE { tbsRequest SEQUENCE {
//	   requestList SEQUENCE OF SEQUENCE { reqCert CertID },
//	   requestExtensions [2] EXPLICIT Extensions OPTIONAL } }
func (r *StatusRequest) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range r.Certs {
					b.AddASN1(cbasn1.SEQUENCE, id.marshal)
				}
			})
			addNonce(b, 2, r.Nonce)
		})
	})
	return b.Bytes()
}

func (id CertID) marshal(b *cryptobyte.Builder) {
	oid := oidSHA256
	if id.Hash == crypto.SHA1 {
		oid = oidSHA1
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(id.NameHash)
		b.AddASN1OctetString(id.KeyHash)
		b.AddASN1BigInt(id.Serial)
	})
}

// ParseStatusRequest reads a request of at most MaxStatusRequest bytes. A
// signature on it, and who says to ask, are not looked at: answers are public.
// A refusal is Malformed or TooLarge.
func ParseStatusRequest(der []byte) (*StatusRequest, error) {
	if len(der) > MaxStatusRequest {
		return nil, refuse(TooLarge, "a status request of %d bytes: at most %d", len(der), MaxStatusRequest)
	}
	in := cryptobyte.String(der)
	var outer, tbs, list, exts, ignored cryptobyte.String
	var more, has bool
	ok := in.ReadASN1(&outer, cbasn1.SEQUENCE) && in.Empty() && outer.ReadASN1(&tbs, cbasn1.SEQUENCE) &&
		outer.ReadOptionalASN1(&ignored, &has, explicit(0)) && outer.Empty() &&
		!tbs.PeekASN1Tag(explicit(0)) && // version v1 is not written
		tbs.ReadOptionalASN1(&ignored, &has, explicit(1)) &&
		tbs.ReadASN1(&list, cbasn1.SEQUENCE) && tbs.ReadOptionalASN1(&exts, &more, explicit(2)) && tbs.Empty()
	if !ok {
		return nil, refuse(Malformed, "not a status request in DER")
	}
	r := &StatusRequest{}
	for !list.Empty() {
		if len(r.Certs) == maxSingles {
			return nil, refuse(TooLarge, "a status request for more than %d certificates", maxSingles)
		}
		var one cryptobyte.String
		var id CertID
		if !list.ReadASN1(&one, cbasn1.SEQUENCE) || !readCertID(&one, &id) || !one.ReadOptionalASN1(&ignored, &has, explicit(0)) || !one.Empty() {
			return nil, refuse(Malformed, "a certificate that is asked for is not named by SHA-1 or SHA-256, or not well-formed")
		}
		if has && !readExtensions(ignored, func(asn1.ObjectIdentifier, cryptobyte.String) bool { return false }) {
			return nil, refuse(Malformed, "an extension of the request is critical and not known")
		}
		r.Certs = append(r.Certs, id)
	}
	if len(r.Certs) == 0 {
		return nil, refuse(Malformed, "a status request for no certificate")
	}
	if more {
		if r.Nonce, ok = readNonce(exts); !ok {
			return nil, refuse(Malformed, "the extensions of the request: a nonce has 1 to %d bytes", MaxNonce)
		}
	}
	return r, nil
}
