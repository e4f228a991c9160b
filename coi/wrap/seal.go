package wrap

import (
	"crypto/hpke"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"unicode/utf8"

	"parley/coi"
)

// Seal puts a secret into an envelope for some certificates, bound to b. Where
// there is a message for each, they stand in the order of the certificates. It fails with ErrRecipient or ErrSize, or
// if there is no randomness; then nothing was made.
func Seal(secret []byte, to []Recipient, b Binding, o SealOptions) ([]byte, error) {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if len(secret) == 0 || len(secret) > MaxSecret {
		return nil, fmt.Errorf("seal a secret of %d bytes: %w", len(secret), ErrSize)
	}
	if o.Mode != Any && o.Mode != All {
		return nil, fmt.Errorf("seal for %d: %w", o.Mode, errMode)
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	if err := checkRecipients(to); err != nil {
		return nil, err
	}
	out, err := sealAll(secret, to, b, o)
	if err == nil && len(out) > MaxEnvelope {
		return nil, fmt.Errorf("seal %d bytes for %d certificates: %w", len(secret), len(to), ErrSize)
	}
	return out, err
}

// check refuses a binding that can not be written.
func (b Binding) check() error {
	if b.Room == "" || len(b.Room) > MaxRoom || !utf8.ValidString(b.Room) {
		return fmt.Errorf("bind to a room named with %d bytes: %w", len(b.Room), ErrSize)
	}
	return nil
}

func checkRecipients(to []Recipient) error {
	if len(to) == 0 || len(to) > MaxRecipients {
		return fmt.Errorf("seal for %d certificates: %w", len(to), ErrSize)
	}
	seen := map[string]bool{}
	for _, r := range to {
		if err := checkRecipient(r); err != nil {
			return err
		}
		id := string(r.Certificate.SubjectKeyId)
		if seen[id] {
			return fmt.Errorf("%w: that of %s is there twice", ErrRecipient, r.Name)
		}
		seen[id] = true
	}
	return nil
}

// sealAll makes one message for all certificates, or one for each.
func sealAll(secret []byte, to []Recipient, b Binding, o SealOptions) ([]byte, error) {
	c := content{secret: secret, binding: b, place: place{mode: o.Mode, postQuantum: o.PostQuantum, of: len(to)}}
	if c.place.single() {
		return sealMessage(c.write(), to, o.Rand)
	}
	shares, err := split(secret, len(to), o.Rand)
	if err != nil {
		return nil, err
	}
	messages := make([][]byte, len(to))
	for i := range to {
		if c.place.number = i; o.Mode == All {
			c.secret = shares[i]
		}
		inner := c.write()
		if o.PostQuantum {
			if inner, err = sealInner(inner, to[i]); err != nil {
				return nil, err
			}
		}
		if messages[i], err = sealMessage(inner, to[i:i+1], o.Rand); err != nil {
			return nil, err
		}
	}
	return writeList(c.place, messages), nil
}

// innerInfo is HPKE's info of the seal inside a post-quantum message.
const innerInfo = "Parley 1 envelope"

// sealInner seals to the X-Wing key of a certificate.
func sealInner(plain []byte, r Recipient) ([]byte, error) {
	key, err := coi.PostQuantumKey(r.Certificate)
	if err != nil || key == nil {
		return nil, fmt.Errorf("%w: that of %s has no post-quantum key", ErrRecipient, r.Name)
	}
	sealed, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(innerInfo), plain)
	if err != nil {
		return nil, fmt.Errorf("seal for %s: %w", r.Name, err)
	}
	return sealed, nil
}

// sealMessage makes one CMS message.
func sealMessage(plain []byte, to []Recipient, random io.Reader) ([]byte, error) {
	fresh := make([]byte, keySize+nonceSize)
	if _, err := io.ReadFull(random, fresh); err != nil {
		return nil, fmt.Errorf("draw a content key: %w", err)
	}
	contentKey, nonce := fresh[:keySize], fresh[keySize:]
	defer clear(contentKey)
	m := &message{nonce: nonce, recipients: make([]recipient, len(to))}
	for i, r := range to {
		var err error
		if m.recipients[i], err = wrapFor(r.Certificate, contentKey, random); err != nil {
			return nil, fmt.Errorf("wrap for %s: %w", r.Name, err)
		}
	}
	sealed := newGCM(contentKey).Seal(nil, nonce, plain, nil)
	m.ciphertext, m.mac = sealed[:len(plain)], sealed[len(plain):]
	return m.write()
}

// split cuts a secret into n shares that are random but for their XOR.
func split(secret []byte, n int, random io.Reader) ([][]byte, error) {
	shares := make([][]byte, n)
	last := make([]byte, len(secret))
	copy(last, secret)
	for i := range shares[1:] {
		shares[i] = make([]byte, len(secret))
		if _, err := io.ReadFull(random, shares[i]); err != nil {
			return nil, fmt.Errorf("draw a share: %w", err)
		}
		subtle.XORBytes(last, last, shares[i])
	}
	shares[n-1] = last
	return shares, nil
}
