package wrap

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

// fromFile reads the first PEM block of a file in testdata.
func fromFile(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(file)
	if block == nil {
		t.Fatalf("%s holds no PEM", name)
	}
	return block.Bytes
}

// keyFromFile reads a private key in testdata.
func keyFromFile(t testing.TB, name string) crypto.Signer {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(fromFile(t, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

// TestKnownEnvelopes: testdata/make.sh made them with openssl, content included.
func TestKnownEnvelopes(t *testing.T) {
	for _, v := range []struct{ file, key string }{
		{"rsa", "rsa"}, {"p256", "p256"}, {"p384", "p384"}, {"p384-sha384", "p384"},
		{"all", "rsa"}, {"all", "p256"}, {"all", "p384"},
	} {
		envelope, err := os.ReadFile(filepath.Join("testdata", v.file+".der"))
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(fromFile(t, v.key+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		key := Key{Certificate: cert, Private: keyFromFile(t, v.key)}
		got, err := Open(envelope, key, binding())
		if err != nil || string(got) != "a room key that openssl sealed" {
			t.Errorf("%s opens for %s to %q, %v", v.file, v.key, got, err)
		}
		other := binding()
		other.Epoch++
		if _, err := Open(envelope, key, other); err != ErrOpen {
			t.Errorf("%s opens for another epoch: %v", v.file, err)
		}
	}
}
