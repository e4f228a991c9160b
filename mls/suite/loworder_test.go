package suite

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mlkem"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
)

// encodings are all public keys that a list refuses.
func (l *lowOrder) encodings() (keys [][]byte) {
	for _, k := range l {
		keys = append(keys, []byte(k), append([]byte(k[:31]), k[31]|0x80))
	}
	return keys
}

// An X25519 key of low order was taken into a leaf, and nobody could seal a path
// secret to it afterwards.
func TestLowOrderX25519(t *testing.T) {
	own, err := ecdh.X25519().NewPrivateKey(Random(32))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := Lookup(X25519AES128SHA256Ed25519)
	wing, _ := Lookup(MLKEM768X25519AES128SHA256Ed25519)
	lattice, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range lowOrderX25519.encodings() {
		key, err := ecdh.X25519().NewPublicKey(k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := own.ECDH(key); err == nil {
			t.Errorf("%x is not of low order", k)
		}
		if err := s.CheckHPKEPublicKey(k); !errors.Is(err, ErrBadKey) {
			t.Errorf("%x: %v", k, err)
		}
		hybrid := append(bytes.Clone(lattice.EncapsulationKey().Bytes()), k...)
		if err := wing.CheckHPKEPublicKey(hybrid); !errors.Is(err, ErrBadKey) {
			t.Errorf("hybrid with %x: %v", k, err)
		}
	}
	if err := s.CheckHPKEPublicKey(own.PublicKey().Bytes()); err != nil {
		t.Error(err)
	}
}

// Under an Ed25519 key of small order a signature of nobody verifies: such a key
// is refused before anything is verified with it.
func TestSmallOrderEd25519(t *testing.T) {
	s, _ := Lookup(X25519AES128SHA256Ed25519)
	forged := 0
	for _, k := range lowOrderEd25519.encodings() {
		if err := s.CheckSignatureKey(k); !errors.Is(err, ErrBadKey) {
			t.Errorf("%x: %v", k, err)
		}
		if anybodySigns(k) {
			forged++
		}
	}
	if forged < 8 {
		t.Errorf("signatures for %d of the keys were forged, want all of eight points", forged)
	}
	key, err := s.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckSignatureKey(key.PublicKey()); err != nil {
		t.Error(err)
	}
	if anybodySigns(key.PublicKey()) {
		t.Error("a signature for a good key was forged")
	}
}

// anybodySigns makes a signature that verifies under public, of R of small order
// and S zero, for one of some messages.
func anybodySigns(public []byte) bool {
	for message := range byte(32) {
		for _, r := range lowOrderEd25519.encodings() {
			if ed25519.Verify(public, []byte{message}, append(bytes.Clone(r), make([]byte, 32)...)) {
				return true
			}
		}
	}
	return false
}

// "S is not less than L": the same signature with L added is another text, and
// refused.
func TestEd25519SignatureIsNotMalleable(t *testing.T) {
	s, _ := Lookup(X25519AES128SHA256Ed25519)
	key, err := s.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign("x", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(key.PublicKey(), "x", []byte("content"), signature); err != nil {
		t.Fatal(err)
	}
	order := []byte("\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10")
	carry := 0
	for i, b := range order {
		carry += int(signature[32+i]) + int(b)
		signature[32+i] = byte(carry)
		carry >>= 8
	}
	if err := s.Verify(key.PublicKey(), "x", []byte("content"), signature); !errors.Is(err, ErrSignature) {
		t.Errorf("S + L: %v", err)
	}
}

// ECDSA signatures are pairs (r, s) of which (r, n - s) verifies as well. Neither
// RFC 9420 nor FIPS 186 ask for one of them, and who refuses the other refuses
// signatures of those who did not choose.
func TestECDSAHighAndLowS(t *testing.T) {
	s, _ := Lookup(P256AES128SHA256P256)
	key, err := s.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign("x", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &pair); err != nil {
		t.Fatal(err)
	}
	pair.S.Sub(elliptic.P256().Params().N, pair.S)
	other, err := asn1.Marshal(pair)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{signature, other} {
		if err := s.Verify(key.PublicKey(), "x", []byte("content"), b); err != nil {
			t.Error(err)
		}
	}
}
