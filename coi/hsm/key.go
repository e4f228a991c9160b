package hsm

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
)

// A Key is one key of a token.
type Key struct {
	Name    string            // its label: the CoI's name
	SPKI    [sha256.Size]byte // SHA-256 of its SubjectPublicKeyInfo
	Public  crypto.PublicKey  // *ecdsa.PublicKey on P-256 or P-384, or *rsa.PublicKey
	Private any               // ecdh.KeyExchanger or crypto.Decrypter
}

// key makes a Key of what a token lists.
func (c *Client) key(l Listed) (Key, error) {
	public, err := x509.ParsePKIXPublicKey(l.SPKI)
	if err != nil {
		return Key{}, fmt.Errorf("key %q: %w", l.Name, err)
	}
	k := Key{Name: l.Name, SPKI: sha256.Sum256(l.SPKI), Public: public}
	switch public := public.(type) {
	case *rsa.PublicKey:
		k.Private = &transport{client: c, spki: k.SPKI, public: public}
		return k, nil
	case *ecdsa.PublicKey:
		point, err := public.ECDH()
		if err == nil && (point.Curve() == ecdh.P256() || point.Curve() == ecdh.P384()) {
			k.Private = &agreement{client: c, spki: k.SPKI, public: point}
			return k, nil
		}
	}
	return Key{}, fmt.Errorf("key %q is neither RSA nor EC on P-256 or P-384", l.Name)
}

// An agreement is an ecdh.KeyExchanger in a token.
type agreement struct {
	client *Client
	spki   [sha256.Size]byte
	public *ecdh.PublicKey
}

// PublicKey returns the public half.
func (k *agreement) PublicKey() *ecdh.PublicKey { return k.public }

// Curve returns the key's curve.
func (k *agreement) Curve() ecdh.Curve { return k.public.Curve() }

// ECDH returns the shared x-coordinate. The error is ErrRefused, or says by a
// method Unavailable() bool that the token can not be asked.
func (k *agreement) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	if remote.Curve() != k.Curve() {
		return nil, ErrRefused
	}
	z, err := k.client.use(opAgree, k.spki, remote.Bytes())
	if err != nil {
		return nil, err
	}
	if size := len(k.public.Bytes()) / 2; len(z) != size {
		return nil, outage{fmt.Errorf("it answers with %d bytes, not %d", len(z), size)}
	}
	return z, nil
}

// A transport is a crypto.Decrypter in a token.
type transport struct {
	client *Client
	spki   [sha256.Size]byte
	public *rsa.PublicKey
}

// Public returns the public half.
func (k *transport) Public() crypto.PublicKey { return k.public }

// Decrypt opens RSAES-OAEP with SHA-256 in both places and no label, and nothing
// else. Errors are as of ECDH.
func (k *transport) Decrypt(_ io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	o, ok := opts.(*rsa.OAEPOptions)
	if !ok || o.Hash != crypto.SHA256 || o.MGFHash != 0 && o.MGFHash != crypto.SHA256 || len(o.Label) > 0 {
		return nil, ErrRefused
	}
	return k.client.use(opDecrypt, k.spki, ciphertext)
}
