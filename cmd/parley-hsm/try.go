//go:build cgo

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"parley/coi/hsm"
	"parley/coi/wrap"
)

// try has each key do once, at the start, what an envelope will ask of it: a
// token that can not do it says so now, and not when somebody wants to read. It
// is only an error if the token has gone.
func (t *token) try() error {
	s, err := t.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range t.found {
		k := &t.found[i]
		if k.problem != nil {
			continue
		}
		switch public := k.public.(type) {
		case *ecdsa.PublicKey:
			k.problem = tryAgreement(s, k, public)
		case *rsa.PublicKey:
			k.problem = tryOAEP(s, k, public)
		}
		if gone(k.problem) {
			return fmt.Errorf("try key %q, id %x: %w", k.name, k.id, k.problem)
		}
	}
	return nil
}

// errOther says that a token has another private key than the public one says.
var errOther = errors.New("its private key is not that of its public key")

// tryAgreement agrees on a secret with a key of our own.
func tryAgreement(s hsm.Session, k *found, public *ecdsa.PublicKey) error {
	theirs, err := public.ECDH()
	if err != nil {
		return err
	}
	ours, err := theirs.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	want, err := ours.ECDH(theirs)
	if err != nil {
		return err
	}
	got, err := s.Agree(k.spki, ours.PublicKey().Bytes())
	if err != nil {
		return fmt.Errorf("the token does not agree on a secret with it (CKM_ECDH1_DERIVE): %w", err)
	}
	if !bytes.Equal(got, want) {
		return errOther
	}
	return nil
}

// tryOAEP opens something that was sealed to the key here.
func tryOAEP(s hsm.Session, k *found, public *rsa.PublicKey) error {
	if bits := public.N.BitLen(); bits < wrap.MinRSABits || bits > wrap.MaxRSABits {
		return fmt.Errorf("it is an RSA key of %d bits, envelopes are for %d to %d", bits, wrap.MinRSABits, wrap.MaxRSABits)
	}
	text := make([]byte, sha256.Size)
	if _, err := rand.Read(text); err != nil {
		return err
	}
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, text, nil)
	if err != nil {
		return err
	}
	got, err := s.Decrypt(k.spki, sealed)
	if gone(err) {
		return err
	}
	if err != nil {
		return fmt.Errorf("the token does not open RSA-OAEP with SHA-256, which envelopes have (%w): make an EC key, with parley-hsm make", err)
	}
	if !bytes.Equal(got, text) {
		return errOther
	}
	return nil
}
