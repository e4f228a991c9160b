package wrap

import (
	"bytes"
	"crypto/hpke"
	"crypto/subtle"
	"fmt"
)

// Open takes out what an envelope holds for a key: in mode Any the secret, in
// mode All this recipient's share, which Combine joins with the others.
// The envelope must be bound to b. The error is ErrOpen whatever is wrong,
// or the key's own where that says, by a method Unavailable() bool, that it
// could not be asked.
func Open(envelope []byte, key Key, b Binding) ([]byte, error) {
	e, ok := readEnvelope(envelope)
	if !ok || key.Certificate == nil {
		return nil, ErrOpen
	}
	number, r := e.find(key.Certificate.SubjectKeyId)
	if r == nil {
		return nil, ErrOpen
	}
	contentKey, good, err := r.unwrapWith(key.Private)
	if err != nil {
		return nil, err
	}
	defer clear(contentKey)
	plain, err := e.messages[number].open(contentKey, good)
	if err == nil && e.postQuantum {
		plain, err = openInner(plain, key.PQ)
	}
	if err != nil {
		return nil, err
	}
	c, ok := readContent(plain)
	if !ok || c.binding != b || c.place != e.placeOf(number) {
		return nil, ErrOpen
	}
	return c.secret, nil
}

// openInner opens the HPKE seal inside a post-quantum message.
func openInner(inner []byte, key hpke.PrivateKey) ([]byte, error) {
	if key == nil {
		return nil, ErrOpen
	}
	plain, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(innerInfo), inner)
	if err != nil {
		return nil, outOfReach(err)
	}
	return plain, nil
}

// Combine joins the shares of all recipients of an envelope in mode All. It can
// not tell a wrong share from a right one: compare the key id of what comes out.
// It fails with ErrSize if the shares differ in length, two are the same, or
// there are none or more than MaxRecipients.
func Combine(shares ...[]byte) ([]byte, error) {
	if len(shares) == 0 || len(shares) > MaxRecipients {
		return nil, fmt.Errorf("combine %d shares: %w", len(shares), ErrSize)
	}
	secret := bytes.Clone(shares[0])
	for i, s := range shares[1:] {
		if len(s) != len(secret) {
			return nil, fmt.Errorf("combine a share of %d bytes with one of %d: %w", len(s), len(secret), ErrSize)
		}
		for _, other := range shares[:i+1] {
			if subtle.ConstantTimeCompare(s, other) == 1 {
				return nil, fmt.Errorf("combine a share with itself: %w", ErrSize)
			}
		}
		subtle.XORBytes(secret, secret, s)
	}
	return secret, nil
}
