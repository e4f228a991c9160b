package service

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"parley/coi"
)

// A Role is what one service of the CoI realms does. Each role has a directory
// of its own, an administrator of its own, and no key of another role.
type Role string

// The roles.
const (
	RoleAuthority Role = "coi"    // issues CoI certificates: root.key
	RoleLookup    Role = "lookup" // shows CoI certificates: no key but its HTTPS
	RoleOCSP      Role = "ocsp"   // says which certificates are revoked: a responder's key for each CA
	RoleUnwrap    Role = "unwrap" // holds the CoIs' private keys
)

// A Realm is the directory of a service of the CoI realms.
//
//	realm.json                  whose it is and what for
//	config.toml                 what its administrator sets; ReadConfig
//	tls.key tls.csr tls.crt     its HTTPS; the site's administrator turns the second into the third
//	sites/alpha.example.pem     trust bundles, its own site's and those of peers; Sites
//
// The unwrap service also keeps keys/ (CoIKeys) and log/ in it. To start, a
// service opens its directory, calls CheckApart, reads its config, and serves
// with the Certificate. Files are 0600, folders 0700.
type Realm struct {
	path string
	site string
	role Role
}

// realmAbout is realm.json.
type realmAbout struct {
	Site string `json:"site"`
	Role Role   `json:"role"`
}

// maxConfig bounds realm.json and config.toml, in bytes.
const maxConfig = 64 << 10

// A RealmPlan says what InitRealm makes.
type RealmPlan struct {
	Role   Role
	Site   string   // alpha.example
	Bundle []byte   // the site's trust bundle (parley-pki export-ca), nil if it is put there later
	Config []byte   // config.toml to begin with, nil for none
	Folder []string // folders to make in it
	// Status is who is asked about devices: of an unwrap service alone. Empty takes
	// the responder that the bundle names, StatusBundle if it names none.
	Status string
}

// InitRealm makes the directory of a service, where there is nothing yet, with
// a new HTTPS key and a certification request for it.
func InitRealm(path string, p RealmPlan) (*Realm, error) {
	if err := coi.CheckSite(p.Site); err != nil {
		return nil, err
	}
	if p.Bundle != nil {
		if _, err := trustOf(p.Bundle, p.Site); err != nil {
			return nil, fmt.Errorf("trust bundle of %s: %w", p.Site, err)
		}
	}
	err := makeWhole(path, func(draft string) error {
		r := &Realm{path: draft, site: p.Site, role: p.Role}
		return r.fill(p)
	})
	if err != nil {
		return nil, err
	}
	return OpenRealm(path, p.Role)
}

// fill makes every file of a new directory.
func (r *Realm) fill(p RealmPlan) error {
	name, err := json.Marshal(realmAbout{r.site, r.role})
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	for _, folder := range append([]string{"sites"}, p.Folder...) {
		if err := os.Mkdir(r.Path(folder), dirMode); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
	}
	files := map[string][]byte{r.Path("realm.json"): append(name, '\n')}
	if p.Bundle != nil {
		files[r.Path("sites", p.Site+".pem")] = p.Bundle
	}
	if p.Config != nil {
		files[r.Path("config.toml")] = p.Config
	}
	for path, data := range files {
		if err := create(path, data); err != nil {
			return err
		}
	}
	if r.role == RoleAuthority {
		return nil // a program that serves nobody
	}
	return newRequest(r.Path("tls"))
}

// newRequest makes BASE.key and a certification request BASE.csr for it.
func newRequest(base string) error {
	key, err := coi.NewResponderKey()
	if err != nil {
		return err
	}
	csr, err := coi.NewRequest(key)
	if err != nil {
		return err
	}
	data, err := coi.EncodeKeyPEM(key)
	if err != nil {
		return err
	}
	if err := create(base+".key", data); err != nil {
		return err
	}
	return create(base+".csr", EncodeRequestPEM(csr))
}

// OpenRealm opens the directory of a role. One of another role is refused.
func OpenRealm(path string, role Role) (*Realm, error) {
	data, err := readSmall(filepath.Join(path, "realm.json"), maxConfig)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is no directory of a service (realm.json is not there): make one with parley-pki %s init --dir %s --site DOMAIN", path, role, path)
	}
	if err != nil {
		return nil, err
	}
	var a realmAbout
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(path, "realm.json"), err)
	}
	if a.Role != role {
		return nil, fmt.Errorf("%s is the directory of the %s service, not of %s: each has its own, with its own administrator", path, a.Role, role)
	}
	if err := coi.CheckSite(a.Site); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(path, "realm.json"), err)
	}
	return &Realm{path: path, site: a.Site, role: role}, nil
}

// Site returns the domain of the site whose service this is.
func (r *Realm) Site() string { return r.site }

// Role returns what the directory is for.
func (r *Realm) Role() Role { return r.role }

// Path returns where a file of the directory lies.
func (r *Realm) Path(elem ...string) string {
	return filepath.Join(append([]string{r.path}, elem...)...)
}

// Resolve returns where a file of the config lies: relative names count from
// the directory.
func (r *Realm) Resolve(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return r.Path(name)
}

// ReadConfig reads config.toml into a struct. What the struct does not name is
// an error, with its line; no file at all leaves the struct as it is.
func (r *Realm) ReadConfig(into any) error {
	data, err := readSmall(r.Path("config.toml"), maxConfig)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(into)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return fmt.Errorf("%s: there is no such setting:\n%s", r.Path("config.toml"), strict.String())
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", r.Path("config.toml"), err)
	}
	return nil
}

// Certificate returns the service's HTTPS certificate and key. Without it the
// error says how to get one.
func (r *Realm) Certificate() (tls.Certificate, error) {
	if _, err := os.Stat(r.Path("tls.crt")); err != nil {
		return tls.Certificate{}, fmt.Errorf("%s has no HTTPS certificate yet: the site's administrator makes it with parley-pki certify service %s --csr %s --out %s", r.path, r.role, r.Path("tls.csr"), r.Path("tls.crt"))
	}
	if err := private(r.Path("tls.key")); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.LoadX509KeyPair(r.Path("tls.crt"), r.Path("tls.key"))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load HTTPS certificate: %w", err)
	}
	return pair, r.checkOwn(pair.Certificate[0])
}

// checkOwn: the certificate is this role's, or an instance's of it (unwrap2), and
// nobody else's: a gateway's key in a service's directory is a mistake, or worse.
func (r *Realm) checkOwn(der []byte) error {
	name, err := coi.CertificateName(der)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Path("tls.crt"), err)
	}
	if name.Purpose != coi.Service || !strings.HasPrefix(name.Local, string(r.role)) {
		return fmt.Errorf("%s is the certificate of %s, this is the directory of a service %s: have its own made with parley-pki certify service", r.Path("tls.crt"), name.URI(), r.role)
	}
	return nil
}

// Sites returns the trust bundles that the service was given, its own site's
// first. The files are read each time, so that a new one is seen.
func (r *Realm) Sites() ([]coi.Site, error) {
	entries, err := os.ReadDir(r.Path("sites"))
	if err != nil {
		return nil, fmt.Errorf("list trust bundles: %w", err)
	}
	var sites []coi.Site
	for _, e := range entries {
		name := e.Name()
		if filepath.Ext(name) != ".pem" || len(sites) > maxPeers {
			continue
		}
		data, err := readSmall(r.Path("sites", name), coi.MaxPEM)
		if err != nil {
			return nil, err
		}
		s, err := coi.ParseSitePEM(data, name[:len(name)-len(".pem")])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", r.Path("sites", name), err)
		}
		if s.Name == r.Site() {
			sites = append([]coi.Site{s}, sites...)
		} else {
			sites = append(sites, s)
		}
	}
	if len(sites) == 0 || sites[0].Name != r.Site() {
		return nil, fmt.Errorf("the trust bundle of %s is not there: put what parley-pki export-ca prints into %s", r.Site(), r.Path("sites", r.Site()+".pem"))
	}
	return sites, nil
}

// Trust is the Trust of Sites.
func (r *Realm) Trust() (*coi.Trust, error) {
	sites, err := r.Sites()
	if err != nil {
		return nil, err
	}
	return coi.NewTrust(sites...)
}

// trustOf reads a trust bundle and checks it.
func trustOf(bundle []byte, name string) (coi.Site, error) {
	s, err := coi.ParseSitePEM(bundle, name)
	if err == nil {
		_, err = coi.NewTrust(s)
	}
	return s, err
}

// pemRequest is the PEM type of a certification request.
const pemRequest = "CERTIFICATE REQUEST"

// EncodeRequestPEM writes a certification request as PEM.
func EncodeRequestPEM(csr []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemRequest, Bytes: csr})
}

// ReadRequest reads a file that holds a certification request in PEM, and
// returns its DER.
func ReadRequest(path string) ([]byte, error) {
	data, err := readSmall(path, coi.MaxPEM)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != pemRequest {
		return nil, fmt.Errorf("%s holds no certification request in PEM (-----BEGIN CERTIFICATE REQUEST-----)", path)
	}
	return block.Bytes, nil
}
