package service

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"parley/coi"
)

// maxPeers bounds the sites a directory trusts besides its own.
const maxPeers = 256

// A Directory is a site's PKI on disk.
//
//	site.json                        the site's name
//	ca.pem                           its CAs, to hand to peers and nodes
//	root.crt root.key                the root; the key is needed to add nodes only
//	device-ca.crt device-ca.key      issues device certificates
//	nodes/a1/{tls,ordering}.{crt,key}
//	enroll/tls.{crt,key}             the enrolment service's own HTTPS
//	trust/beta.example/ca.pem        the CAs of a peer
//	codes/                           one-time codes, hashed
//	issued.jsonl revoked.jsonl       what was issued to devices, and revoked (Issuer)
//	crl.der                          the device CA's list of revocations
//	service.url                      where the enrolment service was last run
//
// Files are 0600, folders 0700.
type Directory struct {
	path string
	site string
}

// about is site.json.
type about struct {
	Site string `json:"site"`
}

// OpenDirectory takes a folder that InitDirectory made.
func OpenDirectory(path string) (*Directory, error) {
	data, err := os.ReadFile(filepath.Join(path, "site.json"))
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("%s is no PKI directory (site.json is not there): make one with parley-pki init --dir %s --site DOMAIN", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open PKI directory: %w", err)
	}
	var a about
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(path, "site.json"), err)
	}
	if err := coi.CheckSite(a.Site); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(path, "site.json"), err)
	}
	return &Directory{path: path, site: a.Site}, nil
}

// Site returns the domain of the site whose PKI this is.
func (d *Directory) Site() string { return d.site }

// Path returns where a file of the directory lies.
func (d *Directory) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// SetCoI makes a CoI known to the site's devices, and through export-ca to its
// peers: the CoI root, and where its services are. One of the same name is
// replaced. It refuses what coi.NewTrust would refuse.
func (d *Directory) SetCoI(root *x509.Certificate, c coi.Community) error {
	own, err := d.Own()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(own.CoIRoots, root.Equal) {
		own.CoIRoots = append(own.CoIRoots, root)
	}
	own.CoIs = slices.DeleteFunc(own.CoIs, func(o coi.Community) bool { return o.Name == c.Name })
	own.CoIs = append(own.CoIs, c)
	if _, err := coi.NewTrust(own); err != nil {
		return err
	}
	return replace(d.Path("ca.pem"), own.PEM())
}

// Own returns the site's own CAs and CoIs.
func (d *Directory) Own() (coi.Site, error) { return d.readSite(d.Path("ca.pem"), d.site) }

// Root returns the root CA; keyFile says where its key is, empty for root.key.
func (d *Directory) Root(keyFile string) (*coi.CA, error) {
	if keyFile == "" {
		keyFile = d.Path("root.key")
	}
	return d.readCA(d.Path("root.crt"), keyFile)
}

// DeviceCA returns the CA for devices.
func (d *Directory) DeviceCA() (*coi.CA, error) {
	return d.readCA(d.Path("device-ca.crt"), d.Path("device-ca.key"))
}

// Codes returns the site's one-time codes.
func (d *Directory) Codes() (*Codes, error) { return OpenCodes(d.Path("codes")) }

// Nodes lists the names of the nodes that have certificates here.
func (d *Directory) Nodes() ([]string, error) { return folders(d.Path("nodes")) }

// Sites returns the site's own CAs and then those of its peers. The files are
// read each time, so that a peer added meanwhile is seen.
func (d *Directory) Sites() ([]coi.Site, error) {
	own, err := d.Own()
	if err != nil {
		return nil, err
	}
	peers, err := folders(d.Path("trust"))
	if err != nil {
		return nil, err
	}
	sites := []coi.Site{own}
	for _, p := range peers {
		s, err := d.readSite(d.Path("trust", p, "ca.pem"), p)
		if err != nil {
			return nil, err
		}
		sites = append(sites, s)
	}
	return sites, nil
}

// Trust adds a peer, or replaces its CAs. It refuses what coi.NewTrust would
// refuse beside what is there.
func (d *Directory) Trust(peer coi.Site) error {
	if peer.Name == d.site {
		return fmt.Errorf("%s is this site itself: its own CAs are trusted already", peer.Name)
	}
	sites, err := d.Sites()
	if err != nil {
		return err
	}
	sites = slices.DeleteFunc(sites, func(s coi.Site) bool { return s.Name == peer.Name })
	if len(sites) > maxPeers {
		return fmt.Errorf("%d peers are trusted already, the most there may be", maxPeers)
	}
	if _, err := coi.NewTrust(append(sites, peer)...); err != nil {
		return err
	}
	if err := os.MkdirAll(d.Path("trust", peer.Name), dirMode); err != nil {
		return fmt.Errorf("trust %s: %w", peer.Name, err)
	}
	return replace(d.Path("trust", peer.Name, "ca.pem"), peer.PEM())
}

func (d *Directory) readSite(path, name string) (coi.Site, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return coi.Site{}, fmt.Errorf("read CAs of %s: %w", name, err)
	}
	s, err := coi.ParseSitePEM(data, name)
	if err != nil {
		return s, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

func (d *Directory) readCA(certFile, keyFile string) (*coi.CA, error) {
	pair, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &coi.CA{Site: d.site, Cert: pair.Cert, Key: pair.Key}, nil
}

// readPair refuses a key that is not the certificate's, and one that others
// could read.
func readPair(certFile, keyFile string) (*coi.Issued, error) {
	data, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	certs, err := coi.ParseCertificatesPEM(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", certFile, err)
	}
	info, err := os.Stat(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s can be read by others (mode %#o): chmod 600 it, and think about who has read it", keyFile, mode)
	}
	data, err = os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := coi.ParseKeyPEM(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", keyFile, err)
	}
	if pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(certs[0].PublicKey) {
		return nil, fmt.Errorf("%s is not the key of %s", keyFile, certFile)
	}
	return &coi.Issued{Cert: certs[0], Key: key}, nil
}

// writePair writes a certificate, what stands above it, and its key, where
// nothing may be yet.
func writePair(base string, is *coi.Issued, above ...*x509.Certificate) error {
	key, err := coi.EncodeKeyPEM(is.Key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(base), dirMode); err != nil {
		return fmt.Errorf("write %s: %w", base, err)
	}
	if err := create(base+".key", key); err != nil {
		return err
	}
	return create(base+".crt", coi.EncodeCertificatesPEM(append([]*x509.Certificate{is.Cert}, above...)...))
}

// folders lists the folders in a folder, by name; none if it is not there.
func folders(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("list %s: %w", path, err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && e.Name()[0] != '.' { // a crash may leave drafts
			out = append(out, e.Name())
		}
	}
	return out, nil
}
