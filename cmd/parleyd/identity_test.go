package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"parley/coi"
	"parley/groups"
)

// madeByPKI returns the config of a node whose PKI parley-pki made.
func madeByPKI(t *testing.T) *config {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	script := exec.Command("go", "run", "../parley-pki", "init", "--dir", dir, "--site", "alpha.example", "--node", "a1", "--node", "a2")
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("parley-pki: %v: %s", err, out)
	}
	f := initFlags{site: "alpha.example", node: "a1", pki: dir, out: filepath.Join(t.TempDir(), "a1.toml"), host: "127.0.0.1", port: 1}
	c, err := f.config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// "The peer's certificate names its site": a device is no node, a node is no
// device, whatever of this site they are.
func TestCertificatesAreGoodForOnePurpose(t *testing.T) {
	c := madeByPKI(t)
	id, err := loadIdentity(c)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if node, _, err := id.VerifyNode(id.tls.Certificate, now); err != nil || node != id.node {
		t.Errorf("the node is %q, %v", node, err)
	}
	if _, _, _, err := (authenticator{id}).Device(id.tls.Certificate, now); groups.KindOf(err) != groups.Denied {
		t.Errorf("a node logs in as a device: %v", err)
	}
	if _, _, err := id.VerifyNode(id.chain, now); groups.KindOf(err) != groups.Denied {
		t.Errorf("an ordering certificate opens a link: %v", err)
	}
	device := deviceChain(t, filepath.Dir(c.Identity.CA))
	if d, _, _, err := (authenticator{id}).Device(device, now); err != nil || d != "mimi://alpha.example/d/alice/laptop" {
		t.Errorf("the device is %q, %v", d, err)
	}
	if _, _, err := id.VerifyNode(device, now); groups.KindOf(err) != groups.Denied {
		t.Errorf("a device opens a link: %v", err)
	}
	if _, err := id.learn(device); groups.KindOf(err) != groups.Denied {
		t.Errorf("a device signs heads: %v", err)
	}
	late := now.Add(20 * 365 * 24 * time.Hour)
	if _, _, err := id.VerifyNode(id.tls.Certificate, late); groups.KindOf(err) != groups.Denied {
		t.Errorf("a certificate that has ended opens a link: %v", err)
	}
}

// deviceChain has the PKI in dir issue a certificate for alice's laptop.
func deviceChain(t *testing.T, dir string) [][]byte {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	certs, err := coi.ParseCertificatesPEM(read("device-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := coi.ParseKeyPEM(read("device-ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	issuer := &coi.CA{Site: "alpha.example", Cert: certs[0], Key: key}
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	name := coi.Name{Purpose: coi.Device, Site: "alpha.example", Local: "alice", Device: "laptop"}
	cert, err := issuer.IssueDevice(name, public, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return coi.Chain(append([]*x509.Certificate{cert}, certs...)...)
}

// A page in a browser could read the admin port by giving its own name the
// address 127.0.0.1.
func TestAdminPortAnswersWhoAskedForLoopback(t *testing.T) {
	h := fromHere(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	for host, want := range map[string]int{
		"127.0.0.1:8445": 200, "localhost:8445": 200, "[::1]:8445": 200, "127.0.0.1": 200,
		"evil.example:8445": 403, "evil.example": 403, "": 403, "192.0.2.1:8445": 403,
	} {
		r, w := httptest.NewRequest("GET", "/nodes", nil), httptest.NewRecorder()
		r.Host = host
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%q: %d, want %d", host, w.Code, want)
		}
	}
}

// Two links that told of one ordering certificate at a time wrote one file:
// the loser's room was parked.
func TestOneCertificateLearnedOnManyLinksAtOnce(t *testing.T) {
	c := madeByPKI(t)
	id, err := loadIdentity(c)
	if err != nil {
		t.Fatal(err)
	}
	other := *c
	other.Node, other.Identity = "a2", pkiIdentity(filepath.Dir(filepath.Dir(filepath.Dir(c.Identity.Certificate))), "a2")
	sibling, err := loadIdentity(&other)
	if err != nil {
		t.Fatal(err)
	}
	leaf := sha256.Sum256(sibling.chain[0])
	for range 50 {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { errs[i] = id.LearnOrdering(sibling.chain) })
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		delete(id.signers, leaf)
	}
	files, err := os.ReadDir(id.known)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files are kept, %v", len(files), err)
	}
	again, err := loadIdentity(c)
	if err != nil || again.OrderingChain(leaf) == nil {
		t.Fatalf("after a restart the certificate is forgotten: %v", err)
	}
}

// "On any error the receiver's state is what it was": what could not be written
// is not known either, so that the next link writes it.
func TestCertificateThatCouldNotBeKeptIsNotKnown(t *testing.T) {
	c := madeByPKI(t)
	id, err := loadIdentity(c)
	if err != nil {
		t.Fatal(err)
	}
	chain := id.chain
	leaf := sha256.Sum256(chain[0])
	delete(id.signers, leaf)
	good := id.known
	id.known = c.Identity.CA // a file, where a directory is needed
	if err := id.LearnOrdering(chain); err == nil || id.OrderingChain(leaf) != nil {
		t.Fatalf("it is known, and %v", err)
	}
	id.known = good
	if err := id.LearnOrdering(chain); err != nil || id.OrderingChain(leaf) == nil {
		t.Fatal(err)
	}
}

// A site that certifies key after key took the places of all other sites, and made
// what each device is told at its login longer than it reads. Those that have ended
// make room, on the disk too.
func TestOrderingCertificatesOfOneSiteAreBounded(t *testing.T) {
	now := time.Now()
	authority := func(name string) (*coi.CA, coi.Site) {
		ca, err := coi.NewCA(name, now)
		if err != nil {
			t.Fatal(err)
		}
		return ca, coi.Site{Name: name, Roots: []*x509.Certificate{ca.Cert}}
	}
	alpha, alphaSite := authority("alpha.example")
	beta, betaSite := authority("beta.example")
	trust, err := coi.NewTrust(alphaSite, betaSite)
	if err != nil {
		t.Fatal(err)
	}
	id := &identity{now: func() time.Time { return now }, trust: trust, known: t.TempDir(), signers: make(map[groups.Hash]signer)}
	learn := func(ca *coi.CA, node string) error {
		is, err := ca.IssueOrdering(node, now)
		if err != nil {
			t.Fatal(err)
		}
		return id.LearnOrdering([][]byte{is.Cert.Raw})
	}
	for i := range maxSiteSigners {
		if err := learn(beta, fmt.Sprint("b", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := learn(beta, "more"); groups.KindOf(err) != groups.TooLarge {
		t.Errorf("one more: %v", err)
	}
	if err := learn(alpha, "a1"); err != nil {
		t.Errorf("another site's: %v", err)
	}
	for _, s := range id.signers {
		if s.notAfter.After(now) {
			now = s.notAfter.Add(time.Second)
		}
	}
	alpha, alphaSite = authority("alpha.example")
	if id.trust, err = coi.NewTrust(alphaSite); err != nil {
		t.Fatal(err)
	}
	for i := range maxSiteSigners {
		if err := learn(alpha, fmt.Sprint("a", i)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(id.known)
	if err != nil || len(files) != maxSiteSigners || len(id.signers) != maxSiteSigners {
		t.Errorf("%d are known, %d files are kept, %v", len(id.signers), len(files), err)
	}
}

// RFC 9000, Section 10.3: a peer of a node that was killed and came back took its old link for one until it
// had been idle for a minute: what it relayed there was not answered.
func TestRestartedNodeEndsTheLinksOfItsLifeBefore(t *testing.T) {
	c := madeByPKI(t)
	load := func(c *config) *[32]byte {
		id, err := loadIdentity(c)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := (&node{config: c, id: id, log: slog.New(slog.DiscardHandler)}).federationConfig(nil)
		if err != nil || cfg.ResetKey == nil {
			t.Fatalf("no key: %v", err)
		}
		return cfg.ResetKey
	}
	other := *c
	other.Node, other.Identity = "a2", pkiIdentity(filepath.Dir(filepath.Dir(filepath.Dir(c.Identity.Certificate))), "a2")
	if a1, again, a2 := load(c), load(c), load(&other); *a1 != *again || *a1 == *a2 {
		t.Error("the key is another one after a restart, or that of another node")
	}
}
