package wrap

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"parley/coi"
)

// A community is a CoI in these tests: its certificate and keys.
type community struct {
	Recipient
	key crypto.Signer
	pq  hpke.PrivateKey
}

// open is the community's key as Open takes it.
func (c *community) open() Key { return Key{Certificate: c.Certificate, Private: c.key, PQ: c.pq} }

// newKey makes a key of a kind: p256, p384 or rsa.
func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "rsa":
		key = keyFromFile(t, "rsa") // making one is slow
	case "rsa2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		t.Fatalf("a key of kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// template is a certificate template for a key.
func template(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(spki)
	usage := x509.KeyUsageKeyAgreement
	if _, ok := key.(*rsa.PrivateKey); ok {
		usage = x509.KeyUsageKeyEncipherment
	}
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "finance"}, SubjectKeyId: id[:20], KeyUsage: usage,
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0),
	}
}

// certify makes the certificate of a template, signed by itself.
func certify(t testing.TB, tmpl *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// newCommunity makes a CoI with a key of a kind and an X-Wing key.
func newCommunity(t testing.TB, kind string) *community {
	t.Helper()
	pq, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	ext, err := coi.PostQuantumExtension(pq.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, kind)
	tmpl := template(t, key)
	tmpl.ExtraExtensions = []pkix.Extension{ext}
	c := &community{key: key, pq: pq}
	c.Name, c.Certificate = "finance ("+kind+")", certify(t, tmpl, key)
	return c
}

// communities makes one CoI for each kind. Only one may be RSA.
func communities(t testing.TB, kinds ...string) (all []*community, to []Recipient) {
	t.Helper()
	for _, kind := range kinds {
		c := newCommunity(t, kind)
		all, to = append(all, c), append(to, c.Recipient)
	}
	return all, to
}

// repeated is n times a kind.
func repeated(kind string, n int) []string {
	kinds := make([]string, n)
	for i := range kinds {
		kinds[i] = kind
	}
	return kinds
}

// binding is what envelopes of these tests are bound to.
func binding() Binding {
	b := Binding{Room: "mimi://alpha.example/r/plans", Epoch: 7}
	copy(b.KeyID[:], bytes.Repeat([]byte{0x11}, 32))
	copy(b.Recipients[:], bytes.Repeat([]byte{0x22}, 32))
	return b
}

// roomKey is what is wrapped.
var roomKey = bytes.Repeat([]byte("key."), 17)

// seal makes an envelope.
func seal(t testing.TB, to []Recipient, o SealOptions) []byte {
	t.Helper()
	envelope, err := Seal(roomKey, to, binding(), o)
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

// ways are all the ways an envelope is made.
func ways() map[string]SealOptions {
	m := map[string]SealOptions{}
	for name, mode := range map[string]Mode{"any": Any, "all": All} {
		for _, pq := range []bool{false, true} {
			m[fmt.Sprintf("%s, post-quantum %v", name, pq)] = SealOptions{Mode: mode, PostQuantum: pq}
		}
	}
	return m
}
