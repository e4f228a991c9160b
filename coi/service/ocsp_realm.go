package service

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"parley/coi"
)

// An ocspFile is config.toml of an OCSP responder.
type ocspFile struct {
	Life string       `toml:"life"` // of an answer, such as 1h
	CAs  []ocspFileCA `toml:"ca"`
}

// An ocspFileCA is one CA in it. The responder's certificate and key, and the
// CA's certificate, lie in the folder of its name.
type ocspFileCA struct {
	Name string `toml:"name"`
	From string `toml:"from"` // directory with issued.jsonl, revoked.jsonl and crl.der
}

// A CADirectory is the directory of a CA: of a CoI CA, or a site's PKI
// directory.
type CADirectory string

// AddOCSP makes a CA known to an OCSP responder: its public certificate is
// copied, and a key to answer with is made. It returns the file with the
// request that the CA has to certify. from is the directory of a CoI CA, or a
// site's PKI directory for the device CA.
func (r *Realm) AddOCSP(name string, from CADirectory) (csr string, err error) {
	ca := string(from)
	var config ocspFile
	if err := r.ReadConfig(&config); err != nil {
		return "", err
	}
	for _, c := range config.CAs {
		if c.Name == name {
			return "", fmt.Errorf("%s is known already, from %s: nothing was changed", name, c.From)
		}
	}
	cert, err := readCertificate(filepath.Join(ca, "device-ca.crt"))
	if errors.Is(err, os.ErrNotExist) {
		cert, err = readCertificate(filepath.Join(ca, "root.crt"))
	}
	if err != nil {
		return "", fmt.Errorf("%s is the directory of no CA: %w", ca, err)
	}
	if err := os.Mkdir(r.Path(name), dirMode); err != nil {
		return "", fmt.Errorf("add CA: %w", err)
	}
	if err := create(r.Path(name, "ca.crt"), coi.EncodeCertificatesPEM(cert)); err != nil {
		return "", err
	}
	if err := newRequest(r.Path(name, "responder")); err != nil {
		return "", err
	}
	config.CAs = append(config.CAs, ocspFileCA{Name: name, From: abs(ca)})
	data, err := toml.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("add CA: %w", err)
	}
	return r.Path(name, "responder.csr"), replace(r.Path("config.toml"), data)
}

// OCSPConfig reads what the directory says, and refuses what NewOCSP could not
// run on.
func (r *Realm) OCSPConfig() (OCSPConfig, error) {
	var file ocspFile
	if err := r.ReadConfig(&file); err != nil {
		return OCSPConfig{}, err
	}
	out := OCSPConfig{Life: DefaultStatusLife}
	if file.Life != "" {
		life, err := time.ParseDuration(file.Life)
		if err != nil || life < time.Minute || life > coi.CoILife {
			return out, fmt.Errorf("%s: life = %q: write a time from 1m to 168h", r.Path("config.toml"), file.Life)
		}
		out.Life = life
	}
	seen := map[string]string{}
	for _, c := range file.CAs {
		ca, err := r.ocspCA(c)
		if err != nil {
			return out, err
		}
		spki := string(ca.Responder.Cert.RawSubjectPublicKeyInfo)
		if other := seen[spki]; other != "" {
			return out, errApart("%s and %s answer with one key: make another (parley-pki ocsp add)", c.Name, other)
		}
		seen[spki] = c.Name
		out.CAs = append(out.CAs, ca)
	}
	return out, nil
}

func (r *Realm) ocspCA(c ocspFileCA) (OCSPCA, error) {
	if err := coi.CheckLabel(c.Name); err != nil {
		return OCSPCA{}, fmt.Errorf("%s: name of a CA: %w", r.Path("config.toml"), err)
	}
	issuer, err := readCertificate(r.Path(c.Name, "ca.crt"))
	if err != nil {
		return OCSPCA{}, err
	}
	pair, err := readPair(r.Path(c.Name, "responder.crt"), r.Path(c.Name, "responder.key"))
	if errors.Is(err, os.ErrNotExist) {
		return OCSPCA{}, fmt.Errorf("%s has no certificate to answer with yet: its CA makes it with parley-pki certify responder --dir %s --csr %s --out %s",
			c.Name, c.From, r.Path(c.Name, "responder.csr"), r.Path(c.Name, "responder.crt"))
	}
	if err != nil {
		return OCSPCA{}, err
	}
	from := r.Resolve(c.From)
	return OCSPCA{
		Name: c.Name, Responder: &coi.Responder{Issuer: issuer, Cert: pair.Cert, Key: pair.Key},
		Issued: filepath.Join(from, issuedFile), Revoked: filepath.Join(from, revokedFile), CRL: filepath.Join(from, crlFile),
		Files: []string{r.Path(c.Name, "responder.crt"), r.Path(c.Name, "responder.key")},
		Renew: func() (*coi.Responder, error) {
			if err := r.CheckApart(); err != nil {
				return nil, err
			}
			again, err := r.ocspCA(c)
			return again.Responder, err
		},
	}, nil
}

// Renewals are the responder's certificates, one for each CA, as they are renewed.
func (o *OCSP) Renewals() []*Renewal {
	var list []*Renewal
	for _, ca := range o.cas {
		if ca.Renew == nil {
			continue
		}
		list = append(list, &Renewal{
			What: "responder of " + ca.Name, Files: ca.Files, Used: ca.signer.Load().Cert,
			Load: func(now time.Time) (*x509.Certificate, error) { return o.renew(ca, now) },
		})
	}
	return list
}

// renew takes a CA's new responder certificate, if it could have been started
// with.
func (o *OCSP) renew(ca *ocspCA, now time.Time) (*x509.Certificate, error) {
	next, err := ca.Renew()
	if err != nil {
		return nil, err
	}
	if !next.Issuer.Equal(ca.Responder.Issuer) {
		return nil, fmt.Errorf("the CA that it answers for is another one now: restart the responder")
	}
	if err := next.Check(now); err != nil {
		return nil, err
	}
	for _, other := range o.cas {
		if other != ca && bytes.Equal(other.signer.Load().Cert.RawSubjectPublicKeyInfo, next.Cert.RawSubjectPublicKeyInfo) {
			return nil, errApart("%s and %s answer with one key: make another (parley-pki ocsp add)", ca.Name, other.Name)
		}
	}
	ca.signer.Store(next)
	return next.Cert, nil
}

// BundleSite returns the site whose trust bundle this is: the one that its
// first root names.
func BundleSite(bundle []byte) (coi.Site, error) {
	certs, err := coi.ParseCertificatesPEM(bundle)
	if err != nil {
		return coi.Site{}, err
	}
	for _, c := range certs {
		if name := nameOf(c); name != "" {
			return trustOf(bundle, name)
		}
	}
	return coi.Site{}, errors.New("the trust bundle does not say whose it is: no CA in it names a site")
}

func nameOf(c *x509.Certificate) string {
	for _, u := range c.URIs {
		if u.Scheme == "mimi" && strings.Trim(u.Path, "/") == "" {
			return u.Host
		}
	}
	return ""
}
