package coi

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"
)

// A Revocation is why a certificate was revoked (RFC 5280, Section 5.3.1).
// Revoking is for ever: there is no hold.
type Revocation uint8

// The reasons.
const (
	Unspecified          Revocation = 0 // nobody said
	KeyCompromise        Revocation = 1 // the key may be in other hands
	CACompromise         Revocation = 2 // the CA's key may be
	AffiliationChanged   Revocation = 3 // its holder is no longer of the site
	Superseded           Revocation = 4 // another certificate stands in its place
	CessationOfOperation Revocation = 5 // it is needed no more
	PrivilegeWithdrawn   Revocation = 9 // its holder may no longer do what it is for

	maxRevocation Revocation = 10
)

var revocationNames = map[Revocation]string{
	Unspecified: "unspecified", KeyCompromise: "key-compromise", CACompromise: "ca-compromise",
	AffiliationChanged: "affiliation-changed", Superseded: "superseded",
	CessationOfOperation: "cessation-of-operation", PrivilegeWithdrawn: "privilege-withdrawn",
}

// String returns the reason as ParseRevocation reads it.
func (r Revocation) String() string {
	if name := revocationNames[r]; name != "" {
		return name
	}
	return fmt.Sprintf("reason-%d", uint8(r))
}

// ParseRevocation reads a reason by its name, key-compromise for instance.
func ParseRevocation(name string) (Revocation, error) {
	for r, n := range revocationNames {
		if n == name {
			return r, nil
		}
	}
	return 0, refuse(Malformed, "%q is no reason: write unspecified, key-compromise, ca-compromise, affiliation-changed, superseded, cessation-of-operation or privilege-withdrawn", clip(name))
}

// MaxCRL bounds a list of revocations, in bytes of DER.
const MaxCRL = 8 << 20

// A RevokedCertificate is an entry of a list of revocations.
type RevokedCertificate struct {
	Serial *big.Int
	At     time.Time
	Why    Revocation
}

// IssueCRL makes the CA's list of revocations (RFC 5280, Section 5). The number
// must rise from one list to the next.
func (ca *CA) IssueCRL(revoked []RevokedCertificate, number *big.Int, v Validity) ([]byte, error) {
	t := &x509.RevocationList{Number: number, ThisUpdate: v.This, NextUpdate: v.Next}
	for _, r := range revoked {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: r.Serial, RevocationTime: r.At, ReasonCode: int(r.Why),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, t, ca.Cert, ca.Key)
	if err != nil {
		return nil, fmt.Errorf("issue list of revocations: %w", err)
	}
	if len(der) > MaxCRL {
		return nil, refuse(TooLarge, "a list of revocations of %d bytes: at most %d", len(der), MaxCRL)
	}
	return der, nil
}

// CheckCRL looks a certificate up in its issuer's list of revocations (RFC
// 5280, Section 6.3): signed by the issuer itself with an algorithm that
// counts, complete (no critical extension that makes it a part of one), true at
// now (Skew allowed at its begin), with an end that lies ahead. A certificate
// that does not stand in it is Good. Errors are as those of CheckStatus.
func CheckCRL(crl []byte, cert, issuer *x509.Certificate, now time.Time) (Status, error) {
	if len(crl) > MaxCRL {
		return Status{}, refuse(TooLarge, "a list of revocations of %d bytes: at most %d", len(crl), MaxCRL)
	}
	list, err := x509.ParseRevocationList(crl)
	if err != nil {
		return Status{}, refuse(Malformed, "list of revocations: %w", err)
	}
	if !bytes.Equal(list.RawIssuer, issuer.RawSubject) || !bytes.Equal(cert.RawIssuer, issuer.RawSubject) {
		return Status{}, refuse(Mismatch, "the list of revocations, or the certificate, is not by %q", issuer.Subject)
	}
	if !accepted(list.SignatureAlgorithm) {
		return Status{}, refuse(WrongKey, "the list of revocations is signed by an algorithm that is not accepted")
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return Status{}, refuse(BadSignature, "the list of revocations is not signed by its CA: %w", err)
	}
	for _, ext := range list.Extensions {
		if ext.Critical {
			return Status{}, refuse(Malformed, "the list of revocations has the critical extension %s: it may be a part of one", ext.Id)
		}
	}
	if err := checkFresh(list.ThisUpdate, list.NextUpdate, StatusOptions{Now: now}); err != nil {
		return Status{}, err
	}
	s := Status{State: Good, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate, Hash: sha256.Sum256(crl), Responder: issuer.Subject.String(), Certified: [2]time.Time{issuer.NotBefore, issuer.NotAfter}}
	for _, e := range list.RevokedCertificateEntries {
		for _, ext := range e.Extensions {
			if ext.Critical {
				return Status{}, refuse(Malformed, "an entry of the list of revocations has the critical extension %s", ext.Id)
			}
		}
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			s.State, s.RevokedAt, s.Why = Revoked, e.RevocationTime, Revocation(e.ReasonCode)
		}
	}
	return s, nil
}
