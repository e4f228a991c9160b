package wrap

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"

	"parley/coi"
)

// checkRecipient refuses a certificate that nothing may be wrapped to.
func checkRecipient(r Recipient) error {
	c := r.Certificate
	switch {
	case c == nil:
		return fmt.Errorf("%w: %s has none", ErrRecipient, r.Name)
	case len(c.SubjectKeyId) == 0 || len(c.SubjectKeyId) > maxKeyID:
		return fmt.Errorf("%w: that of %s has no subjectKeyIdentifier", ErrRecipient, r.Name)
	}
	if err := coi.CheckCoIKey(c.PublicKey); err != nil {
		return fmt.Errorf("%w: that of %s: %w", ErrRecipient, r.Name, err)
	}
	usage := x509.KeyUsageKeyAgreement
	if _, ok := c.PublicKey.(*rsa.PublicKey); ok {
		usage = x509.KeyUsageKeyEncipherment
	}
	if c.KeyUsage != 0 && c.KeyUsage&usage == 0 {
		return fmt.Errorf("%w: that of %s is not for making keys secret", ErrRecipient, r.Name)
	}
	return nil
}

// wrapFor encrypts the content key to a certificate that has been checked.
func wrapFor(cert *x509.Certificate, contentKey []byte, rand io.Reader) (recipient, error) {
	r := recipient{keyID: cert.SubjectKeyId}
	var err error
	switch public := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		r.key, err = rsa.EncryptOAEP(sha256.New(), rand, public, contentKey, nil)
	case *ecdsa.PublicKey:
		r.key, r.agree, err = agreeWith(public, contentKey, rand)
	}
	return r, err
}

// agreeWith wraps the content key under an ephemeral agreement (RFC 5753,
// Section 3.1).
func agreeWith(public *ecdsa.PublicKey, contentKey []byte, rand io.Reader) ([]byte, *agreement, error) {
	static, err := public.ECDH()
	if err != nil {
		return nil, nil, err
	}
	ephemeral, err := static.Curve().GenerateKey(rand)
	if err != nil {
		return nil, nil, err
	}
	z, err := ephemeral.ECDH(static)
	if err != nil {
		return nil, nil, err
	}
	a := &agreement{hash: crypto.SHA256, point: ephemeral.PublicKey().Bytes(), ukm: make([]byte, ukmSize)}
	if _, err := io.ReadFull(rand, a.ukm); err != nil {
		return nil, nil, err
	}
	kek := a.derive(z)
	clear(z)
	return wrapKey(kek, contentKey), a, nil
}

// unwrapWith returns the content key, and 1 if it is one: all that can be wrong
// with a ciphertext looks the same from outside. The error is the key's, and
// only where its owner says that it can not be reached.
func (r *recipient) unwrapWith(private any) (contentKey []byte, ok int, err error) {
	if key, is := private.(*ecdsa.PrivateKey); is {
		if private, err = key.ECDH(); err != nil {
			return nil, 0, ErrOpen
		}
	}
	switch key := private.(type) {
	case ecdh.KeyExchanger:
		return r.unwrapAgreed(key)
	case crypto.Decrypter:
		return r.unwrapTransported(key)
	}
	return nil, 0, ErrOpen
}

func (r *recipient) unwrapAgreed(key ecdh.KeyExchanger) ([]byte, int, error) {
	if r.agree == nil {
		return nil, 0, ErrOpen
	}
	point, err := key.Curve().NewPublicKey(r.agree.point)
	if err != nil {
		return nil, 0, ErrOpen // not on the curve: the key never sees it
	}
	z, err := key.ECDH(point)
	if err != nil {
		return nil, 0, outOfReach(err)
	}
	contentKey, ok := unwrapKey(r.agree.derive(z), r.key)
	clear(z)
	return contentKey, ok, nil
}

func (r *recipient) unwrapTransported(key crypto.Decrypter) ([]byte, int, error) {
	if r.agree != nil {
		return nil, 0, ErrOpen
	}
	contentKey, err := key.Decrypt(nil, r.key, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256})
	if err == nil && len(contentKey) == keySize {
		return contentKey, 1, nil
	}
	if err = outOfReach(err); err != ErrOpen {
		return nil, 0, err
	}
	return make([]byte, keySize), 0, nil
}

// open decrypts what a message holds.
func (m *message) open(contentKey []byte, good int) ([]byte, error) {
	gcm := newGCM(contentKey)
	sealed := make([]byte, 0, len(m.ciphertext)+len(m.mac))
	sealed = append(append(sealed, m.ciphertext...), m.mac...)
	plain, err := gcm.Open(sealed[:0], m.nonce, sealed, nil)
	if err != nil || good != 1 {
		return nil, ErrOpen
	}
	return plain, nil
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("BUG: a content key of the wrong size")
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: AES is no cipher for GCM")
	}
	return gcm
}
