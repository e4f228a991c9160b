package coi

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"math/big"
	"time"
)

const (
	// MaxStatus bounds a status response, in bytes of DER.
	MaxStatus = 16 << 10
	// MaxStatusRequest bounds a status request, in bytes of DER.
	MaxStatusRequest = 4 << 10
)

// A State is what a status says about a certificate. The zero State says
// nothing, so that nobody takes it for good.
type State uint8

// The states (RFC 6960, Section 2.2).
const (
	Good    State = iota + 1 // issued, and not revoked
	Revoked                  // revoked, for good
	Unknown                  // the responder does not know it: never issued, or not by this CA
)

// String returns the state in a word.
func (s State) String() string {
	switch s {
	case Good:
		return "good"
	case Revoked:
		return "revoked"
	case Unknown:
		return "unknown"
	}
	return "none"
}

// A Status is what a responder, or a list of revocations, says about one
// certificate. Whoever acts on it looks at State first: only Good is good.
type Status struct {
	State      State
	ThisUpdate time.Time // when it was known to be so
	NextUpdate time.Time // when there will be newer news: do not use it from then on
	RevokedAt  time.Time // zero unless Revoked
	Why        Revocation
	Hash       [sha256.Size]byte // of the response, as evidence
	Responder  string            // who signed it: the subject of its certificate
	// Certified is the life of that certificate: from and until.
	Certified [2]time.Time
}

// StatusOptions say what a status has to satisfy besides its signature.
type StatusOptions struct {
	Now    time.Time     // required
	Nonce  []byte        // the request's: the response must carry it; empty asks for none (a stapled response)
	MaxAge time.Duration // since ThisUpdate; zero is until NextUpdate
}

// CheckStatus reads an OCSP response (RFC 6960, RFC 9654) about cert, which
// issuer signed, and believes nothing of it unless:
//
//   - it is at most MaxStatus bytes of DER, a successful basic response with no
//     critical extension that is not known;
//   - its signer is the issuer, or holds a certificate which the issuer itself
//     signed for OCSPSigning alone, with no-check, valid at Now, not a CA, and
//     which the responder id names; other certificates sent along are not
//     looked at;
//   - the signature over it is good, and of an algorithm on the list (SHA-2);
//   - it speaks of this very certificate: hash of the issuer's name, hash of
//     the issuer's key (SHA-1 or SHA-256) and serial, once;
//   - it was true not later than Now (Skew allowed), NextUpdate is there and lies
//     ahead, and it is no older than MaxAge;
//   - it carries the nonce, if there is one.
//
// Revoked and Unknown are answers, not errors. Errors are Malformed, TooLarge,
// Unanswered (the responder says try later, or the like), Untrusted,
// WrongPurpose, Expired, NotYetValid, WrongKey, BadSignature, Mismatch, Stale.
func CheckStatus(response []byte, cert, issuer *x509.Certificate, o StatusOptions) (Status, error) {
	if len(response) > MaxStatus {
		return Status{}, refuse(TooLarge, "a status response of %d bytes: at most %d", len(response), MaxStatus)
	}
	if !bytes.Equal(cert.RawIssuer, issuer.RawSubject) {
		return Status{}, refuse(Mismatch, "the certificate was not issued by %q", issuer.Subject)
	}
	basic, err := parseStatus(response)
	if err != nil {
		return Status{}, err
	}
	signer, err := basic.findSigner(issuer, o.Now)
	if err != nil {
		return Status{}, err
	}
	if err := basic.checkSignature(signer); err != nil {
		return Status{}, err
	}
	if len(o.Nonce) > 0 && subtle.ConstantTimeCompare(o.Nonce, basic.nonce) != 1 {
		return Status{}, refuse(Mismatch, "the response does not carry the nonce of the request: it may be an old one")
	}
	single, err := basic.find(cert, issuer)
	if err != nil {
		return Status{}, err
	}
	if err := checkFresh(single.this, single.next, o); err != nil {
		return Status{}, err
	}
	if basic.produced.Sub(o.Now) > Skew {
		return Status{}, refuse(Stale, "the response was made at %s, which is still to come", stamp(basic.produced))
	}
	return Status{
		State: single.state, ThisUpdate: single.this, NextUpdate: single.next, RevokedAt: single.revokedAt,
		Why: single.why, Hash: sha256.Sum256(response), Responder: signer.Subject.String(), Certified: [2]time.Time{signer.NotBefore, signer.NotAfter},
	}, nil
}

// checkFresh holds the two times of a status against the clock.
func checkFresh(this, next time.Time, o StatusOptions) error {
	switch age := o.Now.Sub(this); {
	case next.IsZero():
		return refuse(Stale, "the status does not say until when it holds")
	case age < -Skew:
		return refuse(Stale, "the status begins to hold at %s: is this machine's clock right?", stamp(this))
	case !o.Now.Before(next):
		return refuse(Stale, "the status held until %s", stamp(next))
	case !this.Before(next):
		return refuse(Stale, "the status ends before it begins")
	case o.MaxAge > 0 && age > o.MaxAge:
		return refuse(Stale, "the status is of %s: at most %s old is accepted", stamp(this), o.MaxAge)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// A CertID names a certificate by its issuer and serial (RFC 6960, Section
// 4.1.1).
type CertID struct {
	Hash     crypto.Hash // SHA1 or SHA256
	NameHash []byte      // of the issuer's name
	KeyHash  []byte      // of the issuer's key
	Serial   *big.Int
}

// NewCertID names a certificate that issuer signed.
func NewCertID(serial *big.Int, issuer *x509.Certificate, hash crypto.Hash) (CertID, error) {
	bits, err := spkiBits(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return CertID{}, err
	}
	return CertID{hash, digest(hash, issuer.RawSubject), digest(hash, bits), serial}, nil
}

// Of says whether issuer is the CA that a CertID names.
func (id CertID) Of(issuer *x509.Certificate) bool {
	want, err := NewCertID(id.Serial, issuer, id.Hash)
	return err == nil && bytes.Equal(id.NameHash, want.NameHash) && bytes.Equal(id.KeyHash, want.KeyHash)
}
