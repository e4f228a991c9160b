//go:build cgo

package main

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"

	"github.com/miekg/pkcs11"

	"parley/coi"
)

// A keyPlan says what key to make.
type keyPlan struct {
	name string // the CoI's: mimi://alpha.example/c/finance
	id   string // hexadecimal
	kind string // p256 or p384
}

// curves are the kinds of keys that are made, as CKA_EC_PARAMS.
var curves = map[string]asn1.ObjectIdentifier{
	"p256": {1, 2, 840, 10045, 3, 1, 7},
	"p384": {1, 3, 132, 0, 34},
}

// make makes a key in the token that can not leave it, and writes the request
// for its certificate. It may sign because the request must prove that who asks
// holds the key.
func (p *program) make(plan keyPlan) error {
	curve, ok := curves[plan.kind]
	id, err := hex.DecodeString(plan.id)
	if !ok || err != nil || len(id) == 0 {
		return fmt.Errorf("a key of kind %q with id %q: the kinds are p256 and p384, the id is hexadecimal", plan.kind, plan.id)
	}
	name, err := coi.ParseName(plan.name)
	if err != nil || name.Purpose != coi.CoI {
		return fmt.Errorf("%q names no CoI: write it like mimi://alpha.example/c/finance", plan.name)
	}
	t, err := p.open()
	if err != nil {
		return err
	}
	defer t.close()
	for _, k := range t.found {
		if string(k.id) == string(id) {
			return fmt.Errorf("the token has a key with id %s: take a greater one, the greatest of a CoI is the active key", plan.id)
		}
	}
	params, err := asn1.Marshal(curve)
	if err != nil {
		return err
	}
	s, err := t.module.OpenSession(t.slotID, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return fmt.Errorf("open a session to write: %w", err)
	}
	private, err := t.generate(s, keyTemplate{name: plan.name, id: id, params: params})
	if err != nil {
		return err
	}
	return t.request(s, private)
}

// A keyTemplate is what both halves of a new key have.
type keyTemplate struct {
	name       string
	id, params []byte
}

// generate makes a key pair: for agreement, and to sign its own request.
func (t *token) generate(s pkcs11.SessionHandle, k keyTemplate) (pkcs11.ObjectHandle, error) {
	_, private, err := t.module.GenerateKeyPair(s,
		[]*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)},
		[]*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.name),
			pkcs11.NewAttribute(pkcs11.CKA_ID, k.id),
			pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, k.params),
			pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true),
		},
		[]*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
			pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.name),
			pkcs11.NewAttribute(pkcs11.CKA_ID, k.id),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
			pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
			pkcs11.NewAttribute(pkcs11.CKA_DERIVE, true),
			pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
		})
	if err != nil {
		return 0, fmt.Errorf("make a key: %w", err)
	}
	return private, nil
}

// request writes the certification request of a key to standard output.
func (t *token) request(s pkcs11.SessionHandle, private pkcs11.ObjectHandle) error {
	k := t.describe(private)
	if k == nil {
		return errors.New("the token does not show the key that it has made")
	}
	if k.problem != nil {
		return fmt.Errorf("the new key: %w", k.problem)
	}
	public, ok := k.public.(*ecdsa.PublicKey)
	if !ok {
		return errors.New("the new key is not EC")
	}
	csr, err := coi.NewCoIRequest(&signer{token: t, session: s, key: private, public: public}, nil)
	if err != nil {
		return err
	}
	return pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})
}

// A signer signs a request with a key in the token.
type signer struct {
	token   *token
	session pkcs11.SessionHandle
	key     pkcs11.ObjectHandle
	public  *ecdsa.PublicKey
}

func (s *signer) Public() crypto.PublicKey { return s.public }

// Sign returns ECDSA over a digest, as SEQUENCE { r, s }.
func (s *signer) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	m := s.token.module
	if err := m.SignInit(s.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}, s.key); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	raw, err := m.Sign(s.session, digest)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if len(raw) == 0 || len(raw)%2 != 0 {
		return nil, fmt.Errorf("sign: %d bytes came out", len(raw))
	}
	half := len(raw) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
}
