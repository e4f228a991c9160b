package service

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"parley/coi"
)

// An Authority is a site's CoI CA: a Realm with an Issuer in it.
//
//	root.crt root.key     the CoI root; never leaves, and no service needs it
//	certs/SERIAL.crt      what was issued
//	certs/SERIAL.retired  replaced: still shown, no longer wrapped to
//	cois.json             what the lookup service shows: no secret
type Authority struct {
	*Issuer
	realm *Realm
}

// authorityConfig is config.toml of a CoI CA.
type authorityConfig struct {
	Publish []string `toml:"publish"` // files to which cois.json is copied
}

// An AuthorityPlan says what InitAuthority makes.
type AuthorityPlan struct {
	Site    string   // alpha.example
	Publish []string // files to which the list for the lookup service is copied whenever it changes
}

// InitAuthority makes a CoI CA in a folder of its own, whole or not at all.
func InitAuthority(path string, p AuthorityPlan, now time.Time) (*Authority, error) {
	ca, err := coi.NewCoIAuthority(p.Site, now)
	if err != nil {
		return nil, err
	}
	config := "# Files to which cois.json, the list for the lookup service, is copied whenever\n# it changes. Relative names count from this directory.\npublish = ["
	for i, file := range p.Publish {
		if i > 0 {
			config += ", "
		}
		config += fmt.Sprintf("%q", abs(file))
	}
	config += "]\n"
	err = makeWhole(path, func(draft string) error {
		r := &Realm{path: draft, site: p.Site, role: RoleAuthority}
		if err := r.fill(RealmPlan{Config: []byte(config), Folder: []string{"certs"}}); err != nil {
			return err
		}
		if err := writePair(r.Path("root"), &coi.Issued{Cert: ca.Cert, Key: ca.Key}); err != nil {
			return err
		}
		issuer, err := newIssuer(ca, draft)
		if err == nil {
			err = issuer.SignCRL(DefaultCRLLife, now)
		}
		if err != nil {
			return err
		}
		_, err = (&Authority{Issuer: issuer, realm: r}).writeList(now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return OpenAuthority(path)
}

// OpenAuthority opens a CoI CA. A device CA's key beside it is refused.
func OpenAuthority(path string) (*Authority, error) {
	r, err := OpenRealm(path, RoleAuthority)
	if err != nil {
		return nil, err
	}
	if err := r.checkKeys(nil); err != nil {
		return nil, err
	}
	pair, err := readPair(r.Path("root.crt"), r.Path("root.key"))
	if err != nil {
		return nil, err
	}
	issuer, err := newIssuer(&coi.CA{Site: r.Site(), Cert: pair.Cert, Key: pair.Key}, path)
	if err != nil {
		return nil, err
	}
	return &Authority{Issuer: issuer, realm: r}, nil
}

// Realm returns the directory.
func (a *Authority) Realm() *Realm { return a.realm }

// Issue makes a certificate for a CoI, retires those it had before, and
// publishes the list. The certificate is on record before anybody gets it.
func (a *Authority) Issue(name coi.Name, plan coi.CoIPlan, now time.Time) (*x509.Certificate, error) {
	cert, err := a.CA.IssueCoI(name, plan, now)
	if err != nil {
		return nil, err
	}
	serial := hex.EncodeToString(cert.SerialNumber.Bytes())
	if err := create(a.realm.Path("certs", serial+".crt"), coi.EncodeCertificatesPEM(cert)); err != nil {
		return nil, err
	}
	old, err := a.List(now)
	if err != nil {
		return nil, err
	}
	use := &Use{Device: name.URI(), Key: keyID(cert.RawSubjectPublicKeyInfo), At: now.UTC()}
	if err := appendLine(a.realm.Path(issuedFile), newRecord(cert, use, "")); err != nil {
		return nil, err
	}
	for _, c := range old {
		if c.Name == name.URI() && c.State == "active" {
			if err := a.retire(c.Serial); err != nil {
				return nil, err
			}
		}
	}
	return cert, a.Publish(now)
}

// Retire ends the use of a certificate that is not compromised, by its serial
// in hex: it is still shown, and what was wrapped to it still opens.
func (a *Authority) Retire(serial string, now time.Time) error {
	list, err := a.List(now)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(c CoICertificate) bool { return c.Serial == serial }) {
		return fmt.Errorf("no CoI certificate has the serial %q: see parley-pki coi ls", clip(serial))
	}
	if err := a.retire(serial); err != nil {
		return err
	}
	return a.Publish(now)
}

func (a *Authority) retire(serial string) error {
	return replace(a.realm.Path("certs", serial+".retired"), nil)
}

// A CoICertificate is one certificate of a CoI and how it stands.
type CoICertificate struct {
	Name      string    `json:"name"`
	Serial    string    `json:"serial"` // hex
	State     string    `json:"state"`  // active, retired, revoked, ended
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	DER       []byte    `json:"certificate"`
}

// List returns every certificate that was issued, in order.
func (a *Authority) List(now time.Time) ([]CoICertificate, error) {
	issued, err := a.Issued()
	if err != nil {
		return nil, err
	}
	revoked, err := a.Revoked()
	if err != nil {
		return nil, err
	}
	out := make([]CoICertificate, 0, len(issued))
	for _, r := range issued {
		cert, err := readCertificate(a.realm.Path("certs", r.Serial+".crt"))
		if err != nil {
			return nil, err
		}
		c := CoICertificate{Name: r.Name, Serial: r.Serial, State: "active", NotBefore: r.NotBefore, NotAfter: r.NotAfter, DER: cert.Raw}
		if _, err := os.Stat(a.realm.Path("certs", r.Serial+".retired")); err == nil {
			c.State = "retired"
		}
		if now.After(r.NotAfter) {
			c.State = "ended"
		}
		if slices.ContainsFunc(revoked, func(o RevokedRecord) bool { return o.Serial == r.Serial }) {
			c.State = "revoked"
		}
		out = append(out, c)
	}
	return out, nil
}

// Revoke is Issuer.Revoke, and publishes the list.
func (a *Authority) Revoke(what string, why coi.Revocation, now time.Time) ([]RevokedRecord, error) {
	out, err := a.Issuer.Revoke(what, why, now)
	if err != nil {
		return out, err
	}
	return out, a.Publish(now)
}

// A Publication is cois.json: what the lookup service shows.
type Publication struct {
	Site         string           `json:"site"`
	Made         time.Time        `json:"made"`
	Certificates []CoICertificate `json:"certificates"`
}

// Publish writes the list for the lookup service, here and where config.toml
// says.
func (a *Authority) Publish(now time.Time) error {
	data, err := a.writeList(now)
	if err != nil {
		return err
	}
	var config authorityConfig
	if err := a.realm.ReadConfig(&config); err != nil {
		return err
	}
	for _, path := range config.Publish {
		if err := replace(a.realm.Resolve(path), data); err != nil {
			return fmt.Errorf("the change is on record, but the lookup service does not have it yet (parley-pki coi publish tries again): %w", err)
		}
	}
	return nil
}

// writeList writes cois.json.
func (a *Authority) writeList(now time.Time) ([]byte, error) {
	list, err := a.List(now)
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(Publication{Site: a.realm.Site(), Made: now.UTC(), Certificates: list}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("publish CoI certificates: %w", err)
	}
	if len(data) >= maxPublication {
		return nil, fmt.Errorf("publish CoI certificates: %d bytes, at most %d", len(data), maxPublication)
	}
	data = append(data, '\n')
	return data, replace(a.realm.Path("cois.json"), data)
}

func readCertificate(path string) (*x509.Certificate, error) {
	data, err := readSmall(path, coi.MaxPEM)
	if err != nil {
		return nil, err
	}
	certs, err := coi.ParseCertificatesPEM(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return certs[0], nil
}
