package coi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net/url"
	"testing"
	"time"
)

var then = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// A realm is a site's whole PKI, for tests.
type realm struct {
	root, devices *CA
	site          Site
}

func newRealm(t testing.TB, site string) *realm {
	t.Helper()
	root, err := NewCA(site, then)
	must(t, err)
	devices, err := root.IssueIntermediate(then)
	must(t, err)
	return &realm{root, devices, Site{Name: site, Roots: []*x509.Certificate{root.Cert}, Intermediates: []*x509.Certificate{devices.Cert}}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newTrust(t testing.TB, sites ...Site) *Trust {
	t.Helper()
	trust, err := NewTrust(sites...)
	must(t, err)
	return trust
}

func edKey(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

func (r *realm) device(t testing.TB, uri string) *x509.Certificate {
	t.Helper()
	name, err := ParseName(uri)
	must(t, err)
	cert, err := r.devices.IssueDevice(name, edKey(t).Public(), then)
	must(t, err)
	return cert
}

// leaf makes a certificate by hand: the template of uri, changed by edit.
func leaf(t testing.TB, ca *CA, uri string, edit func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	u, err := url.Parse(uri)
	must(t, err)
	c := &x509.Certificate{
		NotBefore: then.Add(-time.Hour), NotAfter: then.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, URIs: []*url.URL{u},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if edit != nil {
		edit(c)
	}
	cert, err := ca.issue(c, edKey(t).Public())
	must(t, err)
	return cert
}

const laptop = "mimi://alpha.example/d/alice/laptop"

func TestVerifyEveryPurpose(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	trust := newTrust(t, alpha.site, newRealm(t, "beta.example").site)
	node, err := alpha.root.IssueNode("a1", []string{"127.0.0.1", "localhost", "a1.alpha.example"}, then)
	must(t, err)
	ordering, err := alpha.root.IssueOrdering("a1", then)
	must(t, err)
	service, err := alpha.root.IssueService("enroll", []string{"::1"}, then)
	must(t, err)
	device := alpha.device(t, laptop)
	certs := map[Purpose]*x509.Certificate{Device: device, Node: node.Cert, Ordering: ordering.Cert, Service: service.Cert}
	for is, cert := range certs {
		for asked := Device; asked <= Service; asked++ {
			s, err := trust.Verify(Chain(cert), asked, then)
			if is == asked {
				must(t, err)
				if s.Site != "alpha.example" || s.Name.Purpose != is || !s.Leaf.Equal(cert) || s.NotAfter != cert.NotAfter || s.Key == nil {
					t.Errorf("%s: subject %+v", is, s)
				}
			} else if ReasonOf(err) != WrongPurpose {
				t.Errorf("a %s used as a %s: %v, want wrong purpose", is, asked, err)
			}
		}
	}
}

// TestVerifyRefuses is the table of what must not pass as a device (or, where
// it says so, as something else) of alpha.example.
func TestVerifyRefuses(t *testing.T) {
	alpha, beta := newRealm(t, "alpha.example"), newRealm(t, "beta.example")
	gamma := newRealm(t, "gamma.example")
	trust := newTrust(t, alpha.site, beta.site)
	good := alpha.device(t, laptop)
	by := func(ca *CA, uri string, edit func(*x509.Certificate)) [][]byte { return Chain(leaf(t, ca, uri, edit)) }
	eku := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	forged := append([]byte(nil), good.Raw...)
	forged[len(forged)-1] ^= 1
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	must(t, err)

	for _, c := range []struct {
		what  string
		chain [][]byte
		as    Purpose
		at    time.Time
		want  Reason
	}{
		{"nothing", nil, Device, then, Malformed},
		{"an empty certificate", [][]byte{{}}, Device, then, Malformed},
		{"not a certificate", [][]byte{[]byte("hello")}, Device, then, Malformed},
		{"bytes after the certificate", [][]byte{append(good.Raw[:len(good.Raw):len(good.Raw)], 0)}, Device, then, Malformed},
		{"a chain too long", Chain(good, alpha.devices.Cert, alpha.root.Cert, alpha.root.Cert), Device, then, TooLarge},
		{"a chain too big", [][]byte{good.Raw, make([]byte, MaxChainBytes)}, Device, then, TooLarge},
		{"a changed signature", [][]byte{forged}, Device, then, Untrusted},
		{"a name of beta under alpha's device CA", by(alpha.devices, "mimi://beta.example/d/bob/phone", nil), Device, then, Untrusted},
		{"a name of beta under alpha's root", by(alpha.root, "mimi://beta.example/d/bob/phone", nil), Device, then, Untrusted},
		{"beta's name, alpha's CAs sent along", Chain(leaf(t, alpha.devices, "mimi://beta.example/d/bob/phone", nil), alpha.devices.Cert, alpha.root.Cert), Device, then, Untrusted},
		{"a site that is not trusted", Chain(gamma.device(t, "mimi://gamma.example/d/carol/pad"), gamma.devices.Cert), Device, then, UnknownSite},
		{"alpha's name under an unknown CA", Chain(leaf(t, gamma.devices, laptop, nil), gamma.devices.Cert, gamma.root.Cert), Device, then, Untrusted},
		{"expired", Chain(good), Device, good.NotAfter.Add(time.Second), Expired},
		{"not yet valid", Chain(good), Device, good.NotBefore.Add(-Skew - time.Second), NotYetValid},
		{"the root itself", Chain(alpha.root.Cert), Device, then, BadName},
		{"a CA with a device's name", by(alpha.root, laptop, func(c *x509.Certificate) { c.IsCA = true }), Device, then, WrongPurpose},
		{"a leaf that may sign certificates", by(alpha.root, laptop, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign; c.IsCA = true }), Device, then, WrongPurpose},
		{"no key usage for signatures", by(alpha.devices, laptop, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), Device, then, WrongPurpose},
		{"no extended key usage", by(alpha.devices, laptop, eku()), Device, then, WrongPurpose},
		{"serverAuth only", by(alpha.root, laptop, eku(x509.ExtKeyUsageServerAuth)), Device, then, WrongPurpose},
		{"any extended key usage", by(alpha.root, laptop, eku(x509.ExtKeyUsageAny, x509.ExtKeyUsageClientAuth)), Device, then, WrongPurpose},
		{"a device that is also a server", by(alpha.root, laptop, eku(x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth)), Device, then, WrongPurpose},
		{"two URIs", by(alpha.devices, laptop, func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }), Device, then, BadName},
		{"no URI", by(alpha.devices, laptop, func(c *x509.Certificate) { c.URIs = nil }), Device, then, BadName},
		{"a user's URI", by(alpha.devices, "mimi://alpha.example/u/alice", nil), Device, then, BadName},
		{"another scheme", by(alpha.devices, "https://alpha.example/d/alice/laptop", nil), Device, then, BadName},
		{"a port in the site", by(alpha.devices, "mimi://alpha.example:1/d/alice/laptop", nil), Device, then, BadName},
		{"an escaped letter", by(alpha.devices, "mimi://alpha.example/d/%61lice/laptop", nil), Device, then, BadName},
		{"an upper-case letter", by(alpha.devices, "mimi://alpha.example/d/Alice/laptop", nil), Device, then, BadName},
		{"a query", by(alpha.devices, laptop+"?a", nil), Device, then, BadName},
		{"a fragment", by(alpha.devices, laptop+"#a", nil), Device, then, BadName},
		{"a device as a node", Chain(good), Node, then, WrongPurpose},
		{"a device as an ordering key", Chain(good), Ordering, then, WrongPurpose},
		{"a node made by the device CA", by(alpha.devices, "mimi://alpha.example/n/a1", eku(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)), Node, then, WrongPurpose},
		{"a node without serverAuth", by(alpha.root, "mimi://alpha.example/n/a1", nil), Node, then, WrongPurpose},
		{"an ordering key made by the device CA", by(alpha.devices, "mimi://alpha.example/o/a1", eku()), Ordering, then, WrongPurpose},
		{"an ordering key with clientAuth", by(alpha.root, "mimi://alpha.example/o/a1", nil), Ordering, then, WrongPurpose},
		{"an ordering key for more than signatures", by(alpha.root, "mimi://alpha.example/o/a1", func(c *x509.Certificate) { c.ExtKeyUsage = nil; c.KeyUsage |= x509.KeyUsageKeyAgreement }), Ordering, then, WrongPurpose},
		{"a service with clientAuth", by(alpha.root, "mimi://alpha.example/s/enroll", eku(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)), Service, then, WrongPurpose},
		{"an RSA key", raw(t, alpha.devices, rsaKey.Public()), Device, then, WrongKey},
		{"a P-224 key", raw(t, alpha.devices, p224.Public()), Device, then, WrongKey},
	} {
		s, err := trust.Verify(c.chain, c.as, c.at)
		if ReasonOf(err) != c.want || s != nil {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
}

// raw issues a device certificate for a key that issue would refuse.
func raw(t *testing.T, ca *CA, key crypto.PublicKey) [][]byte {
	t.Helper()
	tmpl, err := leafTemplate(Name{Device, "alpha.example", "alice", "laptop"}, then)
	must(t, err)
	tmpl.NotAfter = then.Add(time.Hour)
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.Cert, key, ca.Key)
	must(t, err)
	return [][]byte{der}
}

// TestVerifySkew: "5 min skew tolerance only for notBefore".
func TestVerifySkew(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	trust := newTrust(t, alpha.site)
	late := leaf(t, alpha.devices, laptop, func(c *x509.Certificate) { c.NotBefore = then.Add(Skew) })
	_, err := trust.Verify(Chain(late), Device, then)
	must(t, err)
	if _, err = trust.Verify(Chain(late), Device, then.Add(-time.Second)); ReasonOf(err) != NotYetValid {
		t.Errorf("a second beyond the skew: %v", err)
	}
	if _, err = trust.Verify(Chain(late), Device, late.NotAfter.Add(time.Second)); ReasonOf(err) != Expired {
		t.Errorf("a second after the end: %v", err)
	}
}

// TestVerifyEndsWithItsCA: nothing is trusted longer than each CA above it,
// also where the CA's own signature is not verified again.
func TestVerifyEndsWithItsCA(t *testing.T) {
	root, err := NewCA("alpha.example", then)
	must(t, err)
	tmpl, err := caTemplate("alpha.example", "device CA", then)
	must(t, err)
	tmpl.NotAfter, tmpl.MaxPathLenZero = root.Cert.NotAfter, true
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	cert, err := root.issue(tmpl, key.Public())
	must(t, err)
	cert.NotAfter = then.AddDate(50, 0, 0) // as if it outlived its root
	devices := &CA{Site: "alpha.example", Cert: cert, Key: key}
	device := leaf(t, devices, laptop, func(c *x509.Certificate) { c.NotAfter = then.AddDate(40, 0, 0) })
	for _, chain := range [][][]byte{Chain(device), Chain(device, cert), Chain(device, cert, root.Cert)} {
		trust := newTrust(t, Site{Name: "alpha.example", Roots: []*x509.Certificate{root.Cert}, Intermediates: []*x509.Certificate{cert}})
		s, err := trust.Verify(chain, Device, then)
		must(t, err)
		if !s.NotAfter.Equal(root.Cert.NotAfter) {
			t.Errorf("ends %s, the root ends %s", s.NotAfter, root.Cert.NotAfter)
		}
		if _, err = trust.Verify(chain, Device, root.Cert.NotAfter.Add(time.Second)); ReasonOf(err) != Expired {
			t.Errorf("after the root's end: %v, want expired", err)
		}
	}
}

// TestVerifyShortAndLongChains: intermediates "may be left out where the site's
// Trust holds them", and must be sent where it does not.
func TestVerifyShortAndLongChains(t *testing.T) {
	alpha := newRealm(t, "alpha.example")
	device := alpha.device(t, laptop)
	full := newTrust(t, alpha.site)
	bare := newTrust(t, Site{Name: "alpha.example", Roots: alpha.site.Roots})
	for _, chain := range [][][]byte{Chain(device), Chain(device, alpha.devices.Cert), Chain(device, alpha.root.Cert, alpha.devices.Cert)} {
		_, err := full.Verify(chain, Device, then)
		must(t, err)
		if _, err = bare.Verify(chain, Device, then); (err == nil) != (len(chain) > 1) {
			t.Errorf("%d certificates, roots only: %v", len(chain), err)
		}
	}
}

// BenchmarkVerify measures what a ledger pays for each new leaf.
func BenchmarkVerify(b *testing.B) {
	alpha := newRealm(b, "alpha.example")
	device := alpha.device(b, laptop)
	full, bare := newTrust(b, alpha.site), newTrust(b, Site{Name: "alpha.example", Roots: alpha.site.Roots})
	for name, run := range map[string]func() (*Subject, error){
		"leaf":               func() (*Subject, error) { return full.Verify(Chain(device), Device, then) },
		"leaf+intermediate":  func() (*Subject, error) { return full.Verify(Chain(device, alpha.devices.Cert), Device, then) },
		"intermediate-fresh": func() (*Subject, error) { return bare.Verify(Chain(device, alpha.devices.Cert), Device, then) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
