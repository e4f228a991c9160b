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
	messages, ok := readEnvelope(envelope)
	if !ok || messages[0].binding != b {
		return nil, ErrOpen
	}
	return openWith(messages, key)
}

// OpenUnbound opens a message of the profile that carries no attributes, as
// `openssl cms -encrypt` makes it: it says nothing of what it is for, so nothing
// that belongs to a room may be read this way. One that carries any is refused.
func OpenUnbound(file []byte, key Key) ([]byte, error) {
	m, ok := readMessage(file)
	if !ok || m.attributes != nil {
		return nil, ErrOpen
	}
	return openWith([]sealed{{message: m}}, key)
}

// openWith opens the one message that is for the key.
func openWith(messages []sealed, key Key) ([]byte, error) {
	if key.Certificate == nil {
		return nil, ErrOpen
	}
	for _, m := range messages {
		r := m.find(key.Certificate.SubjectKeyId)
		if r == nil {
			continue
		}
		contentKey, good, err := r.unwrapWith(key.Private)
		if err != nil {
			return nil, err
		}
		defer clear(contentKey)
		plain, err := m.openContent(contentKey, good)
		if err == nil && m.place.postQuantum {
			return openInner(plain, key, m.attributes)
		}
		return plain, err
	}
	return nil, ErrOpen
}

// openInner opens the HPKE seal inside a post-quantum message.
func openInner(inner []byte, key Key, attrs []byte) ([]byte, error) {
	if key.PQ == nil {
		return nil, ErrOpen
	}
	plain, err := hpke.Open(key.PQ, hpke.HKDFSHA256(), hpke.AES256GCM(), attrs, inner)
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
