package coi

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

// A desk answers for the CoI CA of alpha, in tests.
type desk struct {
	t      testing.TB
	alpha  *realm
	ca     *CA
	cert   *x509.Certificate
	key    crypto.Signer // of cert
	signer *Responder
	nonce  []byte
	valid  Validity
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t, alpha: newRealm(t, "alpha.example"), nonce: make([]byte, NonceSize)}
	rand.Read(d.nonce)
	d.ca = d.alpha.withCoIs(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	d.key, d.cert = key, issueCoI(t, d.ca, key, nil)
	d.signer = d.responder(d.ca, nil)
	d.valid = Validity{then, then.Add(time.Hour)}
	must(t, d.signer.Check(then))
	return d
}

// responder makes a responder by hand: the template, changed by edit.
func (d *desk) responder(ca *CA, edit func(*x509.Certificate)) *Responder {
	d.t.Helper()
	key, err := NewResponderKey()
	must(d.t, err)
	cert, err := ca.IssueResponder(key.Public(), then)
	must(d.t, err)
	if edit != nil {
		c := &x509.Certificate{
			Subject: cert.Subject, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, KeyUsage: cert.KeyUsage,
			BasicConstraintsValid: true, ExtKeyUsage: cert.ExtKeyUsage,
			ExtraExtensions: []pkix.Extension{{Id: oidNoCheck, Value: asn1.NullBytes}},
		}
		edit(c)
		cert, err = ca.sign(c, key.Public())
		must(d.t, err)
	}
	return &Responder{Issuer: d.ca.Cert, Cert: cert, Key: key}
}

func (d *desk) id(hash crypto.Hash) CertID {
	d.t.Helper()
	id, err := NewCertID(d.cert.SerialNumber, d.ca.Cert, hash)
	must(d.t, err)
	return id
}

// answer is the response that says a state with the nonce.
func (d *desk) answer(state State) []byte {
	d.t.Helper()
	return d.sign(d.signer, Answer{ID: d.id(crypto.SHA256), State: state, RevokedAt: then.Add(-time.Minute), Why: KeyCompromise})
}

func (d *desk) sign(r *Responder, answers ...Answer) []byte {
	d.t.Helper()
	der, err := r.SignStatus(answers, d.valid, d.nonce)
	must(d.t, err)
	return der
}

func (d *desk) check(response []byte) (Status, error) {
	return CheckStatus(response, d.cert, d.ca.Cert, StatusOptions{Now: then.Add(time.Minute), Nonce: d.nonce})
}

// assemble signs response data that responseData did not write: edit changes
// what is in it, by hand.
func (d *desk) assemble(tbs []byte, alg asn1.ObjectIdentifier, certs ...[]byte) []byte {
	d.t.Helper()
	sig, err := Sign(d.signer.Key, tbs)
	must(d.t, err)
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(alg) })
		b.AddASN1BitString(sig)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, c := range certs {
					b.AddBytes(c)
				}
			})
		})
	})
	out, err := successful(b.BytesOrPanic())
	must(d.t, err)
	return out
}

func TestE24_StatusIsCheckedInRealTime(t *testing.T) {
	d := newDesk(t)
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
		for _, state := range []State{Good, Revoked, Unknown} {
			der := d.sign(d.signer, Answer{ID: d.id(hash), State: state, RevokedAt: then.Add(-time.Minute), Why: KeyCompromise})
			s, err := d.check(der)
			must(t, err)
			if s.State != state || !s.ThisUpdate.Equal(d.valid.This) || !s.NextUpdate.Equal(d.valid.Next) || s.Responder == "" || s.Hash == [32]byte{} {
				t.Errorf("%s: %+v", state, s)
			}
			if revoked := state == Revoked; revoked != s.RevokedAt.Equal(then.Add(-time.Minute)) || revoked != (s.Why == KeyCompromise) {
				t.Errorf("%s: %+v", state, s)
			}
			agree(t, der, d.ca.Cert, state)
		}
	}
}

// agree holds a response against what x/crypto reads in it.
func agree(t *testing.T, der []byte, issuer *x509.Certificate, state State) {
	t.Helper()
	r, err := ocsp.ParseResponse(der, issuer)
	must(t, err)
	want := map[State]int{Good: ocsp.Good, Revoked: ocsp.Revoked, Unknown: ocsp.Unknown}[state]
	if r.Status != want || state == Revoked && r.RevocationReason != ocsp.KeyCompromise {
		t.Errorf("%s: x/crypto reads %+v", state, r)
	}
}

// TestTheIssuerMayAnswerItself: RFC 6960, Section 4.2.2.2, "the issuing CA".
func TestTheIssuerMayAnswerItself(t *testing.T) {
	d := newDesk(t)
	self := &Responder{Issuer: d.ca.Cert, Cert: d.ca.Cert, Key: d.ca.Key}
	s, err := d.check(d.sign(self, Answer{ID: d.id(crypto.SHA256), State: Good}))
	must(t, err)
	if s.State != Good {
		t.Errorf("%+v", s)
	}
}

// TestStapledStatusNeedsNoNonce: a response with a nonce serves those who did
// not ask, and one without serves nobody who did.
func TestStapledStatusNeedsNoNonce(t *testing.T) {
	d := newDesk(t)
	o := StatusOptions{Now: then.Add(time.Minute)}
	_, err := CheckStatus(d.answer(Good), d.cert, d.ca.Cert, o)
	must(t, err)
	bare, err := d.signer.SignStatus([]Answer{{ID: d.id(crypto.SHA256), State: Good}}, d.valid, nil)
	must(t, err)
	_, err = CheckStatus(bare, d.cert, d.ca.Cert, o)
	must(t, err)
	if _, err := d.check(bare); ReasonOf(err) != Mismatch {
		t.Errorf("a response without the nonce: %v", err)
	}
}

// TestE27S6S7S8S9S10S11A7_NoStatusPassesThatIsNotGood is the list of coi.md 3.6: "unknown /
// unreachable / forged / replayed / stale / wrong issuer: never silently good".
func TestE27S6S7S8S9S10S11A7_NoStatusPassesThatIsNotGood(t *testing.T) {
	d := newDesk(t)
	beta := newRealm(t, "beta.example")
	betaCA := beta.withCoIs(t)
	good := Answer{ID: d.id(crypto.SHA256), State: Good}
	by := func(ca *CA, edit func(*x509.Certificate)) []byte { return d.sign(d.responder(ca, edit), good) }
	eku := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	other := func(edit func(*CertID)) []byte {
		a := good
		edit(&a.ID)
		return d.sign(d.signer, a)
	}
	at := func(v Validity) []byte {
		der, err := d.signer.SignStatus([]Answer{good}, v, d.nonce)
		must(t, err)
		return der
	}
	forged := bytes.Clone(d.answer(Good))
	i := bytes.LastIndex(forged, d.signer.Cert.Raw)
	forged[i-20] ^= 1 // in the signature, which stands before the certificates
	flip := bytes.Clone(d.answer(Good))
	flip[bytes.Index(flip, d.nonce)] ^= 1
	data, err := d.signer.responseData([]Answer{good}, d.valid, d.nonce)
	must(t, err)
	ecdsaSHA256, err := algorithmOf(d.signer.Key.Public())
	must(t, err)
	_, err = d.check(d.assemble(data, ecdsaSHA256, d.signer.Cert.Raw))
	must(t, err)
	device := &Responder{Issuer: d.alpha.devices.Cert, Key: edKey(t)}
	device.Cert, err = d.alpha.devices.IssueDevice(Name{Purpose: Device, Site: "alpha.example", Local: "mallory", Device: "pad"}, device.Key.Public(), then)
	must(t, err)
	coiAsResponder := &Responder{Issuer: d.ca.Cert, Cert: d.cert, Key: d.key}

	for _, c := range []struct {
		what     string
		response []byte
		want     Reason
	}{
		{"nothing", nil, Malformed},
		{"not a response", []byte("hello"), Malformed},
		{"too large", make([]byte, MaxStatus+1), TooLarge},
		{"bytes after it", append(d.answer(Good), 0), Malformed},
		{"cut short", d.answer(Good)[:200], Malformed},
		{"try later", StatusTryLater.Refusal(), Unanswered},
		{"unauthorized", StatusUnauthorized.Refusal(), Unanswered},
		{"malformed request", StatusMalformed.Refusal(), Unanswered},
		{"internal error", StatusInternal.Refusal(), Unanswered},
		{"successful, and nothing more", StatusSuccessful.Refusal(), Malformed},
		{"a changed signature", forged, BadSignature},
		{"a changed nonce", flip, BadSignature},
		{"a responder without OCSPSigning", by(d.ca, eku()), WrongPurpose},
		{"a responder for clientAuth", by(d.ca, eku(x509.ExtKeyUsageClientAuth)), WrongPurpose},
		{"a responder for any usage", by(d.ca, eku(x509.ExtKeyUsageAny)), WrongPurpose},
		{"a responder for more than OCSPSigning", by(d.ca, eku(x509.ExtKeyUsageOCSPSigning, x509.ExtKeyUsageServerAuth)), WrongPurpose},
		{"an expired responder", by(d.ca, func(c *x509.Certificate) { c.NotAfter = then }), Expired},
		{"a responder that is not yet valid", by(d.ca, func(c *x509.Certificate) { c.NotBefore = then.Add(time.Hour) }), NotYetValid},
		{"a responder without no-check", by(d.ca, func(c *x509.Certificate) { c.ExtraExtensions = nil }), WrongPurpose},
		{"a responder that may not sign", by(d.ca, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), WrongPurpose},
		{"a responder that is a CA", by(d.ca, func(c *x509.Certificate) { c.IsCA = true; c.KeyUsage |= x509.KeyUsageCertSign }), WrongPurpose},
		{"a responder with a critical extension", by(d.ca, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: asn1.NullBytes})
		}), WrongPurpose},
		{"the responder of the site's device CA", by(d.alpha.devices, nil), Untrusted},
		{"the responder of the site's root", by(d.alpha.root, nil), Untrusted},
		{"the responder of another site", by(betaCA, nil), Untrusted},
		{"a user of the site", d.sign(device, good), WrongPurpose},
		{"the CoI itself", d.sign(coiAsResponder, good), WrongPurpose},
		{"a responder that does not show its certificate", d.assemble(data, ecdsaSHA256), Untrusted},
		{"another certificate in the place of the responder's", d.assemble(data, ecdsaSHA256, d.cert.Raw), Untrusted},
		{"SHA-1 in the signature", d.assemble(data, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}, d.signer.Cert.Raw), WrongKey},
		{"an algorithm nobody knows", d.assemble(data, asn1.ObjectIdentifier{1, 2, 3}, d.signer.Cert.Raw), WrongKey},
		{"another hash than signed with", d.assemble(data, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, d.signer.Cert.Raw), BadSignature},
		{"another serial", other(func(id *CertID) { id.Serial = new(big.Int).Add(id.Serial, big.NewInt(1)) }), Mismatch},
		{"another issuer's name", other(func(id *CertID) { id.NameHash = make([]byte, 32) }), Mismatch},
		{"another issuer's key", other(func(id *CertID) { id.KeyHash = make([]byte, 32) }), Mismatch},
		{"SHA-1 hashes called SHA-256", other(func(id *CertID) {
			old := d.id(crypto.SHA1)
			id.NameHash, id.KeyHash = append(old.NameHash, make([]byte, 12)...), append(old.KeyHash, make([]byte, 12)...)
		}), Mismatch},
		{"good and revoked at once", d.sign(d.signer, good, Answer{ID: good.ID, State: Revoked, RevokedAt: then}), Mismatch},
		{"stale", at(Validity{then.Add(-time.Hour), then.Add(time.Minute)}), Stale},
		{"from the future", at(Validity{then.Add(Skew + 2*time.Minute), then.Add(time.Hour)}), Stale},
	} {
		s, err := d.check(c.response)
		if ReasonOf(err) != c.want || s != (Status{}) {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
}

// TestE27_DataByHand: what no responder of ours would write.
func TestE27_DataByHand(t *testing.T) {
	d := newDesk(t)
	alg, err := algorithmOf(d.signer.Key.Public())
	must(t, err)
	bits, err := spkiBits(d.signer.Cert.RawSubjectPublicKeyInfo)
	must(t, err)
	ext := func(b *cryptobyte.Builder, tag uint8, oid asn1.ObjectIdentifier, critical bool, value []byte) {
		b.AddASN1(explicit(tag), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oid)
					if critical {
						b.AddASN1Boolean(true)
					}
					b.AddASN1OctetString(value)
				})
			})
		})
	}
	type parts struct {
		version  bool
		next     bool
		produced time.Time
		single   func(*cryptobyte.Builder)
		tail     func(*cryptobyte.Builder)
		byName   bool
		copies   int
	}
	make := func(p parts) []byte {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if p.version {
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Int64(1) })
			}
			if p.byName {
				b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(d.signer.Cert.RawSubject) })
			} else {
				b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest(crypto.SHA1, bits)) })
			}
			b.AddASN1GeneralizedTime(p.produced)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for range max(p.copies, 1) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						d.id(crypto.SHA256).marshal(b)
						b.AddASN1(context(0), func(*cryptobyte.Builder) {})
						b.AddASN1GeneralizedTime(then)
						if p.next {
							b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(then.Add(time.Hour)) })
						}
						if p.single != nil {
							p.single(b)
						}
					})
				}
			})
			if p.tail != nil {
				p.tail(b)
			}
		})
		return d.assemble(b.BytesOrPanic(), alg, d.signer.Cert.Raw, []byte{0x30, 0})
	}
	private := asn1.ObjectIdentifier{1, 2, 3, 4}
	for _, c := range []struct {
		what string
		p    parts
		want Reason
	}{
		{"as it should be", parts{next: true, produced: then}, 0},
		{"named by its subject", parts{next: true, produced: then, byName: true}, 0},
		{"an extension that does not matter", parts{next: true, produced: then,
			single: func(b *cryptobyte.Builder) { ext(b, 1, private, false, nil) },
			tail:   func(b *cryptobyte.Builder) { ext(b, 1, private, false, nil) }}, 0},
		{"no nextUpdate", parts{produced: then}, Stale},
		{"another version", parts{next: true, produced: then, version: true}, Malformed},
		{"produced in the future", parts{next: true, produced: then.Add(time.Hour)}, Stale},
		{"a critical extension of the answer", parts{next: true, produced: then, single: func(b *cryptobyte.Builder) { ext(b, 1, private, true, nil) }}, Malformed},
		{"a critical extension of the response", parts{next: true, produced: then, tail: func(b *cryptobyte.Builder) { ext(b, 1, private, true, nil) }}, Malformed},
		{"a nonce that is no octet string", parts{next: true, produced: then, tail: func(b *cryptobyte.Builder) { ext(b, 1, oidNonce, false, []byte{1, 1, 0}) }}, Malformed},
		{"too many answers", parts{next: true, produced: then, copies: maxSingles + 1}, TooLarge},
		{"bytes after the data", parts{next: true, produced: then, tail: func(b *cryptobyte.Builder) { b.AddASN1NULL() }}, Malformed},
	} {
		s, err := CheckStatus(make(c.p), d.cert, d.ca.Cert, StatusOptions{Now: then.Add(time.Minute)})
		if ReasonOf(err) != c.want || (err == nil) != (c.want == 0) || err == nil && s.State != Good {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
}

// TestS9_AStatusEnds: "within cache age A", and not a second after nextUpdate.
func TestS9_AStatusEnds(t *testing.T) {
	d := newDesk(t)
	der := d.answer(Good)
	for _, c := range []struct {
		after, max time.Duration
		good       bool
	}{
		{-Skew, 0, true}, {-Skew - time.Second, 0, false}, {0, 0, true}, {time.Hour - time.Second, 0, true}, {time.Hour, 0, false},
		{10 * time.Minute, 10 * time.Minute, true}, {10*time.Minute + time.Second, 10 * time.Minute, false},
	} {
		_, err := CheckStatus(der, d.cert, d.ca.Cert, StatusOptions{Now: then.Add(c.after), MaxAge: c.max})
		if (err == nil) != c.good || !c.good && ReasonOf(err) != Stale {
			t.Errorf("%s after, at most %s old: %v", c.after, c.max, err)
		}
	}
}

// TestStatusOfAnotherCAsCertificate: who asks about a certificate under the
// wrong issuer is told, not answered.
func TestStatusOfAnotherCAsCertificate(t *testing.T) {
	d := newDesk(t)
	if _, err := CheckStatus(d.answer(Good), d.alpha.device(t, laptop), d.ca.Cert, StatusOptions{Now: then}); ReasonOf(err) != Mismatch {
		t.Errorf("a device under the CoI CA: %v", err)
	}
}

// TestStatusOfDevices: the device CA, which is Ed25519, has its own responder.
func TestStatusOfDevices(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	device := alpha.device(t, laptop)
	key, err := NewResponderKey()
	must(t, err)
	cert, err := alpha.devices.IssueResponder(key.Public(), then)
	must(t, err)
	r := &Responder{Issuer: alpha.devices.Cert, Cert: cert, Key: key}
	must(t, r.Check(then))
	id, err := NewCertID(device.SerialNumber, alpha.devices.Cert, crypto.SHA256)
	must(t, err)
	der, err := r.SignStatus([]Answer{{ID: id, State: Good}}, Validity{then, then.Add(time.Hour)}, nil)
	must(t, err)
	s, err := CheckStatus(der, device, alpha.devices.Cert, StatusOptions{Now: then})
	must(t, err)
	if s.State != Good {
		t.Errorf("%+v", s)
	}
	for p := Device; p <= Service; p++ {
		if _, err := newTrust(t, alpha.site).Verify(Chain(cert), p, then); err == nil {
			t.Errorf("a responder passes as a %s", p)
		}
	}
}

// TestRSAStatus: a peer's responder may sign with RSA, and is read.
func TestRSAStatus(t *testing.T) {
	d := newDesk(t)
	for bits, want := range map[int]Reason{2048: 0, 1024: WrongKey} {
		if bits == 1024 {
			t.Setenv("GODEBUG", "rsa1024min=0")
		}
		key, err := rsa.GenerateKey(rand.Reader, bits)
		must(t, err)
		tmpl := d.signer.Cert
		c := &x509.Certificate{Subject: tmpl.Subject, NotBefore: tmpl.NotBefore, NotAfter: tmpl.NotAfter, KeyUsage: tmpl.KeyUsage,
			ExtKeyUsage: tmpl.ExtKeyUsage, ExtraExtensions: []pkix.Extension{{Id: oidNoCheck, Value: asn1.NullBytes}}}
		cert, err := d.ca.sign(c, key.Public())
		must(t, err)
		id := d.id(crypto.SHA1)
		der, err := ocsp.CreateResponse(d.ca.Cert, cert, ocsp.Response{
			Status: ocsp.Good, SerialNumber: id.Serial, ThisUpdate: then, NextUpdate: then.Add(time.Hour), Certificate: cert,
		}, key)
		must(t, err)
		s, err := CheckStatus(der, d.cert, d.ca.Cert, StatusOptions{Now: then})
		if ReasonOf(err) != want || (s.State == Good) != (want == 0) {
			t.Errorf("RSA of %d bits: %v", bits, err)
		}
	}
}

func TestStatusRequest(t *testing.T) {
	d := newDesk(t)
	for _, nonce := range [][]byte{nil, d.nonce, make([]byte, MaxNonce)} {
		der, err := NewStatusRequest(d.cert, d.ca.Cert, nonce)
		must(t, err)
		r, err := ParseStatusRequest(der)
		must(t, err)
		if len(r.Certs) != 1 || !r.Certs[0].Of(d.ca.Cert) || r.Certs[0].Serial.Cmp(d.cert.SerialNumber) != 0 || !bytes.Equal(r.Nonce, nonce) {
			t.Errorf("%+v", r)
		}
		theirs, err := ocsp.ParseRequest(der)
		must(t, err)
		if theirs.HashAlgorithm != crypto.SHA256 || theirs.SerialNumber.Cmp(d.cert.SerialNumber) != 0 {
			t.Errorf("x/crypto reads %+v", theirs)
		}
	}
	der, err := ocsp.CreateRequest(d.cert, d.ca.Cert, nil)
	must(t, err)
	r, err := ParseStatusRequest(der)
	must(t, err)
	if r.Certs[0].Hash != crypto.SHA1 || !r.Certs[0].Of(d.ca.Cert) || r.Nonce != nil {
		t.Errorf("%+v", r)
	}
	if _, err := NewStatusRequest(d.cert, d.ca.Cert, make([]byte, MaxNonce+1)); ReasonOf(err) != TooLarge {
		t.Errorf("too long a nonce: %v", err)
	}
	many := &StatusRequest{}
	for range maxSingles + 1 {
		many.Certs = append(many.Certs, d.id(crypto.SHA1))
	}
	der, err = many.Marshal()
	must(t, err)
	for what, c := range map[string]struct {
		der  []byte
		want Reason
	}{
		"nothing": {nil, Malformed}, "too large": {make([]byte, MaxStatusRequest+1), TooLarge}, "too many": {der, TooLarge},
		"for no certificate": {[]byte{0x30, 4, 0x30, 2, 0x30, 0}, Malformed},
	} {
		if _, err := ParseStatusRequest(c.der); ReasonOf(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzCheckStatus: whatever is accepted says what the responder signed.
func FuzzCheckStatus(f *testing.F) {
	d := newDesk(f)
	d.valid.Next = then.Add(100 * 365 * 24 * time.Hour)
	good, revoked := d.answer(Good), d.answer(Revoked)
	for _, der := range [][]byte{good, revoked, d.answer(Unknown), StatusTryLater.Refusal(), nil} {
		f.Add(der)
	}
	signed := map[State]Status{}
	for state, der := range map[State][]byte{Good: good, Revoked: revoked, Unknown: d.answer(Unknown)} {
		s, err := d.check(der)
		must(f, err)
		s.Hash = [32]byte{}
		signed[state] = s
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := d.check(der)
		s.Hash = [32]byte{}
		if err == nil && s != signed[s.State] || err != nil && s != (Status{}) {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// FuzzParseStatusRequest: what is read is written the same, apart from a
// signature and other things that are not looked at.
func FuzzParseStatusRequest(f *testing.F) {
	d := newDesk(f)
	ours, err := NewStatusRequest(d.cert, d.ca.Cert, d.nonce)
	must(f, err)
	theirs, err := ocsp.CreateRequest(d.cert, d.ca.Cert, nil)
	must(f, err)
	f.Add(ours)
	f.Add(theirs)
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ParseStatusRequest(der)
		if err != nil {
			return
		}
		out, err := r.Marshal()
		must(t, err)
		again, err := ParseStatusRequest(out)
		must(t, err)
		if len(again.Certs) != len(r.Certs) || !bytes.Equal(again.Nonce, r.Nonce) || again.Certs[0].Serial.Cmp(r.Certs[0].Serial) != 0 {
			t.Errorf("%+v came back as %+v", r, again)
		}
	})
}

// BenchmarkStatus measures what an answer costs who signs it and who checks it.
func BenchmarkStatus(b *testing.B) {
	d := newDesk(b)
	answer := Answer{ID: d.id(crypto.SHA256), State: Good}
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			d.sign(d.signer, answer)
		}
	})
	der := d.answer(Good)
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.check(der); err != nil {
				b.Fatal(err)
			}
		}
	})
}
