package coi

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/rsa"
	"testing"
)

func keys(t testing.TB) map[string]crypto.Signer {
	out := map[string]crypto.Signer{"Ed25519": edKey(t)}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		must(t, err)
		out[c.Params().Name] = key
	}
	return out
}

func TestSignature(t *testing.T) {
	message := Login{"mimi://alpha.example/n/a1", laptop, []byte("nonce")}.Message()
	for name, key := range keys(t) {
		sig, err := Sign(key, message)
		must(t, err)
		must(t, VerifySignature(key.Public(), message, sig))
		other := Login{"mimi://alpha.example/n/a2", laptop, []byte("nonce")}.Message()
		if err := VerifySignature(key.Public(), other, sig); ReasonOf(err) != BadSignature {
			t.Errorf("%s: another message: %v", name, err)
		}
		for _, bad := range [][]byte{nil, {}, sig[:len(sig)-1], append(bytes.Clone(sig), 0)} {
			if err := VerifySignature(key.Public(), message, bad); ReasonOf(err) != BadSignature {
				t.Errorf("%s: a signature of %d bytes: %v", name, len(bad), err)
			}
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	if _, err := Sign(rsaKey, message); ReasonOf(err) != WrongKey {
		t.Errorf("signed by RSA: %v", err)
	}
	for _, key := range []crypto.PublicKey{nil, rsaKey.Public(), "key"} {
		if err := VerifySignature(key, message, nil); ReasonOf(err) != WrongKey {
			t.Errorf("%T: %v", key, err)
		}
	}
}

// TestLoginMessage holds the bytes that both ends must agree on.
func TestLoginMessage(t *testing.T) {
	got := Login{"n", "d", []byte{1, 0}}.Message()
	if want := "Parley 1 login\x00n\x00d\x00\x01\x00"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPEM(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	site, err := ParseSitePEM(alpha.site.PEM(), "alpha.example")
	must(t, err)
	if len(site.Roots) != 1 || len(site.Intermediates) != 1 || !site.Roots[0].Equal(alpha.root.Cert) {
		t.Errorf("bundle is read as %d roots, %d intermediates", len(site.Roots), len(site.Intermediates))
	}
	for name, key := range keys(t) {
		data, err := EncodeKeyPEM(key)
		must(t, err)
		back, err := ParseKeyPEM(data)
		must(t, err)
		if !back.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
			t.Errorf("%s: another key came back", name)
		}
		if _, err := ParseCertificatesPEM(append(alpha.site.PEM(), data...)); ReasonOf(err) != Malformed {
			t.Errorf("%s: a private key passes in a bundle: %v", name, err)
		}
		if _, err := ParseKeyPEM(append(data, data...)); ReasonOf(err) != Malformed {
			t.Errorf("%s: two keys: %v", name, err)
		}
	}
	if _, err := ParseCertificatesPEM(bytes.Repeat(alpha.site.PEM(), MaxCAs)); ReasonOf(err) != TooLarge {
		t.Errorf("too many certificates: %v", err)
	}
	if _, err := ParseCertificatesPEM(make([]byte, MaxPEM+1)); ReasonOf(err) != TooLarge {
		t.Errorf("too many bytes: %v", err)
	}
}

func TestRequest(t *testing.T) {
	for name, key := range keys(t) {
		der, err := NewRequest(key)
		must(t, err)
		pub, err := ParseRequest(der)
		must(t, err)
		if !pub.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
			t.Errorf("%s: another key came back", name)
		}
		der[len(der)-1] ^= 1
		if _, err := ParseRequest(der); ReasonOf(err) != BadSignature && ReasonOf(err) != Malformed {
			t.Errorf("%s: a changed signature: %v", name, err)
		}
	}
	if _, err := ParseRequest(make([]byte, MaxRequest+1)); ReasonOf(err) != TooLarge {
		t.Errorf("too large: %v", err)
	}
}

// FuzzPEM reads files, certification requests and chains.
func FuzzPEM(f *testing.F) {
	alpha := newRealm(f, "alpha.example")
	trust := newTrust(f, alpha.site)
	key := edKey(f)
	data, err := EncodeKeyPEM(key)
	must(f, err)
	req, err := NewRequest(key)
	must(f, err)
	pq, err := hpke.MLKEM768X25519().GenerateKey()
	must(f, err)
	coiKey, err := NewCoIKey("p256")
	must(f, err)
	both, err := EncodeCoIKeyPEM(coiKey, pq)
	must(f, err)
	for _, b := range [][]byte{both, data, req, alpha.site.PEM(), alpha.device(f, laptop).Raw, nil} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if certs, err := ParseCertificatesPEM(b); err == nil {
			again, err := ParseCertificatesPEM(EncodeCertificatesPEM(certs...))
			if err != nil || len(again) != len(certs) || !again[0].Equal(certs[0]) {
				t.Fatalf("certificates do not come back: %v", err)
			}
		}
		if site, err := ParseSitePEM(b, "alpha.example"); err == nil {
			if trust, err := NewTrust(site); err == nil {
				trust.Sites()
			}
		}
		if key, err := ParseKeyPEM(b); err == nil {
			if _, err := EncodeKeyPEM(key); err != nil {
				t.Fatal(err)
			}
		}
		if key, pq, err := ParseCoIKeyPEM(b); err == nil {
			out, err := EncodeCoIKeyPEM(key, pq)
			must(t, err)
			_, again, err := ParseCoIKeyPEM(out)
			if err != nil || (again == nil) != (pq == nil) {
				t.Fatalf("a CoI's key does not come back: %v", err)
			}
		}
		if pub, err := ParseRequest(b); err == nil && CheckKey(pub) != nil {
			t.Fatalf("a %T is accepted", pub)
		}
		for p := Device; p <= Service; p++ {
			if s, err := trust.Verify([][]byte{b}, p, then); err == nil && s.Site != "alpha.example" || err != nil && ReasonOf(err) == 0 {
				t.Fatalf("%+v, %v", s, err)
			}
		}
	})
}
