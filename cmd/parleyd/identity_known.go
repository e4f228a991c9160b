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
	name := sha256.Sum256(chain[0])
	path := filepath.Join(id.known, hex.EncodeToString(name[:])+".pem")
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("keep ordering certificate: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keep ordering certificate: %w", err)
	}
	return nil
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
