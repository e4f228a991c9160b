package service

import (
	"crypto"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"parley/coi"
	"parley/coi/wrap"
)

// A HeldKey is a private key of a CoI: in memory, or a handle to one in a token.
type HeldKey struct {
	CoI     string            // URI
	SPKI    [sha256.Size]byte // SHA-256 of its SubjectPublicKeyInfo
	Private any               // ecdh.KeyExchanger or crypto.Decrypter
	PQ      hpke.PrivateKey   // X-Wing, for post-quantum rooms; nil has none
	From    string            // where it is kept, for people
	Since   time.Time         // when its newest certificate began; zero if none is at hand

	opens *x509.Certificate // as package wrap finds a key: by its identifier
}

// NewHeldKey takes a key by its public half. private is an ecdh.KeyExchanger, a
// crypto.Decrypter or an *ecdsa.PrivateKey.
func NewHeldKey(coiName string, public crypto.PublicKey, private any) (HeldKey, error) {
	k := HeldKey{CoI: coiName, Private: private}
	if err := coi.CheckCoIKey(public); err != nil {
		return k, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return k, fmt.Errorf("key of %s: %w", coiName, err)
	}
	id, err := coi.CoIKeyIdentifier(public)
	if err != nil {
		return k, err
	}
	k.SPKI, k.opens = sha256.Sum256(spki), &x509.Certificate{SubjectKeyId: id}
	return k, nil
}

// wrapKey is the key as package wrap takes it.
func (k *HeldKey) wrapKey() wrap.Key {
	return wrap.Key{Certificate: k.opens, Private: k.Private, PQ: k.PQ}
}

// A KeyRing is all keys a service holds: for each CoI the active one first, then
// retired ones, which still open what was wrapped to them.
type KeyRing struct {
	by map[string][]HeldKey
}

// NewKeyRing arranges keys. Of each CoI the last is the active one.
func NewKeyRing(keys ...HeldKey) *KeyRing {
	r := &KeyRing{by: map[string][]HeldKey{}}
	for _, k := range slices.Backward(keys) {
		r.by[k.CoI] = append(r.by[k.CoI], k)
	}
	return r
}

// Names lists the CoIs whose keys are held, sorted.
func (r *KeyRing) Names() []string {
	out := make([]string, 0, len(r.by))
	for name := range r.by {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Of returns the keys of a CoI, the active one first.
func (r *KeyRing) Of(name string) []HeldKey { return r.by[name] }

// certified returns the SHA-256 of the SubjectPublicKeyInfo of the key with the
// newest certificate, nil if no certificate is at hand. A key that was made and
// has no certificate yet replaces none.
func (r *KeyRing) certified(name string) []byte {
	var newest *HeldKey
	for i := range r.by[name] {
		k := &r.by[name][i]
		if !k.Since.IsZero() && (newest == nil || k.Since.After(newest.Since)) {
			newest = k
		}
	}
	if newest == nil {
		return nil
	}
	return newest.SPKI[:]
}

// hashes returns the SHA-256 of each key's SubjectPublicKeyInfo.
func (r *KeyRing) hashes(name string) [][]byte {
	var out [][]byte
	for _, k := range r.by[name] {
		out = append(out, k.SPKI[:])
	}
	return out
}
