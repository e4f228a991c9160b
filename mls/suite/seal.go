package suite

import (
	"crypto/hmac"
	"encoding/binary"
)

// A Sealer encrypts to many recipients under one label and context. The
// context of a Welcome is all its encrypted GroupInfo, megabytes in a large
// group: HPKE hashes it into the key schedule in a way that does not depend on
// the recipient, so that once is enough. A Sealer is a constant, safe for use
// by many goroutines.
type Sealer struct {
	labels
	schedule []byte // key_schedule_context
}

// NewSealer hashes a label and context. The context is not kept.
func (s *Suite) NewSealer(label string, context []byte) *Sealer {
	id := []byte("HPKE")
	for _, algorithm := range []uint16{s.kem.ID(), s.kemKDF.ID(), s.kemAEAD.ID()} {
		id = binary.BigEndian.AppendUint16(id, algorithm)
	}
	return newSealer(labels{s, id}, encryptPrefix(label, context), context)
}

// newSealer begins the key schedule in base mode (RFC 9180, Section 5.1), with
// an info that is given in two parts:
//
//	key_schedule_context = concat(mode, psk_id_hash, info_hash)
func newSealer(l labels, info ...[]byte) *Sealer {
	const modeBase = 0
	schedule := append(make([]byte, 0, 1+2*l.suite.hash.size), modeBase)
	schedule = append(schedule, l.extract(nil, "psk_id_hash")...)
	schedule = append(schedule, l.extract(nil, "info_hash", info...)...)
	return &Sealer{l, schedule}
}

// Seal is EncryptWithLabel (RFC 9420, Section 5.1.3) of plaintext to public.
// It fails with ErrBadKey if public is no key, or one no secret can be agreed
// with.
func (k *Sealer) Seal(public, plaintext []byte) (kemOutput, ciphertext []byte, err error) {
	return k.seal(public, plaintext, ephemeral{})
}

func (k *Sealer) seal(public, plaintext []byte, e ephemeral) (kemOutput, ciphertext []byte, err error) {
	kemOutput, with, err := k.begin(public, e)
	if err != nil {
		return nil, nil, err
	}
	ciphertext = k.suite.Seal(make([]byte, 0, len(plaintext)+TagSize), plaintext, with)
	clear(with.Key)
	return kemOutput, ciphertext, nil
}

// begin encapsulates to public and derives how the first message is sealed.
func (k *Sealer) begin(public []byte, e ephemeral) (kemOutput []byte, with Sealing, err error) {
	shared, kemOutput, err := k.suite.encapsulate(public, e)
	if err != nil {
		return nil, Sealing{}, err
	}
	secret := k.extract(shared, "secret")
	with = Sealing{
		Key:   k.expand(secret, "key", k.schedule, k.suite.aead.keySize),
		Nonce: k.expand(secret, "base_nonce", k.schedule, nonceSize),
	}
	clear(shared)
	clear(secret)
	return kemOutput, with, nil
}

// labels are LabeledExtract and LabeledExpand of one suite_id (RFC 9180,
// Section 4).
type labels struct {
	suite *Suite
	id    []byte // suite_id
}

const hpkeVersion = "HPKE-v1"

// extract is LabeledExtract, with the keying material in parts.
func (l labels) extract(salt []byte, label string, ikm ...[]byte) []byte {
	m := hmac.New(l.suite.hash.stream, salt)
	head := make([]byte, 0, 64)
	head = append(head, hpkeVersion...)
	head = append(head, l.id...)
	m.Write(append(head, label...))
	for _, part := range ikm {
		m.Write(part)
	}
	return m.Sum(make([]byte, 0, l.suite.hash.size))
}

// expand is LabeledExpand to n bytes, at most the size of a hash.
func (l labels) expand(prk []byte, label string, context []byte, n int) []byte {
	info := binary.BigEndian.AppendUint16(make([]byte, 0, 64+len(context)), uint16(n))
	info = append(info, hpkeVersion...)
	info = append(info, l.id...)
	info = append(info, label...)
	info = append(info, context...)
	dst := make([]byte, 0, n)
	if len(info) <= maxShortInfo && len(prk) <= l.suite.hash.block {
		return l.suite.expandBlock(dst, prk, info, n)
	}
	return l.suite.expand(dst, prk, info, n)
}
