package suite

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
)

func eachSuite(t *testing.T, f func(*testing.T, *Suite)) {
	for _, id := range IDs() {
		s, err := Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(s.String(), func(t *testing.T) { f(t, s) })
	}
}

func TestUnknownSuite(t *testing.T) {
	for _, id := range []ID{0, 4, 6, 8, 0xffff} {
		if _, err := Lookup(id); !errors.Is(err, ErrUnknownSuite) {
			t.Errorf("Lookup(%d) = %v", id, err)
		}
	}
}

// A tag compared without its length lets an empty one pass
// (GHSA-8x3w-qj7j-gqhf).
func TestVerifyMACComparesWholeTags(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *Suite) {
		key, data := Random(s.HashSize()), []byte("data")
		tag := s.MAC(key, data)
		if !s.VerifyMAC(key, data, tag) {
			t.Fatal("own tag refused")
		}
		for _, bad := range [][]byte{nil, {}, tag[:1], tag[:len(tag)-1], append(bytes.Clone(tag), 0)} {
			if s.VerifyMAC(key, data, bad) {
				t.Errorf("tag of %d bytes accepted", len(bad))
			}
		}
		for i := range tag {
			bad := bytes.Clone(tag)
			bad[i] ^= 1
			if s.VerifyMAC(key, data, bad) {
				t.Errorf("tag with byte %d changed accepted", i)
			}
		}
	})
}

// The hand-written first block of HKDF-Expand is the HMAC it stands for, for
// every length of info on both sides of the limit of the short path.
func TestExpandBlockIsHMAC(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *Suite) {
		for n := 0; n < 300; n++ {
			prk, context := Random(s.HashSize()), Random(n)
			m := hmac.New(s.hash.stream, prk)
			m.Write([]byte{0, byte(s.HashSize())})
			m.Write(appendLabelled(nil, "label", context))
			m.Write([]byte{1})
			if want := m.Sum(nil); !bytes.Equal(s.ExpandWithLabel(prk, "label", context, s.HashSize()), want) {
				t.Fatalf("context of %d bytes: differs", n)
			}
		}
	})
}

func TestDeriveDoesNotAllocate(t *testing.T) {
	s, _ := Lookup(X25519AES128SHA256Ed25519)
	secret, dst := Random(32), make([]byte, 0, 64)
	n := testing.AllocsPerRun(100, func() { s.DeriveTreeSecret(dst, secret, "key", 7, 16) })
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestVerifyRefuses(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *Suite) {
		key, err := s.GenerateSignatureKey()
		if err != nil {
			t.Fatal(err)
		}
		content := []byte("content")
		sig, err := key.Sign("Label", content)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, public []byte, label string, content, sig []byte, want error) {
			t.Helper()
			if err := s.Verify(public, label, content, sig); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		check("good", key.PublicKey(), "Label", content, sig, nil)
		check("other label", key.PublicKey(), "Labe", content, sig, ErrSignature)
		check("other content", key.PublicKey(), "Label", content[1:], sig, ErrSignature)
		check("empty", key.PublicKey(), "Label", content, nil, ErrSignature)
		check("truncated", key.PublicKey(), "Label", content, sig[:len(sig)-1], ErrSignature)
		check("trailing byte", key.PublicKey(), "Label", content, append(bytes.Clone(sig), 0), ErrSignature)
		check("short key", key.PublicKey()[1:], "Label", content, sig, ErrBadKey)
		check("no key", nil, "Label", content, sig, ErrBadKey)
		if s.sig.curve != nil {
			loose := append([]byte{sig[0], 0x81}, sig[1:]...) // length in long form
			check("not DER", key.PublicKey(), "Label", content, loose, ErrSignature)
			off := bytes.Clone(key.PublicKey())
			off[len(off)-1] ^= 1
			check("point off the curve", off, "Label", content, sig, ErrBadKey)
			if err := s.CheckSignatureKey(off); !errors.Is(err, ErrBadKey) {
				t.Errorf("point off the curve: %v", err)
			}
		}
	})
}

func TestKeysOfAnotherSuiteRefused(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	eachSuite(t, func(t *testing.T, s *Suite) {
		_, err := s.SignatureKeyOf(p256)
		if ok := s.sig == p256Signature; ok != (err == nil) {
			t.Errorf("P-256 key: %v", err)
		}
		for _, n := range []int{0, 1, 31, 33, 200} {
			if _, err := s.NewSignaturePrivateKey(make([]byte, n)); !errors.Is(err, ErrBadKey) {
				t.Errorf("private key of %d zero bytes: %v", n, err)
			}
			if err := s.CheckHPKEPublicKey(make([]byte, n)); !errors.Is(err, ErrBadKey) {
				t.Errorf("HPKE key of %d zero bytes: %v", n, err)
			}
		}
	})
}

// An all-zero shared secret is refused on both sides (RFC 9180,
// Section 7.1.4; RUSTSEC-2026-0069 and after).
func TestLowOrderPointsRefused(t *testing.T) {
	s, _ := Lookup(X25519AES128SHA256Ed25519)
	priv, err := s.GenerateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 32)
	one[0] = 1
	for _, point := range [][]byte{make([]byte, 32), one} {
		if _, _, err := s.Encrypt(point, "L", nil, []byte("x")); !errors.Is(err, ErrBadKey) {
			t.Errorf("encrypt to low order point: %v", err)
		}
		if _, err := s.Decrypt(priv, "L", nil, point, make([]byte, 17)); !errors.Is(err, ErrDecrypt) {
			t.Errorf("decrypt from low order point: %v", err)
		}
	}
}

func TestDecryptRefuses(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *Suite) {
		priv, err := s.DeriveKeyPair(Random(s.HashSize()))
		if err != nil {
			t.Fatal(err)
		}
		kem, ct, err := s.Encrypt(priv.PublicKey(), "Label", []byte("context"), []byte("plaintext"))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := priv.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.NewHPKEPrivateKey(raw)
		if err != nil {
			t.Fatal(err)
		}
		if pt, err := s.Decrypt(again, "Label", []byte("context"), kem, ct); err != nil || string(pt) != "plaintext" {
			t.Fatalf("reloaded key: %q, %v", pt, err)
		}
		for what, f := range map[string]func() ([]byte, error){
			"label":   func() ([]byte, error) { return s.Decrypt(priv, "Labe", []byte("context"), kem, ct) },
			"context": func() ([]byte, error) { return s.Decrypt(priv, "Label", []byte("contex"), kem, ct) },
			"kem":     func() ([]byte, error) { return s.Decrypt(priv, "Label", []byte("context"), kem[1:], ct) },
			"short":   func() ([]byte, error) { return s.Decrypt(priv, "Label", []byte("context"), kem, ct[:15]) },
			"empty":   func() ([]byte, error) { return s.Decrypt(priv, "Label", []byte("context"), nil, nil) },
		} {
			if _, err := f(); !errors.Is(err, ErrDecrypt) {
				t.Errorf("%s changed: %v", what, err)
			}
		}
	})
}

func TestAEADRefuses(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *Suite) {
		key, nonce, aad := Random(s.KeySize()), Random(s.NonceSize()), []byte("aad")
		ct := s.Seal(nil, []byte("plaintext"), Sealing{key, nonce, aad})
		if len(ct) != len("plaintext")+TagSize {
			t.Errorf("ciphertext of %d bytes", len(ct))
		}
		if pt, err := s.Open(nil, ct, Sealing{key, nonce, aad}); err != nil || string(pt) != "plaintext" {
			t.Fatalf("open: %q, %v", pt, err)
		}
		for n := range ct {
			if _, err := s.Open(nil, ct[:n], Sealing{key, nonce, aad}); !errors.Is(err, ErrDecrypt) {
				t.Fatalf("cut to %d: %v", n, err)
			}
		}
		if _, err := s.Open(nil, ct, Sealing{key, nonce, nil}); !errors.Is(err, ErrDecrypt) {
			t.Errorf("other aad: %v", err)
		}
	})
}

func TestErrorsCarryNoSecrets(t *testing.T) {
	s, _ := Lookup(P256AES128SHA256P256)
	secret := bytes.Repeat([]byte("secret"), 6)
	if _, err := s.NewSignaturePrivateKey(secret); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte{}, []byte{}, []byte{})
	f.Add(make([]byte, 32), make([]byte, 64), []byte("x"))
	f.Fuzz(func(t *testing.T, public, signature, content []byte) {
		for _, id := range IDs() {
			s, _ := Lookup(id)
			_ = s.Verify(public, "fuzz", content, signature)
			_ = s.CheckHPKEPublicKey(public)
		}
	})
}

func BenchmarkExpandWithLabel(b *testing.B) {
	s, _ := Lookup(X25519AES128SHA256Ed25519)
	secret, dst := Random(32), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		s.AppendExpandWithLabel(dst, secret, "node", nil, 32)
	}
}
