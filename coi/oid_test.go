package coi

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// certificateWith makes a certificate that carries one more extension.
func certificateWith(t *testing.T, ext ...pkix.Extension) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(2e9, 0), ExtraExtensions: ext}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestPostQuantumKeyTravelsInACertificate(t *testing.T) {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	ext, err := PostQuantumExtension(key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	got, err := PostQuantumKey(certificateWith(t, ext))
	if err != nil || got == nil || !bytes.Equal(got.Bytes(), key.PublicKey().Bytes()) {
		t.Errorf("key %v, error %v, want the one put in", got, err)
	}
	if got, err := PostQuantumKey(certificateWith(t)); got != nil || err != nil {
		t.Errorf("a certificate without one: key %v, error %v", got, err)
	}
}

func TestPostQuantumKeyRefusesWhatIsNone(t *testing.T) {
	for name, value := range map[string][]byte{
		"nothing":        {},
		"too short":      {4, 1, 7},
		"bytes after it": {4, 0, 0},
		"another type":   {3, 1, 0},
	} {
		_, err := PostQuantumKey(certificateWith(t, pkix.Extension{Id: OIDPostQuantum, Value: value}))
		if ReasonOf(err) != Malformed {
			t.Errorf("%s: %v, want it refused as malformed", name, err)
		}
	}
	other, err := hpke.MLKEM768P256().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := PostQuantumExtension(other.PublicKey()); ReasonOf(err) != WrongKey {
		t.Errorf("a key of another kind: %v, want it refused", err)
	}
}
