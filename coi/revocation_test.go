package coi

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
)

func TestCRL(t *testing.T) {
	d := newDesk(t)
	other := issueCoI(t, d.ca, d.key, nil)
	for _, ca := range []*CA{d.ca, d.alpha.devices} { // ECDSA and Ed25519
		der, err := ca.IssueCRL([]RevokedCertificate{{other.SerialNumber, then, KeyCompromise}}, big.NewInt(7), d.valid)
		must(t, err)
		if ca == d.alpha.devices {
			s, err := CheckCRL(der, d.alpha.device(t, laptop), ca.Cert, then)
			must(t, err)
			if s.State != Good {
				t.Errorf("%+v", s)
			}
			continue
		}
		s, err := CheckCRL(der, d.cert, ca.Cert, then)
		must(t, err)
		if s.State != Good || !s.NextUpdate.Equal(d.valid.Next) {
			t.Errorf("a certificate that does not stand in it: %+v", s)
		}
		s, err = CheckCRL(der, other, ca.Cert, then)
		must(t, err)
		if s.State != Revoked || s.Why != KeyCompromise || !s.RevokedAt.Equal(then) {
			t.Errorf("a certificate that stands in it: %+v", s)
		}
	}
}

// TestE27_CRLRefuses: a list of revocations that is forged, old, another CA's or
// not whole proves nothing.
func TestE27_CRLRefuses(t *testing.T) {
	d := newDesk(t)
	list := func(ca *CA, v Validity, edit func(*x509.RevocationList)) []byte {
		l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: v.This, NextUpdate: v.Next}
		if edit != nil {
			edit(l)
		}
		der, err := x509.CreateRevocationList(rand.Reader, l, ca.Cert, ca.Key)
		must(t, err)
		return der
	}
	twin, err := NewCoIAuthority("alpha.example", then) // the same name, another key
	must(t, err)
	part := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}
	good := list(d.ca, d.valid, nil)
	_, err = CheckCRL(good, d.cert, d.ca.Cert, then)
	must(t, err)
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	for _, c := range []struct {
		what string
		crl  []byte
		want Reason
	}{
		{"nothing", nil, Malformed},
		{"too large", make([]byte, MaxCRL+1), TooLarge},
		{"a changed signature", forged, BadSignature},
		{"a CA of the same name", list(twin, d.valid, nil), BadSignature},
		{"another CA", list(d.alpha.root, d.valid, nil), Mismatch},
		{"an old one", list(d.ca, Validity{then.Add(-time.Hour), then.Add(-time.Second)}, nil), Stale},
		{"one of the future", list(d.ca, Validity{then.Add(time.Hour), then.Add(2 * time.Hour)}, nil), Stale},
		{"what changed since another", list(d.ca, d.valid, func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{part} }), Malformed},
		{"an entry of another CA", list(d.ca, d.valid, func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: then, ExtraExtensions: []pkix.Extension{part}}}
		}), Malformed},
	} {
		if s, err := CheckCRL(c.crl, d.cert, d.ca.Cert, then); ReasonOf(err) != c.want || s != (Status{}) {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
}

func TestParseRevocation(t *testing.T) {
	for _, r := range []Revocation{Unspecified, KeyCompromise, CACompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn} {
		if back, err := ParseRevocation(r.String()); err != nil || back != r {
			t.Errorf("%s: %v, %v", r, back, err)
		}
	}
	if _, err := ParseRevocation("hold"); ReasonOf(err) != Malformed {
		t.Errorf("hold: %v", err)
	}
}
