package coi

import (
	"crypto/x509"
	"testing"
)

// TestNewTrustRefuses: "a CA that is none, that names another site, or that is
// configured for two sites".
func TestNewTrustRefuses(t *testing.T) {
	alpha, beta := newRealm(t, "alpha.example"), newRealm(t, "beta.example")
	nameless := func(site string) Site {
		tmpl, err := caTemplate(site, "root CA", then)
		must(t, err)
		tmpl.URIs, tmpl.NotAfter = nil, then.Add(RootLife)
		key := edKey(t)
		ca := &CA{Site: site, Cert: tmpl, Key: key}
		cert, err := ca.issue(tmpl, key.Public())
		must(t, err)
		return Site{Name: site, Roots: []*x509.Certificate{cert}}
	}
	foreign := nameless("gamma.example")
	renamed := foreign
	renamed.Name = "delta.example"
	many := foreign
	for range MaxCAs {
		many.Intermediates = append(many.Intermediates, alpha.devices.Cert)
	}
	for what, c := range map[string]struct {
		sites []Site
		want  Reason
	}{
		"a site twice":               {[]Site{alpha.site, alpha.site}, Malformed},
		"no root":                    {[]Site{{Name: "alpha.example", Intermediates: alpha.site.Intermediates}}, Malformed},
		"too many":                   {[]Site{many}, Malformed},
		"no domain":                  {[]Site{{Name: "Alpha", Roots: alpha.site.Roots}}, BadName},
		"a leaf as CA":               {[]Site{{Name: "alpha.example", Roots: []*x509.Certificate{alpha.device(t, laptop)}}}, WrongPurpose},
		"beta's CA as alpha's":       {[]Site{{Name: "alpha.example", Roots: beta.site.Roots}}, BadName},
		"one CA for two sites":       {[]Site{foreign, renamed}, Untrusted},
		"a CA with an unknown curve": {[]Site{{Name: "alpha.example", Roots: []*x509.Certificate{{BasicConstraintsValid: true, IsCA: true}}}}, WrongKey},
	} {
		if _, err := NewTrust(c.sites...); ReasonOf(err) != c.want {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
	trust := newTrust(t, beta.site, foreign, alpha.site)
	if s := trust.Sites(); len(s) != 3 || s[0].Name != "alpha.example" || s[2].Name != "gamma.example" {
		t.Errorf("sites %v", s)
	}
}

// TestNewTrustOfNothing: a node without peers still starts.
func TestNewTrustOfNothing(t *testing.T) {
	trust := newTrust(t)
	alpha := newRealm(t, "alpha.example")
	if _, err := trust.Verify(Chain(alpha.device(t, laptop)), Device, then); ReasonOf(err) != UnknownSite {
		t.Errorf("verified under no CA: %v", err)
	}
}
