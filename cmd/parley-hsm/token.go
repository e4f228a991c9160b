//go:build cgo

package main

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/miekg/pkcs11"

	"parley/coi/hsm"
)

// A token is a PKCS #11 token that is logged in to: an hsm.Token.
type token struct {
	module *pkcs11.Ctx
	label  string
	pin    string
	slotID uint // where it was found at first
	found  []found

	// mu guards the login, which all sessions of a process share (PKCS #11,
	// Section 5.6): main is the session that keeps it.
	mu   sync.Mutex
	main pkcs11.SessionHandle
}

// A found key is a private key of a token.
type found struct {
	hsm.Listed
	name   string
	id     []byte // CKA_ID, which its public key has too
	spki   [sha256.Size]byte
	public crypto.PublicKey
	size   int // of a coordinate, in bytes; 0 for RSA

	problem error // why it can not be used
}

// openToken loads a library, finds the token of that label, logs in, lists its
// keys and tries each.
func openToken(library, label, pin string) (*token, error) {
	t := &token{module: pkcs11.New(library), label: label, pin: pin}
	if t.module == nil {
		return nil, fmt.Errorf("load %s: not a PKCS #11 library", library)
	}
	err := t.module.Initialize()
	if err != nil {
		t.module.Destroy()
		return nil, fmt.Errorf("load %s: %w", library, err)
	}
	if t.slotID, err = t.slot(); err == nil {
		t.main, err = t.login()
	}
	if err == nil {
		err = t.look()
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// close logs out and unloads the library; no session may be in use.
func (t *token) close() {
	_ = t.module.Finalize() // the process ends: there is nobody to tell
	t.module.Destroy()
}

// login opens a session and logs in with it, if the process is not.
func (t *token) login() (pkcs11.SessionHandle, error) {
	slot, err := t.slot()
	if err != nil {
		return 0, err
	}
	s, err := t.module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return 0, fmt.Errorf("open a session: %w", err)
	}
	err = t.module.Login(s, pkcs11.CKU_USER, t.pin)
	if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
		return 0, errors.Join(fmt.Errorf("log in to token %q: %w", t.label, err), t.module.CloseSession(s))
	}
	return s, nil
}

// slot finds the one token of the label.
func (t *token) slot() (uint, error) {
	slots, err := t.module.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("list slots: %w", err)
	}
	var match []uint
	for _, slot := range slots {
		if info, err := t.module.GetTokenInfo(slot); err == nil && info.Label == t.label {
			match = append(match, slot)
		}
	}
	if len(match) != 1 {
		return 0, fmt.Errorf("%d tokens are labelled %q, want one", len(match), t.label)
	}
	return match[0], nil
}

// Keys lists the keys, the active one of a name last.
func (t *token) Keys() []hsm.Listed {
	list := make([]hsm.Listed, len(t.found))
	for i, k := range t.found {
		list[i] = k.Listed
	}
	return list
}

// look finds the private keys with a label.
func (t *token) look() error {
	handles, err := t.objects(t.main, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))
	if err != nil {
		return err
	}
	for _, handle := range handles {
		if k := t.describe(handle); k != nil {
			t.found = append(t.found, *k)
		}
	}
	slices.SortFunc(t.found, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.name, b.name), bytes.Compare(a.id, b.id))
	})
	return t.try()
}

// objects finds objects of a template, at most MaxKeys.
func (t *token) objects(s pkcs11.SessionHandle, template ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := t.module.FindObjectsInit(s, template); err != nil {
		return nil, fmt.Errorf("find keys: %w", err)
	}
	handles, _, err := t.module.FindObjects(s, hsm.MaxKeys+1)
	if err = errors.Join(err, t.module.FindObjectsFinal(s)); err != nil {
		return nil, fmt.Errorf("find keys: %w", err)
	}
	if len(handles) > hsm.MaxKeys {
		return nil, fmt.Errorf("token %q has more than %d keys", t.label, hsm.MaxKeys)
	}
	return handles, nil
}

// value reads one attribute, nil where the object has none.
func (t *token) value(object pkcs11.ObjectHandle, kind uint) []byte {
	list, err := t.module.GetAttributeValue(t.main, object, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil || len(list) != 1 {
		return nil
	}
	return list[0].Value
}
