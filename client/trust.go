package client

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"parley/coi"
	"parley/groups"
	"parley/mls/suite"
	"parley/mls/wire"
)

// A SiteTrust is a site's CAs, as the identity realm gives them.
type SiteTrust struct {
	Site          groups.SiteID `json:"site"`
	Roots         [][]byte      `json:"roots"`         // DER
	Intermediates [][]byte      `json:"intermediates"` // DER

	CoIRoots [][]byte        `json:"coi_roots,omitempty"` // DER; they vouch for its CoIs and nothing else
	CoIs     []coi.Community `json:"cois,omitempty"`      // where the services of its CoIs are
}

// maxTrustSites bounds the sites of a trust bundle.
const maxTrustSites = 4096

// newTrust makes the Trust of a bundle.
func newTrust(bundle []SiteTrust) (*coi.Trust, error) {
	if len(bundle) > maxTrustSites {
		return nil, groups.Errorf(groups.TooLarge, "trust bundle of %d sites: at most %d", len(bundle), maxTrustSites)
	}
	sites := make([]coi.Site, 0, len(bundle))
	for _, s := range bundle {
		roots, err := parseCAs(s.Roots)
		if err != nil {
			return nil, fmt.Errorf("roots of %s: %w", s.Site, err)
		}
		inter, err := parseCAs(s.Intermediates)
		if err != nil {
			return nil, fmt.Errorf("intermediates of %s: %w", s.Site, err)
		}
		cois, err := parseCAs(s.CoIRoots)
		if err != nil {
			return nil, fmt.Errorf("CoI roots of %s: %w", s.Site, err)
		}
		sites = append(sites, coi.Site{Name: string(s.Site), Roots: roots, Intermediates: inter, CoIRoots: cois, CoIs: s.CoIs})
	}
	return coi.NewTrust(sites...)
}

func parseCAs(list [][]byte) ([]*x509.Certificate, error) {
	if len(list) > coi.MaxCAs {
		return nil, groups.Errorf(groups.TooLarge, "%d CAs: at most %d", len(list), coi.MaxCAs)
	}
	out := make([]*x509.Certificate, 0, len(list))
	for _, der := range list {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, groups.Errorf(groups.Invalid, "CA certificate: %w", err)
		}
		out = append(out, cert)
	}
	return out, nil
}

// A Directory says whose device an MLS credential is: X.509 under the CA of
// the site that its URI names. It implements groups.Directory, and is safe for
// many goroutines.
type Directory struct{ Trust *coi.Trust }

// Device returns the device that cred and its signature key speak for. A
// basic credential names its device by itself and proves nothing: whether it
// is let in is the room's policy's business.
func (d Directory) Device(cred wire.Credential, signatureKey []byte, now time.Time) (groups.DeviceID, error) {
	switch cred.CredentialType {
	case wire.CredentialTypeBasic:
		return groups.ParseDeviceID(string(cred.Identity))
	case wire.CredentialTypeX509:
	default:
		return "", groups.Errorf(groups.Invalid, "credential of unknown type %d", cred.CredentialType)
	}
	chain := make([][]byte, len(cred.Certificates))
	for i, c := range cred.Certificates {
		chain[i] = c.CertData
	}
	subject, err := d.Trust.Verify(chain, coi.Device, now)
	if err != nil {
		return "", groups.Errorf(groups.Denied, "credential: %w", err)
	}
	if !sameKey(subject.Key, signatureKey) {
		return "", groups.Errorf(groups.Denied, "the certificate of %s is for another key than the leaf's", subject.URI)
	}
	return groups.ParseDeviceID(subject.URI)
}

// sameKey says whether a certificate's key, written as some suite writes it,
// is a leaf's signature key.
func sameKey(key crypto.PublicKey, leaf []byte) bool {
	for _, id := range suite.IDs() {
		s, err := suite.Lookup(id)
		if err != nil {
			continue
		}
		if b, err := s.SignaturePublicKey(key); err == nil && string(b) == string(leaf) {
			return true
		}
	}
	return false
}

// A HeadVerifier knows the ordering certificates of sites, verified under a
// trust bundle. It implements groups.HeadVerifier. It never changes once made,
// and is safe for many goroutines.
type HeadVerifier struct {
	signers map[groups.Hash]*coi.Subject
	now     func() time.Time
}

// maxOrderingCertificates bounds what a gateway can make us verify.
const maxOrderingCertificates = 1024

// NewHeadVerifier takes the certificates, in DER, that trust vouches for at
// now, and leaves out the others: they are foreign, expired or forged, and
// heads under them will not verify.
func NewHeadVerifier(trust *coi.Trust, certificates [][]byte, now func() time.Time) *HeadVerifier {
	v := &HeadVerifier{signers: make(map[groups.Hash]*coi.Subject), now: now}
	for _, der := range certificates[:min(len(certificates), maxOrderingCertificates)] {
		if subject, err := trust.Verify([][]byte{der}, coi.Ordering, now()); err == nil {
			v.signers[sha256.Sum256(der)] = subject
		}
	}
	return v
}

// VerifyHeads checks a batch's signature under an ordering certificate of
// site.
func (v *HeadVerifier) VerifyHeads(site groups.SiteID, signer, root groups.Hash, signature []byte) error {
	s := v.signers[signer]
	switch {
	case s == nil:
		return groups.Errorf(groups.Denied, "the ordering certificate %s of %s is not known", signer, site)
	case s.Site != string(site):
		return groups.Errorf(groups.Denied, "an ordering certificate of %s signs for %s", s.Site, site)
	case v.now().After(s.NotAfter):
		return groups.Errorf(groups.Denied, "the ordering certificate %s of %s has ended", signer, site)
	}
	if err := coi.VerifySignature(s.Key, groups.HeadsTBS(root), signature); err != nil {
		return groups.Errorf(groups.Denied, "head of %s: %w", site, err)
	}
	return nil
}

// knows says whether a signer's certificate is known.
func (v *HeadVerifier) knows(signer groups.Hash) bool { return v.signers[signer] != nil }
