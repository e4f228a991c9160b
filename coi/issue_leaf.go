package coi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// IssueNode makes a node's TLS certificate, ECDSA P-256: hosts are the DNS names
// and IP addresses it is reached by; peers look only at its URI.
func (ca *CA) IssueNode(node string, hosts []string, now time.Time) (*Issued, error) {
	t, err := leafTemplate(Name{Purpose: Node, Site: ca.Site, Local: node}, now)
	if err != nil {
		return nil, err
	}
	t.NotAfter = now.Add(NodeLife)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return ca.issueHosts(t, hosts)
}

// IssueService makes the HTTPS certificate of a certificate service, ECDSA
// P-256. It is no node: it can not open a link.
func (ca *CA) IssueService(service string, hosts []string, now time.Time) (*Issued, error) {
	t, err := ca.serviceTemplate(service, now)
	if err != nil {
		return nil, err
	}
	return ca.issueHosts(t, hosts)
}

// CertifyService is IssueService for a key that the service made itself and
// that ParseRequest has accepted.
func (ca *CA) CertifyService(service string, key crypto.PublicKey, hosts []string, now time.Time) (*x509.Certificate, error) {
	t, err := ca.serviceTemplate(service, now)
	if err == nil {
		err = setHosts(t, hosts)
	}
	if err != nil {
		return nil, err
	}
	return ca.issue(t, key)
}

func (ca *CA) serviceTemplate(service string, now time.Time) (*x509.Certificate, error) {
	t, err := leafTemplate(Name{Purpose: Service, Site: ca.Site, Local: service}, now)
	if err != nil {
		return nil, err
	}
	t.NotAfter = now.Add(NodeLife)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return t, nil
}

// IssueOrdering makes the certificate with which a node signs heads of room
// logs: Ed25519, signatures only, no use in TLS.
func (ca *CA) IssueOrdering(node string, now time.Time) (*Issued, error) {
	t, err := leafTemplate(Name{Purpose: Ordering, Site: ca.Site, Local: node}, now)
	if err != nil {
		return nil, err
	}
	t.NotAfter = now.Add(OrderingLife)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make ordering key: %w", err)
	}
	cert, err := ca.issue(t, key.Public())
	return &Issued{Cert: cert, Key: key}, err
}

// IssueDevice makes a device's certificate for a key that ParseRequest has
// accepted. The name must be a device of the CA's site.
func (ca *CA) IssueDevice(name Name, key crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	if name.Purpose != Device || name.Site != ca.Site {
		return nil, refuse(BadName, "%s is no device of %s", name.URI(), ca.Site)
	}
	return ca.issueDevice(name, key, now, nil)
}

// IssueBot makes a device's certificate that says, by a policy, that no person
// holds the device: a bot or a service. See IssueDevice.
func (ca *CA) IssueBot(name Name, key crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	if name.Purpose != Device || name.Site != ca.Site {
		return nil, refuse(BadName, "%s is no device of %s", name.URI(), ca.Site)
	}
	return ca.issueDevice(name, key, now, policies(OIDBot))
}

func (ca *CA) issueDevice(name Name, key crypto.PublicKey, now time.Time, what []x509.OID) (*x509.Certificate, error) {
	t, err := leafTemplate(name, now)
	if err != nil {
		return nil, err
	}
	t.NotAfter = now.Add(DeviceLife)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	t.Policies = what
	return ca.issue(t, key)
}

// leafTemplate is what all leaves have in common.
func leafTemplate(name Name, now time.Time) (*x509.Certificate, error) {
	if err := name.Check(); err != nil {
		return nil, err
	}
	uri, err := url.Parse(name.URI())
	if err != nil || uri.String() != name.URI() {
		return nil, badName(name.URI())
	}
	common := strings.Trim(name.Local+"/"+name.Device, "/")
	if len(common) > maxLabel {
		common = common[:maxLabel] // RFC 5280 bounds it, and nothing reads it
	}
	return &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{name.Site[:min(len(name.Site), maxLabel)]}, CommonName: common},
		NotBefore:             now.Add(-Skew),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{uri},
	}, nil
}

// issueHosts makes a P-256 key and a certificate with DNS names and addresses.
func (ca *CA) issueHosts(t *x509.Certificate, hosts []string) (*Issued, error) {
	if err := setHosts(t, hosts); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	cert, err := ca.issue(t, key.Public())
	return &Issued{Cert: cert, Key: key}, err
}

// setHosts writes DNS names and addresses into a template.
func setHosts(t *x509.Certificate, hosts []string) error {
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil && ip.Zone() == "" {
			t.IPAddresses = append(t.IPAddresses, ip.Unmap().AsSlice())
		} else if h == "localhost" || validSite(h) {
			t.DNSNames = append(t.DNSNames, h)
		} else {
			return refuse(BadName, "%q is neither an IP address nor a DNS name in lower case", clip(h))
		}
	}
	return nil
}
