package service

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"parley/coi"
)

const (
	// maxFiles bounds the files of a directory that CheckApart looks through.
	maxFiles = 10_000
	// maxKeyLook bounds the files that are looked at as keys, in bytes: a
	// private key in PEM is far smaller.
	maxKeyLook = 64 << 10
)

// ownKeys are the private keys a role may have in its directory, as patterns of
// filepath.Match.
var ownKeys = map[Role][]string{
	RoleAuthority: {"root.key"},
	RoleLookup:    {"tls.key"},
	RoleOCSP:      {"tls.key", "*/responder.key"},
	RoleUnwrap:    {"tls.key", "keys/*.key", "log/log.key"},
}

// errApart is what a broken separation looks like to people.
func errApart(format string, args ...any) error {
	return fmt.Errorf("roles are not apart: "+format, args...)
}

// CheckApart refuses to let a service start where the separation of roles is
// broken: a private key in its directory that its role must not have, one key
// in two roles, a directory within that of another role, one CA for devices and
// for CoIs. certs are other certificates whose keys must not be in the
// directory: those that the service shows or answers for. What an error says is
// what to do.
func (r *Realm) CheckApart(certs ...*x509.Certificate) error {
	for dir := filepath.Dir(abs(r.path)); ; dir = filepath.Dir(dir) {
		for _, name := range []string{"realm.json", "site.json"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return errApart("%s lies within %s, the directory of another role: move it out, to an administrator of its own", r.path, dir)
			}
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	sites, err := r.Sites()
	if err != nil {
		return err
	}
	if _, err := coi.NewTrust(sites...); err != nil {
		return errApart("%w", err)
	}
	foreign := map[string]string{} // public key, whose it is
	for _, s := range sites {
		for _, ca := range append(append(append([]*x509.Certificate{}, s.Roots...), s.Intermediates...), s.CoIRoots...) {
			foreign[string(ca.RawSubjectPublicKeyInfo)] = "the CA " + ca.Subject.String()
		}
	}
	for _, c := range certs {
		foreign[string(c.RawSubjectPublicKeyInfo)] = "the certificate " + c.Subject.String()
	}
	return r.checkKeys(foreign)
}

// checkKeys looks at every private key in the directory.
func (r *Realm) checkKeys(foreign map[string]string) error {
	mine := map[string]string{} // public key, its file
	files := 0
	return filepath.WalkDir(r.path, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("look for keys: %w", err)
		}
		rel, err := filepath.Rel(r.path, path)
		if err != nil {
			return fmt.Errorf("look for keys: %w", err)
		}
		if name := e.Name(); name == "site.json" || name == "realm.json" && rel != name {
			return errApart("%s is the directory of another role: move it out of %s", filepath.Dir(path), r.path)
		}
		if e.IsDir() {
			return nil
		}
		if linked(path, e) {
			return errApart("%s leads to another directory, in which nobody has looked for keys: put what is needed here, and remove it", path)
		}
		if files++; files > maxFiles {
			return fmt.Errorf("%s has more than %d files: it can not be looked through for keys that should not be there", r.path, maxFiles)
		}
		publics, found := publicKeys(path)
		if !found {
			return nil
		}
		if !r.mayHold(rel) {
			return errApart("%s is a private key, and the %s service must not have it: move it to where it belongs, and think about who has read it", path, r.role)
		}
		for _, pub := range publics {
			if whose := foreign[pub]; whose != "" && r.role != RoleAuthority {
				return errApart("%s is the key of %s, and the %s service must not have it", path, whose, r.role)
			}
			if other := mine[pub]; other != "" {
				return errApart("%s and %s are one key in two roles: make a new one for one of them", path, other)
			}
			mine[pub] = path
		}
		return nil
	})
}

// linked says whether a name leads to a directory elsewhere, which the walk does
// not follow.
func linked(path string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// mayHold says whether a role may have a private key in a file.
func (r *Realm) mayHold(rel string) bool {
	for _, pattern := range ownKeys[r.role] {
		if ok, err := filepath.Match(pattern, filepath.ToSlash(rel)); err == nil && ok {
			return true
		}
	}
	return false
}

// publicKeys returns the public keys of the private keys in a file, and whether
// it holds any private key at all.
func publicKeys(path string) (publics []string, found bool) {
	data, err := readSmall(path, maxKeyLook)
	if err != nil {
		return nil, false
	}
	if spki, err := publicOf(data); err == nil { // DER
		return []string{string(spki)}, true
	}
	if !bytes.Contains(data, []byte("PRIVATE")) {
		return nil, false
	}
	found = bytes.HasPrefix(data, []byte("PRIVATE+KEY+")) // of a note signer
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return publics, found
		}
		if !strings.Contains(block.Type, "PRIVATE KEY") {
			continue
		}
		found = true
		if spki, err := publicOf(block.Bytes); err == nil {
			publics = append(publics, string(spki))
		}
	}
}

// publicOf returns the SubjectPublicKeyInfo of a private key in PKCS #8, or in the
// older forms that openssl writes.
func publicOf(der []byte) ([]byte, error) {
	var signer crypto.Signer
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		var ok bool
		if signer, ok = key.(crypto.Signer); !ok {
			return nil, errors.New("not a key that signs")
		}
	} else if old, ecErr := x509.ParseECPrivateKey(der); ecErr == nil {
		signer = old
	} else if old, rsaErr := x509.ParsePKCS1PrivateKey(der); rsaErr == nil {
		signer = old
	} else {
		return nil, err
	}
	return x509.MarshalPKIXPublicKey(signer.Public())
}

// abs is filepath.Abs where it works.
func abs(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}
