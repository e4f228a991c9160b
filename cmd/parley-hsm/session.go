//go:build cgo

package main

import (
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"

	"parley/coi/hsm"
)

// A session is one PKCS #11 session: an hsm.Session.
type session struct {
	token   *token
	handle  pkcs11.SessionHandle
	objects map[[sha256.Size]byte]object // keys that were used in it
}

// An object is a private key as a session sees it.
type object struct {
	handle pkcs11.ObjectHandle
	size   int // of a coordinate, in bytes; 0 for RSA
}

// Open opens a session. The login may have gone with a token that was pulled
// out, so it is made again where it is missing.
func (t *token) Open() (hsm.Session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.login()
	if err != nil {
		return nil, err
	}
	return &session{token: t, handle: s, objects: map[[sha256.Size]byte]object{}}, nil
}

// Close ends the session. The login stays while another is open.
func (s *session) Close() {
	_ = s.token.module.CloseSession(s.handle) // it may have gone with the token
}

// find returns the private key of a hash.
func (s *session) find(spki [sha256.Size]byte) (object, error) {
	if o, ok := s.objects[spki]; ok {
		return o, nil
	}
	for _, k := range s.token.found {
		if k.spki != spki {
			continue
		}
		handles, err := s.token.objects(s.handle, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.name), pkcs11.NewAttribute(pkcs11.CKA_ID, k.id))
		if err != nil {
			return object{}, err
		}
		if len(handles) != 1 {
			return object{}, fmt.Errorf("%d private keys are labelled %q with id %x, want one", len(handles), k.name, k.id)
		}
		s.objects[spki] = object{handles[0], k.size}
		return s.objects[spki], nil
	}
	return object{}, hsm.ErrRefused
}

// Agree derives the secret in the token and reads it out: CKM_ECDH1_DERIVE with
// CKD_NULL.
func (s *session) Agree(key [sha256.Size]byte, point []byte) ([]byte, error) {
	o, err := s.find(key)
	if err != nil {
		return nil, err
	}
	if o.size == 0 || len(point) != 1+2*o.size || point[0] != 4 {
		return nil, hsm.ErrRefused
	}
	z, err := s.derive(o, point)
	if isCode(err, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_ARGUMENTS_BAD) {
		wrapped, bad := asn1.Marshal(point) // some tokens want the point in an OCTET STRING
		if bad != nil {
			return nil, bad
		}
		z, err = s.derive(o, wrapped)
	}
	if isCode(err, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_ARGUMENTS_BAD, pkcs11.CKR_DOMAIN_PARAMS_INVALID) {
		return nil, hsm.ErrRefused
	}
	if err != nil {
		return nil, fmt.Errorf("derive: %w", err)
	}
	return padded(z, o.size)
}

// padded puts back the zeros that a token may have left off.
func padded(z []byte, size int) ([]byte, error) {
	if len(z) > size {
		return nil, fmt.Errorf("derive: %d bytes came out, want %d", len(z), size)
	}
	return append(make([]byte, size-len(z), size), z...), nil
}

// derive makes the secret as an object of this session, takes its value, and
// destroys it.
func (s *session) derive(o object, point []byte) ([]byte, error) {
	m := s.token.module
	secret, err := m.DeriveKey(s.handle, []*pkcs11.Mechanism{
		pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, point)),
	}, o.handle, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, o.size),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true),
	})
	if err != nil {
		return nil, err
	}
	list, err := m.GetAttributeValue(s.handle, secret, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
	if err = errors.Join(err, m.DestroyObject(s.handle, secret)); err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, errors.New("the secret has no value")
	}
	return list[0].Value, nil
}

// Decrypt opens RSAES-OAEP in the token: CKM_RSA_PKCS_OAEP with SHA-256 and
// MGF1 with SHA-256.
func (s *session) Decrypt(key [sha256.Size]byte, ciphertext []byte) ([]byte, error) {
	o, err := s.find(key)
	if err != nil {
		return nil, err
	}
	if o.size != 0 {
		return nil, hsm.ErrRefused
	}
	m := s.token.module
	err = m.DecryptInit(s.handle, []*pkcs11.Mechanism{
		pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_OAEP,
			pkcs11.NewOAEPParams(pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, pkcs11.CKZ_DATA_SPECIFIED, nil)),
	}, o.handle)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err) // before the ciphertext was seen
	}
	plain, err := m.Decrypt(s.handle, ciphertext)
	if gone(err) {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	if err != nil {
		return nil, hsm.ErrRefused // whatever is wrong with it
	}
	return plain, nil
}

// gone says whether an error is about the token, not about what it was given.
func gone(err error) bool {
	return isCode(err, pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_MEMORY, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_HOST_MEMORY,
		pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_TOKEN_NOT_PRESENT,
		pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED)
}

// isCode says whether an error is one of these return values of the library.
func isCode(err error, codes ...uint) bool {
	for _, code := range codes {
		if errors.Is(err, pkcs11.Error(code)) {
			return true
		}
	}
	return false
}
