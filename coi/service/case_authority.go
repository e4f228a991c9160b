package service

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"slices"

	"parley/coi"
)

// A CaseAuthority says who may approve cases here. The zero value is nobody.
type CaseAuthority struct {
	Threshold int // of them have to approve, at least; a case or a room may ask for more
	Approvers []CaseApprover
}

// A CaseApprover is somebody with a key of their own.
type CaseApprover struct {
	Name string
	Key  [32]byte // SHA-256 of the SubjectPublicKeyInfo
}

// CaseSettings say in config.toml who may approve cases.
type CaseSettings struct {
	Threshold int `toml:"threshold"`
	Approver  []struct {
		Name string `toml:"name"`
		Key  string `toml:"key"` // file with the public key in PEM
	} `toml:"approver"`
}

// name returns an approver's name.
func (a *CaseAuthority) name(key [32]byte) (string, bool) {
	i := slices.IndexFunc(a.Approvers, func(p CaseApprover) bool { return p.Key == key })
	if i < 0 {
		return "", false
	}
	return a.Approvers[i].Name, true
}

// caseAuthority reads the approvers' public keys. No private key of theirs is
// ever here.
func (r *Realm) caseAuthority(s *CaseSettings) (CaseAuthority, error) {
	a := CaseAuthority{Threshold: s.Threshold}
	for _, p := range s.Approver {
		key, err := PublicKeyHash(r.Resolve(p.Key))
		if err != nil {
			return a, fmt.Errorf("approver %s: %w", p.Name, err)
		}
		if other, taken := a.name(key); taken {
			return a, fmt.Errorf("approvers %s and %s have one key: each needs their own", other, p.Name)
		}
		a.Approvers = append(a.Approvers, CaseApprover{Name: p.Name, Key: key})
	}
	if len(a.Approvers) > 0 && (a.Threshold < 1 || a.Threshold > len(a.Approvers)) {
		return a, fmt.Errorf("cases: a threshold of %d with %d approvers", a.Threshold, len(a.Approvers))
	}
	return a, nil
}

// PublicKeyHash reads a public key in PEM (PUBLIC KEY), or a certificate's, and
// returns the SHA-256 of its SubjectPublicKeyInfo: how policies and cases name
// approvers.
func PublicKeyHash(path string) ([32]byte, error) {
	data, err := readSmall(path, maxKeyLook)
	if err != nil {
		return [32]byte{}, err
	}
	block, _ := pem.Decode(data)
	switch {
	case block != nil && block.Type == "PUBLIC KEY":
		return sha256.Sum256(block.Bytes), nil
	case block != nil && block.Type == "CERTIFICATE":
		certs, err := coi.ParseCertificatesPEM(data)
		if err != nil {
			return [32]byte{}, err
		}
		return sha256.Sum256(certs[0].RawSubjectPublicKeyInfo), nil
	}
	return [32]byte{}, fmt.Errorf("%s holds no public key in PEM (-----BEGIN PUBLIC KEY-----)", path)
}
