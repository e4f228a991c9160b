package service

import (
	"bytes"
	"crypto"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"parley/coi"
)

// maxCoIKeys bounds the private keys of an unwrap service: active and retired
// ones of every CoI.
const maxCoIKeys = 4096

// A CoIKey is a private key of a CoI, in a file of the unwrap realm.
type CoIKey struct {
	Name        string            // mimi://alpha.example/c/finance
	SPKI        [sha256.Size]byte // SHA-256 of the public key: what clients compare with lookup's certificate
	Private     crypto.Signer     // *ecdsa.PrivateKey or *rsa.PrivateKey
	PostQuantum hpke.PrivateKey   // X-Wing, nil if there is none
	File        string

	// Certificates are those over this key, as the CoI CA issued them, newest
	// last; none if they were not put beside the key yet.
	Certificates []*x509.Certificate
}

// CoIKeys lists the private keys in the unwrap realm's folder keys/, by file:
//
//	keys/finance.20260101T120000000Z.key    private key in PEM; an X-Wing key may follow it
//	keys/finance.20260101T120000000Z.csr    the request for its certificate
//	keys/finance.20260101T120000000Z.crt    its certificate, in PEM; several after renewals
//
// Older keys of a CoI stay: what was wrapped to them is still opened with them.
func (r *Realm) CoIKeys() ([]CoIKey, error) {
	files, err := filepath.Glob(r.Path("keys", "*.key"))
	if err != nil {
		return nil, fmt.Errorf("list CoI keys: %w", err)
	}
	if len(files) > maxCoIKeys {
		return nil, fmt.Errorf("%d CoI keys in %s: at most %d", len(files), r.Path("keys"), maxCoIKeys)
	}
	slices.Sort(files)
	keys := make([]CoIKey, 0, len(files))
	for _, file := range files {
		k, err := r.readCoIKey(file)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func (r *Realm) readCoIKey(file string) (CoIKey, error) {
	if err := private(file); err != nil {
		return CoIKey{}, err
	}
	stem := strings.TrimSuffix(filepath.Base(file), ".key")
	local := stem[:max(strings.LastIndexByte(stem, '.'), 0)]
	name := coi.Name{Purpose: coi.CoI, Site: r.Site(), Local: local}
	if err := name.Check(); err != nil {
		return CoIKey{}, fmt.Errorf("%s: the name of the file does not say whose key it is: name it like finance.1.key", file)
	}
	data, err := readSmall(file, maxKeyLook)
	if err != nil {
		return CoIKey{}, err
	}
	k := CoIKey{Name: name.URI(), File: file}
	if k.Private, k.PostQuantum, err = coi.ParseCoIKeyPEM(data); err != nil {
		return CoIKey{}, fmt.Errorf("read %s: %w", file, err)
	}
	spki, err := x509.MarshalPKIXPublicKey(k.Private.Public())
	if err != nil {
		return CoIKey{}, fmt.Errorf("read %s: %w", file, err)
	}
	k.SPKI = sha256.Sum256(spki)
	data, err = readSmall(strings.TrimSuffix(file, ".key")+".crt", coi.MaxPEM)
	if errors.Is(err, os.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return CoIKey{}, err
	}
	if k.Certificates, err = coi.ParseCertificatesPEM(data); err != nil {
		return CoIKey{}, fmt.Errorf("read the certificate of %s: %w", file, err)
	}
	for _, c := range k.Certificates {
		if !bytes.Equal(c.RawSubjectPublicKeyInfo, spki) {
			return CoIKey{}, fmt.Errorf("the certificate beside %s is for another key", file)
		}
	}
	return k, nil
}

// A CoIKeyPlan says what key MakeCoIKey makes.
type CoIKeyPlan struct {
	CoI         string // its local name, finance
	Kind        string // p256, p384 or rsa3072
	PostQuantum bool   // also an X-Wing key
}

// MakeCoIKey makes a new private key of a CoI in the unwrap realm, and the
// certification request that goes to the CoI CA: the key never leaves.
func (r *Realm) MakeCoIKey(p CoIKeyPlan, now time.Time) (k CoIKey, csr string, err error) {
	if err := coi.CheckLabel(p.CoI); err != nil {
		return k, "", err
	}
	key, err := coi.NewCoIKey(p.Kind)
	if err != nil {
		return k, "", err
	}
	var pq hpke.PrivateKey
	var public hpke.PublicKey
	if p.PostQuantum {
		if pq, err = hpke.MLKEM768X25519().GenerateKey(); err != nil {
			return k, "", fmt.Errorf("make X-Wing key: %w", err)
		}
		public = pq.PublicKey()
	}
	data, err := coi.EncodeCoIKeyPEM(key, pq)
	if err != nil {
		return k, "", err
	}
	request, err := coi.NewCoIRequest(key, public)
	if err != nil {
		return k, "", err
	}
	if err := os.MkdirAll(r.Path("keys"), dirMode); err != nil {
		return k, "", fmt.Errorf("make CoI key: %w", err)
	}
	stamp := strings.Replace(now.UTC().Format("20060102T150405.000Z"), ".", "", 1)
	base := r.Path("keys", p.CoI+"."+stamp)
	if err := create(base+".key", data); err != nil {
		return k, "", err
	}
	if err := create(base+".csr", EncodeRequestPEM(request)); err != nil {
		return k, "", err
	}
	k, err = r.readCoIKey(base + ".key")
	return k, base + ".csr", err
}
