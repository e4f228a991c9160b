package service

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"parley/coi"
)

// TestS18_AnInitTakesTheResponderThatTheBundleNames: a service whose directory was
// made without a word about it let revoked devices in, though the site had a
// responder.
func TestS18_AnInitTakesTheResponderThatTheBundleNames(t *testing.T) {
	b := newBureau(t)
	const responder = "https://127.0.0.1:7447"
	tell := func(ocsp string) []byte {
		t.Helper()
		must(t, b.dir.SetCoI(b.ca.CA.Cert, coi.Community{Name: finance, Lookup: "https://127.0.0.1:7445", OCSP: ocsp}))
		own, err := b.dir.Own()
		must(t, err)
		return own.PEM()
	}
	without, with := tell(""), tell(responder)
	for name, c := range map[string]struct {
		bundle []byte
		status string
		want   string
		open   bool // revoked devices are let in
	}{
		"no bundle":                    {nil, "", StatusBundle, true},
		"a bundle without a responder": {without, "", StatusBundle, true},
		"a bundle with a responder":    {with, "", responder, false},
		"none, said so":                {with, StatusNone, StatusNone, true},
		"none, and there is none":      {without, StatusNone, StatusNone, true},
		"another one":                  {with, "https://10.0.0.1:1", "https://10.0.0.1:1", false},
		"the bundle's, whatever it is": {with, StatusBundle, StatusBundle, false},
	} {
		r, err := InitUnwrap(filepath.Join(t.TempDir(), "unwrap"), RealmPlan{Site: "alpha.example", Bundle: c.bundle, Status: c.status})
		must(t, err)
		settings, err := r.Settings()
		must(t, err)
		if got := settings.Status["alpha.example"]; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		site := coi.Site{Name: "alpha.example"}
		if c.bundle != nil {
			if site, err = coi.ParseSitePEM(c.bundle, "alpha.example"); err != nil {
				t.Fatal(err)
			}
		}
		if got := Unchecked(&site, settings.Status["alpha.example"]); (got != "") != c.open {
			t.Errorf("%s: unchecked: %q", name, got)
		}
	}
	for _, wrong := range []string{"off", "None", "ldap://x", "https://", "https://u@x", "\x00"} {
		dir := filepath.Join(t.TempDir(), "unwrap")
		if _, err := InitUnwrap(dir, RealmPlan{Site: "alpha.example", Bundle: with, Status: wrong}); err == nil {
			t.Errorf("%q is taken", wrong)
		}
		if _, err := OpenRealm(dir, RoleUnwrap); err == nil {
			t.Errorf("%q leaves a directory", wrong)
		}
	}
}

// TestS18_TheBundlesResponderIsAskedFromWhenItIsNamed: nobody, while the bundle
// names none; from then on a revoked device gets nothing; a bundle that can not be
// read lets nobody in.
func TestS18_TheBundlesResponderIsAskedFromWhenItIsNamed(t *testing.T) {
	b := newBureau(t)
	devices, err := b.dir.Issuer()
	must(t, err)
	name, err := coi.ParseName("mimi://alpha.example/d/alice/laptop")
	must(t, err)
	cert, err := devices.CA.IssueDevice(name, newKey(t).Public(), b.clock)
	must(t, err)
	log, err := OpenLog(b.dir.Path("issued.jsonl"))
	must(t, err)
	defer log.Close()
	must(t, log.append(newRecord(cert, &Use{Device: name.URI(), Key: keyID(cert.RawSubjectPublicKeyInfo), At: b.clock}, "")))
	told, broken := "", error(nil)
	c := &StatusClient{
		URL:    map[string]string{"alpha.example": StatusBundle},
		Told:   func(string) (string, error) { return told, broken },
		Client: func(string) *http.Client { return http.DefaultClient }, Now: b.now,
	}
	check := func(what, want string) {
		t.Helper()
		err := c.Check(context.Background(), cert, devices.CA.Cert)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	_, err = devices.Revoke("alice/laptop", coi.KeyCompromise, b.clock)
	must(t, err)
	check("nobody is named", "")
	told = b.url
	check("the responder is named", "revoked")
	broken = errors.New("half a file")
	check("the bundle can not be read", "half a file")
	broken = nil
	c.Client = func(string) *http.Client { return nil }
	check("a site that came after the start", "start it again")
}

// TestS18_AServiceReadsItsBundlesResponderAnew: told is what lies in sites/ now.
func TestS18_AServiceReadsItsBundlesResponderAnew(t *testing.T) {
	ca, err := coi.NewCA("alpha.example", then)
	must(t, err)
	cois, err := coi.NewCoIAuthority("alpha.example", then)
	must(t, err)
	site := coi.Site{Name: "alpha.example", Roots: []*x509.Certificate{ca.Cert}, CoIRoots: []*x509.Certificate{cois.Cert}}
	r, err := InitUnwrap(filepath.Join(t.TempDir(), "unwrap"), RealmPlan{Site: "alpha.example", Bundle: site.PEM()})
	must(t, err)
	settings, err := r.Settings()
	must(t, err)
	c, err := r.statusClient(settings)
	must(t, err)
	if at, err := c.responder("alpha.example"); err != nil || at != StatusNone {
		t.Errorf("%q, %v", at, err)
	}
	site.CoIs = []coi.Community{{Name: finance, Lookup: "https://127.0.0.1:7445", OCSP: "https://127.0.0.1:7447"}}
	must(t, replace(r.Path("sites", "alpha.example.pem"), site.PEM()))
	if at, err := c.responder("alpha.example"); err != nil || at != "https://127.0.0.1:7447" {
		t.Errorf("%q, %v", at, err)
	}
	if at, err := c.responder("beta.example"); err == nil {
		t.Errorf("a site that is not named: %q", at)
	}
	settings.Status["beta.example"] = "off"
	if _, err := r.statusClient(settings); err == nil || !strings.Contains(err.Error(), "beta.example") {
		t.Errorf("a setting that says nothing: %v", err)
	}
}
