package coi

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// statusAlgorithms are the signatures that count, each with the object
// identifier it is written with. SHA-1 and MD5 are not among them.
var statusAlgorithms = []struct {
	algorithm x509.SignatureAlgorithm
	oid       asn1.ObjectIdentifier
	null      bool // RSA writes NULL as its parameters
}{
	{x509.ECDSAWithSHA256, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, false},
	{x509.ECDSAWithSHA384, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, false},
	{x509.ECDSAWithSHA512, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, false},
	{x509.PureEd25519, asn1.ObjectIdentifier{1, 3, 101, 112}, false},
	{x509.SHA256WithRSA, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, true},
	{x509.SHA384WithRSA, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, true},
	{x509.SHA512WithRSA, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, true},
}

// accepted says whether signatures of an algorithm count.
func accepted(a x509.SignatureAlgorithm) bool {
	for _, s := range statusAlgorithms {
		if s.algorithm == a {
			return true
		}
	}
	return false
}

// readAlgorithm reads signatureAlgorithm, if it is on the list.
func (b *basicStatus) readAlgorithm(in *cryptobyte.String) bool {
	var alg cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) {
		return false
	}
	for _, s := range statusAlgorithms {
		if s.oid.Equal(oid) && (alg.Empty() || s.null && nullOrNothing(alg)) {
			b.algorithm = s.algorithm
			return true
		}
	}
	return false
}

// findSigner returns the certificate of who says to have signed the response:
// the issuer itself, or one that it has delegated to.
func (b *basicStatus) findSigner(issuer *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	if b.names(issuer) {
		return issuer, nil
	}
	for _, der := range b.certs {
		cert, err := x509.ParseCertificate(der)
		if err != nil || !b.names(cert) {
			continue
		}
		if err := checkResponder(cert, issuer, now); err != nil {
			return nil, err
		}
		return cert, nil
	}
	return nil, refuse(Untrusted, "the response is signed neither by the CA nor by a responder whose certificate it brings")
}

// names says whether the responder id of the response is that of a
// certificate.
func (b *basicStatus) names(cert *x509.Certificate) bool {
	if b.byName != nil {
		return bytes.Equal(b.byName, cert.RawSubject)
	}
	bits, err := spkiBits(cert.RawSubjectPublicKeyInfo)
	return err == nil && bytes.Equal(b.byKey, digest(crypto.SHA1, bits))
}

// checkResponder holds a delegated responder's certificate against all that
// makes it one (RFC 6960, Section 4.2.2.2): anybody else of the same CA could
// answer otherwise, each of its devices for instance.
func checkResponder(cert, issuer *x509.Certificate, now time.Time) error {
	only := len(cert.ExtKeyUsage) == 1 && cert.ExtKeyUsage[0] == x509.ExtKeyUsageOCSPSigning && len(cert.UnknownExtKeyUsage) == 0
	switch {
	case !only:
		return refuse(WrongPurpose, "the responder's certificate is not for OCSPSigning, and that alone")
	case cert.IsCA || cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 || cert.KeyUsage&x509.KeyUsageCertSign != 0:
		return refuse(WrongPurpose, "the responder's certificate is a CA's, or not for signatures")
	case !hasNoCheck(cert):
		return refuse(WrongPurpose, "the responder's certificate lacks no-check: it could itself be revoked, and nobody would know")
	case len(cert.UnhandledCriticalExtensions) > 0:
		return refuse(WrongPurpose, "the responder's certificate has a critical extension that is not known")
	case !accepted(cert.SignatureAlgorithm):
		return refuse(WrongKey, "the responder's certificate is signed by an algorithm that is not accepted")
	}
	if err := checkDates(cert, now); err != nil {
		return err
	}
	if !bytes.Equal(cert.RawIssuer, issuer.RawSubject) || cert.CheckSignatureFrom(issuer) != nil {
		return refuse(Untrusted, "the responder's certificate is not by the CA whose certificates it answers for")
	}
	return nil
}

func hasNoCheck(cert *x509.Certificate) bool {
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(oidNoCheck) {
			return true
		}
	}
	return false
}

// checkSignature checks the response's signature by its signer's key.
func (b *basicStatus) checkSignature(signer *x509.Certificate) error {
	if key, ok := signer.PublicKey.(*rsa.PublicKey); ok && (key.N.BitLen() < 2048 || key.N.BitLen() > MaxRSA) {
		return refuse(WrongKey, "the responder's RSA key has %d bits", key.N.BitLen())
	}
	if err := signer.CheckSignature(b.algorithm, b.tbs, b.signature); err != nil {
		return refuse(BadSignature, "the status response is not signed by its responder: %w", err)
	}
	return nil
}

// find returns the one answer about a certificate.
func (b *basicStatus) find(cert, issuer *x509.Certificate) (*singleStatus, error) {
	var found *singleStatus
	for i := range b.singles {
		s := &b.singles[i]
		if s.id.Serial.Cmp(cert.SerialNumber) != 0 || !s.id.Of(issuer) {
			continue
		}
		if found != nil {
			return nil, refuse(Mismatch, "the response speaks twice of the certificate")
		}
		found = s
	}
	if found == nil {
		return nil, refuse(Mismatch, "the response is about another certificate, or another CA's")
	}
	return found, nil
}
