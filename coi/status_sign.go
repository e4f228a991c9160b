package coi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ResponderLife is how long a responder's certificate lasts: short, since it
// can not be revoked.
const ResponderLife = 30 * 24 * time.Hour

// A StatusCode is what a responder says instead of an answer (RFC 6960,
// Section 4.2.1).
type StatusCode uint8

// The codes.
const (
	StatusSuccessful   StatusCode = 0 // an answer follows
	StatusMalformed    StatusCode = 1 // the request is not well-formed
	StatusInternal     StatusCode = 2 // the responder has a problem of its own
	StatusTryLater     StatusCode = 3 // nothing is known at the moment
	StatusUnauthorized StatusCode = 6 // not a certificate this responder answers for
)

// String returns the code in words.
func (c StatusCode) String() string {
	switch c {
	case StatusSuccessful:
		return "successful"
	case StatusMalformed:
		return "that the request is malformed"
	case StatusInternal:
		return "that it has a problem of its own"
	case StatusTryLater:
		return "try later"
	case StatusUnauthorized:
		return "that it does not answer for this certificate"
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Refusal returns the response that says a code, which is not signed.
func (c StatusCode) Refusal() []byte { return []byte{0x30, 3, 0x0a, 1, byte(c)} }

// IssueResponder makes the certificate of the OCSP responder of a CA, ECDSA
// P-256, ResponderLife: for OCSPSigning alone, with no-check, and with no URI,
// so that it is of no other use. It is for a key that ParseRequest has
// accepted.
func (ca *CA) IssueResponder(key crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	t, err := leafTemplate(Name{Purpose: Service, Site: ca.Site, Local: "ocsp"}, now)
	if err != nil {
		return nil, err
	}
	t.URIs = nil
	t.Subject.CommonName = "OCSP responder of " + ca.Cert.Subject.CommonName
	t.NotAfter = now.Add(ResponderLife)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	t.ExtraExtensions = []pkix.Extension{{Id: oidNoCheck, Value: asn1.NullBytes}}
	return ca.issue(t, key)
}

// NewResponderKey makes the key of a responder.
func NewResponderKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make responder key: %w", err)
	}
	return key, nil
}

// A Responder signs what is known about the certificates of one CA. It never
// changes once made.
type Responder struct {
	Issuer *x509.Certificate // the CA it answers for
	Cert   *x509.Certificate // by IssueResponder
	Key    crypto.Signer
}

// Check refuses a responder whose answers CheckStatus would refuse at now.
func (r *Responder) Check(now time.Time) error {
	if err := checkResponder(r.Cert, r.Issuer, now); err != nil {
		return err
	}
	if pub, ok := r.Key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(r.Cert.PublicKey) {
		return refuse(WrongKey, "the responder's certificate is for another key")
	}
	return nil
}

// An Answer is what a responder says about one certificate.
type Answer struct {
	ID        CertID // as it was asked
	State     State
	RevokedAt time.Time  // of Revoked
	Why       Revocation // of Revoked
}

// A Validity says from when to when answers hold. Next must be after This.
type Validity struct{ This, Next time.Time }

// SignStatus makes an OCSP response (RFC 6960, Section 4.2.1; RFC 9654) with at
// most 16 answers and the request's nonce, nil for none, and sends the
// responder's certificate along.
func (r *Responder) SignStatus(answers []Answer, v Validity, nonce []byte) ([]byte, error) {
	if len(answers) == 0 || len(answers) > maxSingles || len(nonce) > MaxNonce || !v.This.Before(v.Next) {
		return nil, refuse(Malformed, "%d answers from %s to %s with a nonce of %d bytes can not be signed", len(answers), stamp(v.This), stamp(v.Next), len(nonce))
	}
	tbs, err := r.responseData(answers, v, nonce)
	if err != nil {
		return nil, err
	}
	sig, err := Sign(r.Key, tbs)
	if err != nil {
		return nil, err
	}
	alg, err := algorithmOf(r.Key.Public())
	if err != nil {
		return nil, err
	}
	var basic cryptobyte.Builder
	basic.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(alg) })
		b.AddASN1BitString(sig)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(r.Cert.Raw) })
		})
	})
	body, err := basic.Bytes()
	if err != nil {
		return nil, fmt.Errorf("sign status: %w", err)
	}
	return successful(body)
}

// successful wraps a basic response as
//
//	OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED,
//	   responseBytes [0] EXPLICIT SEQUENCE { responseType OBJECT IDENTIFIER, response OCTET STRING } }
func successful(body []byte) ([]byte, error) {
	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(StatusSuccessful))
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasicStatus)
				b.AddASN1OctetString(body)
			})
		})
	})
	return out.Bytes()
}

// responseData writes what is signed.
func (r *Responder) responseData(answers []Answer, v Validity, nonce []byte) ([]byte, error) {
	bits, err := spkiBits(r.Cert.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest(crypto.SHA1, bits)) })
		b.AddASN1GeneralizedTime(v.This.UTC())
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, a := range answers {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { a.marshal(b, v) })
			}
		})
		addNonce(b, 1, nonce)
	})
	return b.Bytes()
}

func (a *Answer) marshal(b *cryptobyte.Builder, v Validity) {
	a.ID.marshal(b)
	switch a.State {
	case Good:
		b.AddASN1(context(0), func(*cryptobyte.Builder) {})
	case Revoked:
		b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
			b.AddASN1GeneralizedTime(a.RevokedAt.UTC())
			if a.Why != Unspecified {
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(a.Why)) })
			}
		})
	default:
		b.AddASN1(context(2), func(*cryptobyte.Builder) {})
	}
	b.AddASN1GeneralizedTime(v.This.UTC())
	b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(v.Next.UTC()) })
}

// algorithmOf returns the identifier of the signatures that Sign makes.
func algorithmOf(key crypto.PublicKey) (asn1.ObjectIdentifier, error) {
	want := x509.PureEd25519
	if key, ok := key.(*ecdsa.PublicKey); ok {
		hash, _ := hashOf(key)
		want = map[crypto.Hash]x509.SignatureAlgorithm{crypto.SHA256: x509.ECDSAWithSHA256, crypto.SHA384: x509.ECDSAWithSHA384, crypto.SHA512: x509.ECDSAWithSHA512}[hash]
	}
	for _, s := range statusAlgorithms {
		if s.algorithm == want {
			return s.oid, nil
		}
	}
	return nil, refuse(WrongKey, "a %T does not sign status", key)
}
