package coi

import (
	"crypto/x509"
	"slices"
	"strings"
)

// MaxCAs bounds the CA certificates of one site.
const MaxCAs = 32

// A Site is an organisation and the CAs that may vouch for its names.
type Site struct {
	Name          string              // alpha.example
	Roots         []*x509.Certificate // at least one
	Intermediates []*x509.Certificate // CAs under them, so that chains may be sent short
	CoIRoots      []*x509.Certificate // NewCoIAuthority made them; they vouch for CoIs and nothing else; none is fine
	CoIs          []Community         // where the services of its CoIs are; none is fine
}

// A Trust says which CAs vouch for which site. It never changes once made, and
// is safe for many goroutines.
type Trust struct {
	sites map[string]*anchors
}

// anchors are the CAs of one site, arranged for verification.
type anchors struct {
	site          Site
	roots         *x509.CertPool
	intermediates *x509.CertPool
	cois          *x509.CertPool
	// issuers holds, for an intermediate that stands in roots because its own
	// signature was verified once and for all, the roots that made it.
	issuers map[*x509.Certificate][]*x509.Certificate
}

// NewTrust makes a Trust of sites. It refuses a site named twice, a CA that is
// none, that names another site, or that is configured for two sites; a CA that
// would vouch for CoIs and for anything else; and keys CheckKey refuses.
// Validity in time is looked at by Verify.
func NewTrust(sites ...Site) (*Trust, error) {
	t := &Trust{sites: make(map[string]*anchors, len(sites))}
	owner := map[string]string{}
	for _, s := range sites {
		if err := CheckSite(s.Name); err != nil {
			return nil, err
		}
		if t.sites[s.Name] != nil {
			return nil, refuse(Malformed, "site %s is configured twice", s.Name)
		}
		if err := s.check(); err != nil {
			return nil, err
		}
		for _, ca := range s.cas() {
			key := string(ca.RawSubjectPublicKeyInfo)
			if other, taken := owner[key]; taken && other != s.Name {
				return nil, refuse(Untrusted, "CA %q is configured for %s and for %s: a CA vouches for one site", ca.Subject, other, s.Name)
			}
			owner[key] = s.Name
		}
		t.sites[s.Name] = newAnchors(s)
	}
	return t, nil
}

// Sites returns what the Trust was made of, by name.
func (t *Trust) Sites() []Site {
	out := make([]Site, 0, len(t.sites))
	for _, a := range t.sites {
		out = append(out, a.site)
	}
	slices.SortFunc(out, func(a, b Site) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (s *Site) cas() []*x509.Certificate { return slices.Concat(s.Roots, s.Intermediates, s.CoIRoots) }

func (s *Site) check() error {
	cas := s.cas()
	if len(s.Roots) == 0 || len(cas) > MaxCAs {
		return refuse(Malformed, "site %s has %d root CAs and %d in all: it needs one, and may have %d", s.Name, len(s.Roots), len(cas), MaxCAs)
	}
	for _, ca := range cas {
		if !ca.BasicConstraintsValid || !ca.IsCA {
			return refuse(WrongPurpose, "%q is not a CA certificate, so it can not vouch for %s", ca.Subject, s.Name)
		}
		if err := CheckKey(ca.PublicKey); err != nil {
			return err
		}
		if err := s.checkName(ca); err != nil {
			return err
		}
	}
	return s.checkCoIs()
}

// checkName: a CA need not name a site, but it may not name another one.
func (s *Site) checkName(ca *x509.Certificate) error {
	uris, err := uriNames(ca)
	if err != nil {
		return err
	}
	for _, uri := range uris {
		if strings.HasPrefix(uri, scheme) && uri != scheme+s.Name {
			return refuse(BadName, "CA %q is made for %s, not for %s", ca.Subject, clip(uri), s.Name)
		}
	}
	return nil
}

func newAnchors(s Site) *anchors {
	a := &anchors{
		site:          s,
		roots:         x509.NewCertPool(),
		intermediates: x509.NewCertPool(),
		cois:          x509.NewCertPool(),
		issuers:       map[*x509.Certificate][]*x509.Certificate{},
	}
	for _, root := range s.Roots {
		a.roots.AddCert(root)
	}
	for _, root := range s.CoIRoots {
		a.cois.AddCert(root)
	}
	for _, ca := range s.Intermediates {
		for _, root := range s.Roots {
			if settled(ca, root) {
				a.issuers[ca] = append(a.issuers[ca], root)
			}
		}
		if len(a.issuers[ca]) > 0 {
			a.roots.AddCert(ca)
		} else {
			a.intermediates.AddCert(ca)
		}
	}
	return a
}

// holds says whether a certificate of a chain is one that needs no issuer.
func (a *anchors) holds(cert *x509.Certificate) bool {
	if slices.ContainsFunc(a.site.Roots, cert.Equal) {
		return true
	}
	for ca := range a.issuers {
		if ca.Equal(cert) && len(a.issuers[ca]) > 0 {
			return true
		}
	}
	return false
}

// settled says whether all that root has to say about chains through ca is
// said by its signature and its dates. Then the signature is verified here,
// once, instead of with each of a room's thousand leaves, and Verify looks at
// the dates.
func settled(ca, root *x509.Certificate) bool {
	last := ca.MaxPathLen == 0 && ca.MaxPathLenZero
	plain := root.MaxPathLen != 0 && len(root.ExtKeyUsage) == 0 && len(root.UnknownExtKeyUsage) == 0 &&
		len(root.UnhandledCriticalExtensions) == 0 && !constrained(root)
	return last && plain && string(ca.RawIssuer) == string(root.RawSubject) && ca.CheckSignatureFrom(root) == nil
}

// constrained says whether a CA has name constraints (RFC 5280, Section
// 4.2.1.10).
func constrained(ca *x509.Certificate) bool {
	for _, ext := range ca.Extensions {
		if len(ext.Id) == 4 && ext.Id[0] == 2 && ext.Id[1] == 5 && ext.Id[2] == 29 && ext.Id[3] == 30 {
			return true
		}
	}
	return false
}
