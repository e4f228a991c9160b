package coi

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
)

const (
	// MaxCommunities bounds the CoIs a site tells of.
	MaxCommunities = 256
	// MaxUnwraps bounds the unwrap services of one CoI.
	MaxUnwraps = 16
	// maxEndpoint bounds a service's URL, in bytes.
	maxEndpoint = 512
)

// A Community says where a CoI's services are: part of a site's trust bundle,
// which travels from site to site outside of the messaging realm.
type Community struct {
	Name    string   `json:"name"`              // mimi://alpha.example/c/finance
	Lookup  string   `json:"lookup"`            // https URL
	Unwrap  []string `json:"unwrap"`            // https URLs; clients go round them
	OCSP    string   `json:"ocsp,omitempty"`    // URL of RFC 6960 over HTTP, empty if there is none
	Officer string   `json:"officer,omitempty"` // address of the site's security officer, mimi://alpha.example/u/carol
}

// check refuses, as BadName or TooLarge, what is no CoI of the site, or whose
// services have no usable URL.
func (c *Community) check(site string) error {
	name, err := ParseName(c.Name)
	if err != nil {
		return err
	}
	if name.Purpose != CoI || name.Site != site {
		return refuse(BadName, "%s is no CoI of %s", c.Name, site)
	}
	if len(c.Unwrap) > MaxUnwraps {
		return refuse(TooLarge, "%s has %d unwrap services: at most %d", c.Name, len(c.Unwrap), MaxUnwraps)
	}
	for _, u := range append([]string{c.Lookup}, c.Unwrap...) {
		if err := checkEndpoint(u, "https"); err != nil {
			return err
		}
	}
	if c.OCSP != "" {
		if err := checkEndpoint(c.OCSP, "https", "http"); err != nil {
			return err
		}
	}
	if c.Officer != "" && !isUser(c.Officer) {
		return refuse(BadName, "the security officer of %s is %q: write a user such as mimi://alpha.example/u/carol", c.Name, clip(c.Officer))
	}
	return nil
}

// checkEndpoint refuses what is not a URL of one of the schemes and a host.
func checkEndpoint(s string, schemes ...string) error {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxEndpoint || !slices.Contains(schemes, u.Scheme) || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return refuse(BadName, "%q is no URL of a service: write it like https://pki.alpha.example:7446", clip(s))
	}
	return nil
}

// isUser says whether a URI names a user.
func isUser(uri string) bool {
	rest, ok := strings.CutPrefix(uri, scheme)
	site, local, user := strings.Cut(rest, "/u/")
	return ok && user && len(uri) <= MaxName && validSite(site) && validLabel(local)
}

// checkCoIs holds the CoI roots against the other CAs: who makes devices can
// then never make a CoI, nor the reverse.
func (s *Site) checkCoIs() error {
	devices := slices.Concat(s.Roots, s.Intermediates)
	for _, ca := range devices {
		if hasPolicy(ca, OIDCoIRoot) {
			return refuse(Untrusted, "CA %q is made for CoIs: it can not vouch for devices and nodes of %s", ca.Subject, s.Name)
		}
	}
	for _, root := range s.CoIRoots {
		if !hasPolicy(root, OIDCoIRoot) || !bytes.Equal(root.RawSubject, root.RawIssuer) || root.CheckSignatureFrom(root) != nil {
			return refuse(WrongPurpose, "%q is no root for CoIs: make one with parley-pki coi init", root.Subject)
		}
		for _, ca := range devices {
			if bytes.Equal(ca.RawSubjectPublicKeyInfo, root.RawSubjectPublicKeyInfo) {
				return refuse(Untrusted, "CA %q of %s vouches for devices and for CoIs with one key: they must be two, of two administrators", ca.Subject, s.Name)
			}
		}
	}
	if len(s.CoIs) > MaxCommunities {
		return refuse(TooLarge, "%d CoIs of %s: at most %d", len(s.CoIs), s.Name, MaxCommunities)
	}
	seen := map[string]bool{}
	for i := range s.CoIs {
		if err := s.CoIs[i].check(s.Name); err != nil {
			return err
		}
		if seen[s.CoIs[i].Name] {
			return refuse(Malformed, "%s stands twice in the trust of %s", s.CoIs[i].Name, s.Name)
		}
		seen[s.CoIs[i].Name] = true
	}
	return nil
}
