package coi

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"testing"
	"time"
)

// TestS8_ARespondersCertificateIsShort: nobody can ask whether it was revoked.
func TestS8_ARespondersCertificateIsShort(t *testing.T) {
	d := newDesk(t)
	c := d.signer.Cert
	if life := c.NotAfter.Sub(then); life > 31*24*time.Hour {
		t.Errorf("it lasts %s", life)
	}
	found := false
	for _, e := range c.Extensions {
		found = found || e.Id.Equal(oidNoCheck)
	}
	if !found {
		t.Error("it does not say no-check")
	}
}

// TestS11_ANonceIsThirtyTwoBytes: RFC 9654, Section 2.1; a part of it, or more
// than it, is not the same.
func TestS11_ANonceIsThirtyTwoBytes(t *testing.T) {
	d := newDesk(t)
	if NonceSize != 32 {
		t.Errorf("a nonce has %d bytes", NonceSize)
	}
	good := Answer{ID: d.id(crypto.SHA256), State: Good}
	own := d.nonce
	for what, nonce := range map[string][]byte{
		"its first half": own[:16], "its last byte missing": own[:31], "a byte more": append(bytes.Clone(own), 0),
		"zeros": make([]byte, NonceSize), "none": nil,
	} {
		der, err := d.signer.SignStatus([]Answer{good}, d.valid, nonce)
		must(t, err)
		if _, err := d.check(der); ReasonOf(err) != Mismatch {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestS12_CertificatesSentAlongVouchForNobody: x/crypto looks at the first one
// only; here the responder's is found among some, and what stands around it adds
// nothing to its worth.
func TestS12_CertificatesSentAlongVouchForNobody(t *testing.T) {
	d := newDesk(t)
	data, err := d.signer.responseData([]Answer{{ID: d.id(crypto.SHA256), State: Good}}, d.valid, d.nonce)
	must(t, err)
	alg, err := algorithmOf(d.signer.Key.Public())
	must(t, err)
	own, other := d.signer.Cert.Raw, d.cert.Raw
	response := func(certs ...[]byte) []byte { return d.assemble(data, alg, certs...) }
	for what, der := range map[string][]byte{
		"alone": response(own), "second": response(other, own), "last of four": response(other, d.ca.Cert.Raw, []byte{0x30, 0}, own),
		"with others behind it": response(own, other, d.ca.Cert.Raw),
	} {
		if s, err := d.check(der); err != nil || s.State != Good {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	many := make([][]byte, maxCertsAlong, maxCertsAlong+1)
	for i := range many {
		many[i] = other
	}
	if _, err := d.check(response(append(many, own)...)); ReasonOf(err) != Untrusted {
		t.Errorf("behind more than are looked at: %v", err)
	}
	// A CA of the responder's own making, sent along, under the CoI root or not.
	key, err := NewResponderKey()
	must(t, err)
	middle, err := d.ca.sign(&x509.Certificate{
		Subject: d.ca.Cert.Subject, NotBefore: then.Add(-time.Hour), NotAfter: then.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
	}, key.Public())
	must(t, err)
	under := &CA{Site: d.ca.Site, Cert: middle, Key: key}
	leaf, err := under.IssueResponder(d.signer.Key.Public(), then)
	must(t, err)
	r := &Responder{Issuer: d.ca.Cert, Cert: leaf, Key: d.signer.Key}
	tbs, err := r.responseData([]Answer{{ID: d.id(crypto.SHA256), State: Good}}, d.valid, d.nonce)
	must(t, err)
	for what, certs := range map[string][][]byte{"alone": {leaf.Raw}, "with its CA": {leaf.Raw, middle.Raw}, "behind its CA": {middle.Raw, leaf.Raw}} {
		if s, err := d.check(d.assemble(tbs, alg, certs...)); err == nil {
			t.Errorf("a responder under a CA of its own, %s: %+v", what, s)
		}
	}
}

// TestS17_CertificatesOfCoIsAreShortAndRenewedOverTheirKey: seven days unless the
// officer says otherwise; the next one is over the same key.
func TestS17_CertificatesOfCoIsAreShortAndRenewedOverTheirKey(t *testing.T) {
	d := newDesk(t)
	name, err := ParseName("mimi://alpha.example/c/finance")
	must(t, err)
	request := &CoIRequest{Key: d.key.Public()}
	first, err := d.ca.IssueCoI(name, CoIPlan{Request: request}, then)
	must(t, err)
	if life := first.NotAfter.Sub(then); life != 7*24*time.Hour {
		t.Errorf("it lasts %s", life)
	}
	second, err := d.ca.IssueCoI(name, CoIPlan{Request: request, Life: 24 * time.Hour}, then.Add(time.Hour))
	must(t, err)
	if second.NotAfter.Sub(then) != 25*time.Hour || first.SerialNumber.Cmp(second.SerialNumber) == 0 {
		t.Errorf("renewed until %s", second.NotAfter)
	}
	if !bytes.Equal(first.RawSubjectPublicKeyInfo, second.RawSubjectPublicKeyInfo) || !bytes.Equal(first.SubjectKeyId, second.SubjectKeyId) {
		t.Error("renewed over another key")
	}
}
