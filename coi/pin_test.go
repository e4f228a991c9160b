package coi

import (
	"testing"
)

func TestPin(t *testing.T) {
	alpha, beta := newRealm(t, "alpha.example"), newRealm(t, "beta.example")
	service, err := alpha.root.IssueService("enroll", []string{"localhost"}, then)
	must(t, err)
	chain := Chain(service.Cert, alpha.root.Cert)
	site, err := Pin(chain, FingerprintOf(alpha.root.Cert))
	must(t, err)
	if site.Name != "alpha.example" {
		t.Errorf("pinned %q", site.Name)
	}
	_, err = newTrust(t, site).Verify(chain, Service, then)
	must(t, err)
	if _, err := Pin(chain, FingerprintOf(beta.root.Cert)); ReasonOf(err) != Untrusted {
		t.Errorf("another CA's fingerprint: %v", err)
	}
	if _, err := Pin(chain, FingerprintOf(service.Cert)); err == nil {
		t.Error("a leaf is pinned as a CA")
	}
	// A root of alpha sent along by somebody else vouches for nothing of theirs.
	stranger, err := beta.root.IssueService("enroll", []string{"localhost"}, then)
	must(t, err)
	site, err = Pin([][]byte{stranger.Cert.Raw, alpha.root.Cert.Raw}, FingerprintOf(alpha.root.Cert))
	must(t, err)
	if _, err := newTrust(t, site).Verify([][]byte{stranger.Cert.Raw, alpha.root.Cert.Raw}, Service, then); ReasonOf(err) != UnknownSite {
		t.Errorf("a stranger with alpha's root: %v", err)
	}
}
