package service

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/coi"
)

// newRealm makes the directory of a role, with an HTTPS certificate.
func newRealm(t testing.TB, home string, role Role, site *Directory) *Realm {
	t.Helper()
	own, err := site.Own()
	must(t, err)
	r, err := InitRealm(filepath.Join(home, string(role)), RealmPlan{Role: role, Site: "alpha.example", Bundle: own.PEM(), Folder: []string{"keys"}})
	must(t, err)
	root, err := site.Root("")
	must(t, err)
	csr, err := ReadRequest(r.Path("tls.csr"))
	must(t, err)
	key, err := coi.ParseRequest(csr)
	must(t, err)
	cert, err := root.CertifyService(string(role), key, DefaultHosts(), time.Now())
	must(t, err)
	must(t, create(r.Path("tls.crt"), coi.EncodeCertificatesPEM(cert, root.Cert)))
	return r
}

// TestE17_NoRoleHoldsTheKeyOfAnother: "no single administrator account can
// configure lookup, decryption, gateway": each service has a directory of its
// own, opens no other, and does not start with a key that is not its own.
func TestE17_NoRoleHoldsTheKeyOfAnother(t *testing.T) {
	home := t.TempDir()
	site, err := InitDirectory(filepath.Join(home, "pki"), Plan{Site: "alpha.example"}, time.Now())
	must(t, err)
	authority, err := InitAuthority(filepath.Join(home, "coi"), AuthorityPlan{Site: "alpha.example"}, time.Now())
	must(t, err)
	must(t, site.SetCoI(authority.CA.Cert, coi.Community{Name: "mimi://alpha.example/c/finance", Lookup: "https://127.0.0.1:7445"}))
	key, err := coi.NewCoIKey("rsa3072")
	must(t, err)
	coiKey, err := coi.EncodeCoIKeyPEM(key, nil)
	must(t, err)
	roles := []Role{RoleLookup, RoleOCSP, RoleUnwrap}
	for _, role := range roles {
		r := newRealm(t, home, role, site)
		must(t, r.CheckApart())
		if _, err := r.Certificate(); err != nil {
			t.Errorf("%s: %v", role, err)
		}
		for _, other := range append(roles, RoleAuthority) {
			if _, err := OpenRealm(r.Path(), other); (err == nil) != (other == role) {
				t.Errorf("the directory of %s opens as %s: %v", role, other, err)
			}
		}
		read := func(path string) []byte {
			data, err := os.ReadFile(path)
			must(t, err)
			return data
		}
		// What each of them must not have, wherever it lies.
		for what, data := range map[string][]byte{
			"root.key":       read(site.Path("root.key")),
			"device-ca.key":  read(site.Path("device-ca.key")),
			"coi-root.pem":   read(authority.realm.Path("root.key")),
			"finance.key":    coiKey,
			"hidden":         append([]byte("a note\n"), coiKey...),
			"keys/sub/key":   coiKey,
			"site.json":      []byte("{}"),
			"sub/realm.json": []byte("{}"),
		} {
			file := r.Path(what)
			must(t, os.MkdirAll(filepath.Dir(file), 0o700))
			must(t, os.WriteFile(file, data, 0o600))
			if err := r.CheckApart(); err == nil || !strings.Contains(err.Error(), "roles are not apart") {
				t.Errorf("%s starts with %s: %v", role, what, err)
			}
			must(t, os.Remove(file))
		}
		must(t, os.Remove(r.Path("keys", "sub")))
		must(t, r.CheckApart())
		// A CoI's key in keys/ is the unwrap service's, and nobody else's.
		must(t, os.WriteFile(r.Path("keys", "finance.1.key"), coiKey, 0o600))
		if err := r.CheckApart(); (err == nil) != (role == RoleUnwrap) {
			t.Errorf("%s with a CoI key: %v", role, err)
		}
		// Not even that one under two names, or a CA's key in its place.
		must(t, os.WriteFile(r.Path("keys", "legal.1.key"), coiKey, 0o600))
		if err := r.CheckApart(); err == nil {
			t.Errorf("%s: one key for two CoIs", role)
		}
		must(t, os.WriteFile(r.Path("keys", "legal.1.key"), read(authority.realm.Path("root.key")), 0o600))
		if err := r.CheckApart(); err == nil {
			t.Errorf("%s: the CoI CA's key as the key of a CoI", role)
		}
	}
}

// TestE17_KeysAreFoundInWhateverForm: in DER, in the forms of before PKCS #8, and
// in a directory that a link leads to.
func TestE17_KeysAreFoundInWhateverForm(t *testing.T) {
	home := t.TempDir()
	site, err := InitDirectory(filepath.Join(home, "pki"), Plan{Site: "alpha.example"}, time.Now())
	must(t, err)
	r := newRealm(t, home, RoleUnwrap, site)
	must(t, r.CheckApart())
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ec)
	must(t, err)
	sec1, err := x509.MarshalECPrivateKey(ec)
	must(t, err)
	for what, data := range map[string][]byte{
		"pkcs8.der": pkcs8, "sec1.der": sec1, "sec1.pem": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}),
	} {
		must(t, os.WriteFile(r.Path(what), data, fileMode))
		if err := r.CheckApart(); err == nil || !strings.Contains(err.Error(), "roles are not apart") {
			t.Errorf("it starts with %s: %v", what, err)
		}
		must(t, os.Remove(r.Path(what)))
	}
	// One key in two roles, in two forms.
	must(t, os.WriteFile(r.Path("tls.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}), fileMode))
	must(t, r.CheckApart())
	must(t, os.WriteFile(r.Path("keys", "finance.1.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), fileMode))
	if err := r.CheckApart(); err == nil || !strings.Contains(err.Error(), "one key in two roles") {
		t.Errorf("it starts with one key for HTTPS and for a CoI: %v", err)
	}
	must(t, os.Remove(r.Path("keys", "finance.1.key")))
	must(t, os.Symlink(site.Path(), r.Path("more")))
	if err := r.CheckApart(); err == nil || !strings.Contains(err.Error(), "leads to another directory") {
		t.Errorf("it starts with a link to the PKI: %v", err)
	}
}

// TestE17S13_OneCADoesNotMakeBoth: "same CA for devices and CoIs" is refused, and
// what the CoI CA would make of a device is believed by nobody.
func TestE17S13_OneCADoesNotMakeBoth(t *testing.T) {
	b := newBureau(t)
	own, err := b.dir.Own()
	must(t, err)
	for what, root := range map[string]*x509.Certificate{"the root of devices": own.Roots[0], "the device CA": own.Intermediates[0]} {
		if err := b.dir.SetCoI(root, coi.Community{Name: "mimi://alpha.example/c/finance", Lookup: "https://127.0.0.1:7445"}); coi.ReasonOf(err) != coi.WrongPurpose {
			t.Errorf("%s as CoI root: %v", what, err)
		}
	}
	cert, err := b.ca.CA.IssueDevice(coi.Name{Purpose: coi.Device, Site: "alpha.example", Local: "alice", Device: "pad"}, newKey(t).Public(), b.clock)
	must(t, err)
	trust, err := coi.NewTrust(own)
	must(t, err)
	if _, err := trust.Verify(coi.Chain(cert, b.ca.CA.Cert), coi.Device, b.clock); coi.ReasonOf(err) != coi.Untrusted {
		t.Errorf("a device by the CoI CA: %v", err)
	}
	must(t, replace(b.ocsp.Path("sites", "alpha.example.pem"), coi.Site{Name: own.Name, CoIRoots: own.CoIRoots}.PEM()))
	if err := b.ocsp.CheckApart(); err == nil {
		t.Error("it starts with a bundle in which only the CoI CA vouches for anything")
	}
}

// TestCoIKeysStayInTheUnwrapRealm: the CoI CA sees a request, never a key; what
// it issues is found again beside the key.
func TestCoIKeysStayInTheUnwrapRealm(t *testing.T) {
	b := newBureau(t)
	r := newRealm(t, t.TempDir(), RoleUnwrap, b.dir)
	for _, plan := range []CoIKeyPlan{{CoI: "finance", Kind: "p256", PostQuantum: true}, {CoI: "finance", Kind: "p384"}, {CoI: "legal.eu", Kind: "rsa3072"}} {
		k, file, err := r.MakeCoIKey(plan, b.clock)
		must(t, err)
		if (k.PostQuantum != nil) != plan.PostQuantum || k.Name != "mimi://alpha.example/c/"+plan.CoI {
			t.Errorf("%+v", k)
		}
		csr, err := ReadRequest(file)
		must(t, err)
		req, err := coi.ParseCoIRequest(csr)
		must(t, err)
		cert, err := b.ca.Issue(coi.Name{Purpose: coi.CoI, Site: "alpha.example", Local: plan.CoI}, coi.CoIPlan{Request: req}, b.clock)
		must(t, err)
		must(t, create(strings.TrimSuffix(k.File, ".key")+".crt", coi.EncodeCertificatesPEM(cert)))
		b.clock = b.clock.Add(time.Millisecond)
	}
	keys, err := r.CoIKeys()
	must(t, err)
	if len(keys) != 3 {
		t.Fatalf("%d keys", len(keys))
	}
	ring, err := (&keyFiles{realm: r}).ring()
	must(t, err)
	if finance := keys[1]; !bytes.Equal(ring.certified(finance.Name), finance.SPKI[:]) {
		t.Error("the ring does not know which key of finance has the newest certificate")
	}
	for _, k := range keys {
		if len(k.Certificates) != 1 || k.Certificates[0].URIs[0].String() != k.Name {
			t.Errorf("%s has %d certificates", k.File, len(k.Certificates))
		}
		pq, err := coi.PostQuantumKey(k.Certificates[0])
		must(t, err)
		if (pq == nil) != (k.PostQuantum == nil) {
			t.Errorf("%s: the X-Wing key is not in the certificate", k.File)
		}
	}
	must(t, os.Chmod(keys[0].File, 0o644))
	if _, err := r.CoIKeys(); err == nil || !strings.Contains(err.Error(), "can be read by others") {
		t.Errorf("a key for everybody: %v", err)
	}
}

// TestAuthority: what is issued retires what was there, and stays on record.
func TestAuthority(t *testing.T) {
	b := newBureau(t)
	states := func() string {
		list, err := b.ca.List(b.clock)
		must(t, err)
		var out []string
		for _, c := range list {
			out = append(out, c.State)
		}
		return strings.Join(out, " ")
	}
	want := func(s string) {
		t.Helper()
		if got := states(); got != s {
			t.Errorf("%s, want %s", got, s)
		}
	}
	first := b.issue()
	want("active")
	second := b.issue()
	want("retired active")
	must(t, b.ca.Retire(second.SerialNumber.Text(16), b.clock))
	want("retired retired")
	_, err := b.ca.Revoke(first.SerialNumber.Text(16), coi.Unspecified, b.clock)
	must(t, err)
	want("revoked retired")
	b.clock = second.NotAfter.Add(time.Second)
	want("revoked ended")
	again, err := OpenAuthority(b.ca.realm.Path())
	must(t, err)
	list, err := again.List(b.clock)
	must(t, err)
	var certs []*x509.Certificate
	for _, c := range list {
		cert, err := x509.ParseCertificate(c.DER)
		must(t, err)
		certs = append(certs, cert)
	}
	if len(certs) != 2 || !certs[0].Equal(first) || !certs[1].Equal(second) {
		t.Errorf("%d certificates after opening it again", len(certs))
	}
}

// TestTornRevocation: a crash within a write loses no revocation that was
// confirmed, and the next one is whole.
func TestTornRevocation(t *testing.T) {
	b := newBureau(t)
	first, second := b.issue(), b.issue()
	_, err := b.ca.Revoke(first.SerialNumber.Text(16), coi.Unspecified, b.clock)
	must(t, err)
	f, err := os.OpenFile(b.ca.realm.Path("revoked.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString(`{"serial":"77`)
	must(t, err)
	must(t, f.Close())
	b.want(first, coi.Revoked)
	b.want(second, coi.Good)
	_, err = b.ca.Revoke(second.SerialNumber.Text(16), coi.Unspecified, b.clock)
	must(t, err)
	b.want(first, coi.Revoked)
	b.want(second, coi.Revoked)
}
