package coi

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // CertIDs may be made with it; no signature is
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	maxSingles    = 16 // answers in a response, questions in a request
	maxExtensions = 16 // in a list of them
	maxSerial     = 21 // octets of a serial (RFC 5280, Section 4.1.2.2, and a sign)
	maxCertsAlong = 4  // certificates in a response that are looked at
)

var (
	oidBasicStatus = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidNonce       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidNoCheck     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	oidSHA1        = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

// context is an explicit or implicit tag of a SEQUENCE's optional part.
func context(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }

func explicit(n uint8) cbasn1.Tag { return context(n).Constructed() }

// A basicStatus is a response taken apart, of which nothing is believed yet.
//
//	BasicOCSPResponse ::= SEQUENCE {
//	   tbsResponseData ResponseData, signatureAlgorithm AlgorithmIdentifier,
//	   signature BIT STRING, certs [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
//	ResponseData ::= SEQUENCE {
//	   version [0] EXPLICIT Version DEFAULT v1, responderID ResponderID,
//	   producedAt GeneralizedTime, responses SEQUENCE OF SingleResponse,
//	   responseExtensions [1] EXPLICIT Extensions OPTIONAL }
type basicStatus struct {
	tbs       []byte // as signed
	algorithm x509.SignatureAlgorithm
	signature []byte
	certs     []cryptobyte.String
	byName    []byte // of the responder; or
	byKey     []byte // SHA-1 of its key
	produced  time.Time
	singles   []singleStatus
	nonce     []byte
}

// A singleStatus is one answer of a response.
type singleStatus struct {
	id         CertID
	state      State
	revokedAt  time.Time
	why        Revocation
	this, next time.Time
}

func badStatus(what string) error { return refuse(Malformed, "status response: %s", what) }

// parseStatus takes a response apart (RFC 6960, Section 4.2.1).
func parseStatus(der []byte) (*basicStatus, error) {
	in := cryptobyte.String(der)
	var outer, wrapped, body, kind cryptobyte.String
	var code int
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Enum(&code) {
		return nil, badStatus("not one in DER")
	}
	if code != int(StatusSuccessful) {
		return nil, refuse(Unanswered, "the responder says %s", StatusCode(code))
	}
	if !outer.ReadASN1(&wrapped, explicit(0)) || !outer.Empty() || !wrapped.ReadASN1(&kind, cbasn1.SEQUENCE) || !wrapped.Empty() {
		return nil, badStatus("no answer in it")
	}
	if !kind.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidBasicStatus) || !kind.ReadASN1(&body, cbasn1.OCTET_STRING) || !kind.Empty() {
		return nil, badStatus("not of the basic type")
	}
	return parseBasic(body)
}

func parseBasic(in cryptobyte.String) (*basicStatus, error) {
	b := &basicStatus{}
	var basic, tbs, data, certs cryptobyte.String
	var along bool
	if !in.ReadASN1(&basic, cbasn1.SEQUENCE) || !in.Empty() || !basic.ReadASN1Element(&tbs, cbasn1.SEQUENCE) {
		return nil, badStatus("cut short")
	}
	b.tbs = tbs
	if !b.readAlgorithm(&basic) {
		return nil, refuse(WrongKey, "the status response is signed by an algorithm that is not accepted: ECDSA or RSA with SHA-2, or Ed25519")
	}
	if !basic.ReadASN1BitStringAsBytes(&b.signature) || !basic.ReadOptionalASN1(&certs, &along, explicit(0)) || !basic.Empty() {
		return nil, badStatus("no signature in its place")
	}
	if along && !b.readCerts(certs) {
		return nil, badStatus("its certificates are cut short")
	}
	if !tbs.ReadASN1(&data, cbasn1.SEQUENCE) {
		return nil, badStatus("no data")
	}
	return b, b.readData(data)
}

// readCerts keeps the first few certificates as bytes; more are not looked at.
func (b *basicStatus) readCerts(in cryptobyte.String) bool {
	var list, cert cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return false
	}
	for !list.Empty() {
		if !list.ReadASN1Element(&cert, cbasn1.SEQUENCE) {
			return false
		}
		if len(b.certs) < maxCertsAlong {
			b.certs = append(b.certs, cert)
		}
	}
	return true
}

func (b *basicStatus) readData(in cryptobyte.String) error {
	if in.PeekASN1Tag(explicit(0)) {
		return badStatus("of another version")
	}
	var id, list, exts cryptobyte.String
	var tag cbasn1.Tag
	var more bool
	if !in.ReadAnyASN1(&id, &tag) {
		return badStatus("no responder")
	}
	switch tag {
	case explicit(1):
		b.byName = id
	case explicit(2):
		var key cryptobyte.String
		if !id.ReadASN1(&key, cbasn1.OCTET_STRING) || !id.Empty() {
			return badStatus("no responder")
		}
		b.byKey = key
	default:
		return badStatus("no responder")
	}
	if !in.ReadASN1GeneralizedTime(&b.produced) || !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.ReadOptionalASN1(&exts, &more, explicit(1)) || !in.Empty() {
		return badStatus("cut short")
	}
	for !list.Empty() {
		if len(b.singles) == maxSingles {
			return refuse(TooLarge, "status response: more than %d answers", maxSingles)
		}
		s, ok := readSingle(&list)
		if !ok {
			return badStatus("an answer is not well-formed, or has a critical extension")
		}
		b.singles = append(b.singles, s)
	}
	if more {
		nonce, ok := readNonce(exts)
		if !ok {
			return badStatus("its extensions are not well-formed, or critical and not known")
		}
		b.nonce = nonce
	}
	return nil
}

// readSingle reads
//
//	SingleResponse ::= SEQUENCE {
//	   certID CertID, certStatus CertStatus, thisUpdate GeneralizedTime,
//	   nextUpdate [0] EXPLICIT GeneralizedTime OPTIONAL,
//	   singleExtensions [1] EXPLICIT Extensions OPTIONAL }
func readSingle(list *cryptobyte.String) (s singleStatus, ok bool) {
	var in, status, next, exts cryptobyte.String
	var tag cbasn1.Tag
	var has, more bool
	if !list.ReadASN1(&in, cbasn1.SEQUENCE) || !readCertID(&in, &s.id) || !in.ReadAnyASN1(&status, &tag) {
		return s, false
	}
	switch {
	case tag == context(0) && status.Empty():
		s.state = Good
	case tag == context(2) && status.Empty():
		s.state = Unknown
	case tag == explicit(1) && readRevoked(status, &s):
		s.state = Revoked
	default:
		return s, false
	}
	if !in.ReadASN1GeneralizedTime(&s.this) || !in.ReadOptionalASN1(&next, &has, explicit(0)) || !in.ReadOptionalASN1(&exts, &more, explicit(1)) || !in.Empty() {
		return s, false
	}
	if has && (!next.ReadASN1GeneralizedTime(&s.next) || !next.Empty()) {
		return s, false
	}
	return s, !more || readExtensions(exts, func(asn1.ObjectIdentifier, cryptobyte.String) bool { return false })
}

// readRevoked reads RevokedInfo: when, and why [0] EXPLICIT if it is said.
func readRevoked(in cryptobyte.String, s *singleStatus) bool {
	var reason cryptobyte.String
	var said bool
	if !in.ReadASN1GeneralizedTime(&s.revokedAt) || !in.ReadOptionalASN1(&reason, &said, explicit(0)) || !in.Empty() {
		return false
	}
	if !said {
		return true
	}
	var n int
	if !reason.ReadASN1Enum(&n) || !reason.Empty() || n < 0 || n > int(maxRevocation) {
		return false
	}
	s.why = Revocation(n)
	return true
}

// readCertID reads
//
//	CertID ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier,
//	   issuerNameHash OCTET STRING, issuerKeyHash OCTET STRING, serialNumber INTEGER }
func readCertID(list *cryptobyte.String, id *CertID) bool {
	var in, algorithm, name, key, serial cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !list.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) || !nullOrNothing(algorithm) {
		return false
	}
	switch {
	case oid.Equal(oidSHA1):
		id.Hash = crypto.SHA1
	case oid.Equal(oidSHA256):
		id.Hash = crypto.SHA256
	default:
		return false
	}
	if !in.ReadASN1(&name, cbasn1.OCTET_STRING) || !in.ReadASN1(&key, cbasn1.OCTET_STRING) || !in.ReadASN1Element(&serial, cbasn1.INTEGER) || !in.Empty() {
		return false
	}
	id.NameHash, id.KeyHash, id.Serial = name, key, new(big.Int)
	size := id.Hash.Size()
	return len(name) == size && len(key) == size && len(serial) <= maxSerial+2 && serial.ReadASN1Integer(id.Serial) && id.Serial.Sign() >= 0
}

// nullOrNothing is what the parameters of a hash or of RSA are.
func nullOrNothing(rest cryptobyte.String) bool {
	return len(rest) == 0 || bytes.Equal(rest, []byte{0x05, 0x00})
}

// readExtensions reads a list of them. known takes those it knows; one that is
// critical and not known ends it.
func readExtensions(in cryptobyte.String, known func(asn1.ObjectIdentifier, cryptobyte.String) bool) bool {
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return false
	}
	for n := 0; !list.Empty(); n++ {
		var ext, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		critical := false
		if n == maxExtensions || !list.ReadASN1(&ext, cbasn1.SEQUENCE) || !ext.ReadASN1ObjectIdentifier(&oid) {
			return false
		}
		if ext.PeekASN1Tag(cbasn1.BOOLEAN) && !ext.ReadASN1Boolean(&critical) {
			return false
		}
		if !ext.ReadASN1(&value, cbasn1.OCTET_STRING) || !ext.Empty() || !known(oid, value) && critical {
			return false
		}
	}
	return true
}
