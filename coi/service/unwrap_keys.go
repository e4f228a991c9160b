package service

import (
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"slices"

	"parley/coi/wrap"
)

// A HeldKey is a private key of a CoI: in memory, or a handle to one in a token.
type HeldKey struct {
	CoI         string            // URI
	Certificate *x509.Certificate // the newest over this key
	Private     any               // ecdh.KeyExchanger or crypto.Decrypter
	PQ          hpke.PrivateKey   // X-Wing, for post-quantum rooms; nil has none
	From        string            // where it is kept, for people
}

// wrapKey is the key as package wrap takes it.
func (k *HeldKey) wrapKey() wrap.Key {
	return wrap.Key{Certificate: k.Certificate, Private: k.Private, PQ: k.PQ}
}

// A KeyRing is all keys a service holds: for each CoI the active one first, then
// retired ones, which still open what was wrapped to them.
type KeyRing struct {
	by map[string][]HeldKey
}

// NewKeyRing arranges keys. Of one CoI the key whose certificate began last is
// the active one.
func NewKeyRing(keys ...HeldKey) *KeyRing {
	r := &KeyRing{by: map[string][]HeldKey{}}
	for _, k := range keys {
		r.by[k.CoI] = append(r.by[k.CoI], k)
	}
	for _, list := range r.by {
		slices.SortStableFunc(list, func(a, b HeldKey) int { return b.Certificate.NotBefore.Compare(a.Certificate.NotBefore) })
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

// of returns the keys of a CoI.
func (r *KeyRing) of(name string) []HeldKey { return r.by[name] }

// hashes returns the SHA-256 of each key's SubjectPublicKeyInfo.
func (r *KeyRing) hashes(name string) [][]byte {
	var out [][]byte
	for _, k := range r.by[name] {
		h := sha256.Sum256(k.Certificate.RawSubjectPublicKeyInfo)
		out = append(out, h[:])
	}
	return out
}
