package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"parley/coi"
	"parley/groups"
)

// remember writes a chain under its hash. A file that is there says the same.
func (id *identity) remember(chain [][]byte) error {
	if err := os.MkdirAll(id.known, 0o700); err != nil {
		return fmt.Errorf("keep ordering certificate: %w", err)
	}
	var b []byte
	for _, der := range chain {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	path := id.file(sha256.Sum256(chain[0]))
	// Several links may learn one certificate at a time: each writes a file of
	// its own.
	f, err := os.CreateTemp(id.known, "*.new")
	if err != nil {
		return fmt.Errorf("keep ordering certificate: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keep ordering certificate: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// unremember removes what remember wrote; a file that stays is passed over.
func (id *identity) unremember(leaf groups.Hash) { os.Remove(id.file(leaf)) }

func (id *identity) file(leaf groups.Hash) string {
	return filepath.Join(id.known, hex.EncodeToString(leaf[:])+".pem")
}

// recall learns again what was remembered. A certificate that has ended, or
// whose site is no longer a peer, is passed over: it proves nothing any more.
func (id *identity) recall() error {
	files, err := filepath.Glob(filepath.Join(id.known, "*.pem"))
	if err != nil {
		return fmt.Errorf("recall ordering certificates: %w", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("recall ordering certificates: %w", err)
		}
		certs, err := coi.ParseCertificatesPEM(b)
		if err != nil {
			return fmt.Errorf("recall ordering certificate %s: %w", f, err)
		}
		if _, err := id.learn(coi.Chain(certs...)); err != nil {
			continue
		}
	}
	return nil
}
