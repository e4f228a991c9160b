package main

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
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
