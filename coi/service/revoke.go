package service

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"parley/coi"
)

// DefaultCRLLife is how long a list of revocations holds: parley-pki crl, or any
// revocation, makes a new one before.
const DefaultCRLLife = 7 * 24 * time.Hour

// A RevokedRecord is a line of revoked.jsonl.
type RevokedRecord struct {
	Serial string    `json:"serial"` // hex
	Name   string    `json:"name"`   // URI
	At     time.Time `json:"at"`
	Reason string    `json:"reason"` // coi.Revocation in words
}

// An Issuer is a CA with the record of what it has issued and revoked: the
// device CA in a site's PKI directory, or the CoI CA in its own.
//
//	issued.jsonl    what was issued; the OCSP responder calls nothing else good
//	revoked.jsonl   what was revoked, append-only; the responder sees a new line at once
//	crl.der         the list of revocations, signed anew with each of them
type Issuer struct {
	CA  *coi.CA
	dir string
}

// Files of an Issuer.
const (
	issuedFile  = "issued.jsonl"
	revokedFile = "revoked.jsonl"
	crlFile     = "crl.der"
)

// Issuer returns the device CA as an Issuer.
func (d *Directory) Issuer() (*Issuer, error) {
	ca, err := d.DeviceCA()
	if err != nil {
		return nil, err
	}
	return newIssuer(ca, d.path)
}

// newIssuer sees to it that there is a record of revocations: a responder does
// not answer without one.
func newIssuer(ca *coi.CA, dir string) (*Issuer, error) {
	for _, file := range []string{issuedFile, revokedFile} {
		f, err := os.OpenFile(filepath.Join(dir, file), os.O_CREATE|os.O_RDONLY, fileMode)
		if err != nil {
			return nil, fmt.Errorf("open record of the CA: %w", err)
		}
		f.Close()
	}
	return &Issuer{CA: ca, dir: dir}, syncDir(dir)
}

// Issued returns what was issued, in order.
func (i *Issuer) Issued() ([]Record, error) {
	var out []Record
	err := ReadLog(filepath.Join(i.dir, issuedFile), func(r Record) { out = append(out, r) })
	return out, err
}

// Revoked returns what was revoked, in order.
func (i *Issuer) Revoked() ([]RevokedRecord, error) {
	var out []RevokedRecord
	l := &lines[RevokedRecord]{path: filepath.Join(i.dir, revokedFile), each: func(r RevokedRecord) error {
		out = append(out, r)
		return nil
	}}
	err := l.refresh()
	return out, err
}

// Revoke revokes certificates for ever: what is a serial in hex, a name
// (mimi://alpha.example/c/finance, or finance, or alice/laptop), or a person
// with all devices (mimi://alpha.example/u/alice). Of a name all that have not
// ended are revoked, and a name that is revoked already is not an error. It is
// durable, and the responder knows it, when Revoke returns; the list of
// revocations is signed after that. It returns what is newly revoked.
func (i *Issuer) Revoke(what string, why coi.Revocation, now time.Time) ([]RevokedRecord, error) {
	issued, err := i.Issued()
	if err != nil {
		return nil, err
	}
	before, err := i.Revoked()
	if err != nil {
		return nil, err
	}
	var out []RevokedRecord
	found := false
	for _, r := range issued {
		if !i.meant(r, what, now) {
			continue
		}
		found = true
		if slices.ContainsFunc(before, func(o RevokedRecord) bool { return o.Serial == r.Serial }) {
			continue
		}
		rec := RevokedRecord{Serial: r.Serial, Name: r.Name, At: now.UTC().Truncate(time.Second), Reason: why.String()}
		if err := appendLine(filepath.Join(i.dir, revokedFile), rec); err != nil {
			return out, err
		}
		out = append(out, rec)
	}
	if !found {
		return nil, fmt.Errorf("%q is no serial and no name of a certificate that the CA %q has issued and that has not ended", clip(what), i.CA.Cert.Subject.CommonName)
	}
	return out, i.SignCRL(DefaultCRLLife, now)
}

// meant says whether a record is one of those that words name.
func (i *Issuer) meant(r Record, what string, now time.Time) bool {
	if strings.TrimLeft(strings.ToLower(what), "0") == strings.TrimLeft(r.Serial, "0") {
		return true
	}
	if now.After(r.NotAfter) {
		return false
	}
	name, err := coi.ParseName(r.Name)
	if err != nil {
		return false
	}
	short := name.Local
	if name.Device != "" {
		short += "/" + name.Device
	}
	return what == r.Name || what == short || name.Purpose == coi.Device && what == name.User()
}

// SignCRL signs the list of revocations anew.
func (i *Issuer) SignCRL(life time.Duration, now time.Time) error {
	revoked, err := i.Revoked()
	if err != nil {
		return err
	}
	list := make([]coi.RevokedCertificate, 0, len(revoked))
	for _, r := range revoked {
		entry, err := r.certificate()
		if err != nil {
			return err
		}
		list = append(list, entry)
	}
	path := filepath.Join(i.dir, crlFile)
	number := big.NewInt(now.UnixMilli())
	if old, err := readSmall(path, coi.MaxCRL); err == nil {
		if last, err := x509.ParseRevocationList(old); err == nil && last.Number != nil && last.Number.Cmp(number) >= 0 {
			number = new(big.Int).Add(last.Number, big.NewInt(1))
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	this := now.UTC().Truncate(time.Second)
	der, err := i.CA.IssueCRL(list, number, coi.Validity{This: this, Next: this.Add(life)})
	if err != nil {
		return err
	}
	return replace(path, der)
}

func (r *RevokedRecord) certificate() (coi.RevokedCertificate, error) {
	serial, err := hex.DecodeString(r.Serial)
	if err != nil {
		return coi.RevokedCertificate{}, fmt.Errorf("revoked serial %q: %w", clip(r.Serial), err)
	}
	why, err := coi.ParseRevocation(r.Reason)
	if err != nil {
		return coi.RevokedCertificate{}, fmt.Errorf("revoked serial %s: %w", r.Serial, err)
	}
	return coi.RevokedCertificate{Serial: new(big.Int).SetBytes(serial), At: r.At, Why: why}, nil
}

// CertifyResponder makes the certificate of the CA's OCSP responder from a
// certification request.
func (i *Issuer) CertifyResponder(csr []byte, now time.Time) (*x509.Certificate, error) {
	key, err := coi.ParseRequest(csr)
	if err != nil {
		return nil, err
	}
	return i.CA.IssueResponder(key, now)
}
