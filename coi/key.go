package coi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
)

// CheckKey refuses, as WrongKey, a public key that is not Ed25519 or ECDSA on
// P-256, P-384 or P-521.
func CheckKey(key crypto.PublicKey) error {
	switch key := key.(type) {
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return nil
		}
	case *ecdsa.PublicKey:
		if _, ok := hashOf(key); ok {
			return nil
		}
	}
	return refuse(WrongKey, "the key is a %T: make it Ed25519, or ECDSA on P-256, P-384 or P-521", key)
}

// hashOf returns the hash that ECDSA signs with on the key's curve.
func hashOf(key *ecdsa.PublicKey) (crypto.Hash, bool) {
	switch key.Curve {
	case elliptic.P256():
		return crypto.SHA256, true
	case elliptic.P384():
		return crypto.SHA384, true
	case elliptic.P521():
		return crypto.SHA512, true
	}
	return 0, false
}

// VerifySignature checks sig over message: Ed25519 over the message itself,
// ECDSA in ASN.1 over its SHA-256 (P-256), SHA-384 (P-384) or SHA-512 (P-521).
// The refusal is BadSignature or WrongKey.
func VerifySignature(key crypto.PublicKey, message, sig []byte) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	ok := false
	switch key := key.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(key, message, sig)
	case *ecdsa.PublicKey:
		hash, _ := hashOf(key)
		ok = ecdsa.VerifyASN1(key, digest(hash, message), sig)
	}
	if !ok {
		return refuse(BadSignature, "the signature is not by this key over this message")
	}
	return nil
}

// Sign makes the signature that VerifySignature accepts. Errors are WrongKey,
// or the signer's own.
func Sign(signer crypto.Signer, message []byte) ([]byte, error) {
	pub := signer.Public()
	if err := CheckKey(pub); err != nil {
		return nil, err
	}
	data, opts := message, crypto.Hash(0)
	if key, ok := pub.(*ecdsa.PublicKey); ok {
		opts, _ = hashOf(key)
		data = digest(opts, message)
	}
	sig, err := signer.Sign(rand.Reader, data, opts)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return sig, nil
}

func digest(hash crypto.Hash, message []byte) []byte {
	h := hash.New()
	h.Write(message)
	return h.Sum(nil)
}

// A Login is what a device signs to open a session.
type Login struct {
	Node   string // URI of the node that asked
	Device string // URI of the device that answers
	Nonce  []byte // the node's challenge
}

// Message returns the bytes to sign: none of the three can be moved into
// another, because names hold no zero octet and the nonce stands last.
//
//	"Parley 1 login" 0 node 0 device 0 nonce
func (l Login) Message() []byte {
	const label = "Parley 1 login"
	b := make([]byte, 0, len(label)+len(l.Node)+len(l.Device)+len(l.Nonce)+3)
	b = append(append(b, label...), 0)
	b = append(append(b, l.Node...), 0)
	b = append(append(b, l.Device...), 0)
	return append(b, l.Nonce...)
}
