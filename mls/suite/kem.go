package suite

import (
	"crypto"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha3"
	"errors"
	"fmt"
)

// A kemAlgorithm is a KEM: a Diffie-Hellman group if it has a curve
// (RFC 9180, Section 4.1), ML-KEM if it has parts of that, and a hybrid of both
// if it has both (draft-ietf-hpke-pq). The standard library's keys are used
// as they are; only encapsulation is ours, because the library gives it only
// together with the hashing of the info.
type kemAlgorithm struct {
	hpke.KEM
	curve ecdh.Curve
	// scalar is the length of a private key that other implementations write
	// without its leading zero octets; zero if there is no such key.
	scalar int
	// lattice reads an ML-KEM encapsulation key of latticeSize bytes.
	lattice     func([]byte) (crypto.Encapsulator, error)
	latticeSize int
	// label separates the hybrids.
	label string
}

var (
	kemX25519 = kemAlgorithm{KEM: hpke.DHKEM(ecdh.X25519()), curve: ecdh.X25519()}
	kemP256   = kemAlgorithm{KEM: hpke.DHKEM(ecdh.P256()), curve: ecdh.P256(), scalar: 32}
	kemP384   = kemAlgorithm{KEM: hpke.DHKEM(ecdh.P384()), curve: ecdh.P384(), scalar: 48}
	kemP521   = kemAlgorithm{KEM: hpke.DHKEM(ecdh.P521()), curve: ecdh.P521(), scalar: 66}

	kemXWing = kemAlgorithm{KEM: hpke.MLKEM768X25519(), curve: ecdh.X25519(), label: `\.//^\`,
		lattice: newMLKEM768, latticeSize: mlkem.EncapsulationKeySize768}
	kemMLKEM768P256 = kemAlgorithm{KEM: hpke.MLKEM768P256(), curve: ecdh.P256(), label: "MLKEM768-P256",
		lattice: newMLKEM768, latticeSize: mlkem.EncapsulationKeySize768}
	kemMLKEM1024P384 = kemAlgorithm{KEM: hpke.MLKEM1024P384(), curve: ecdh.P384(), label: "MLKEM1024-P384",
		lattice: newMLKEM1024, latticeSize: mlkem.EncapsulationKeySize1024}
	kemMLKEM768 = kemAlgorithm{KEM: hpke.MLKEM768(),
		lattice: newMLKEM768, latticeSize: mlkem.EncapsulationKeySize768}
	kemMLKEM1024 = kemAlgorithm{KEM: hpke.MLKEM1024(),
		lattice: newMLKEM1024, latticeSize: mlkem.EncapsulationKeySize1024}
)

func newMLKEM768(b []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey768(b) }

func newMLKEM1024(b []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey1024(b) }

// An ephemeral is the sender's part of one encapsulation. Known answers need
// one that is not random.
type ephemeral struct {
	key *ecdh.PrivateKey
	// lattice encapsulates; nil means at random.
	lattice func(crypto.Encapsulator) (shared, ciphertext []byte)
}

// encapsulate makes a secret that only the holder of public's private key can
// compute from kemOutput. It fails with ErrBadKey if public is no key, or one
// no secret can be agreed with.
func (s *Suite) encapsulate(public []byte, e ephemeral) (shared, kemOutput []byte, err error) {
	k := &s.kem
	if len(public) < k.latticeSize {
		return nil, nil, fmt.Errorf("%w: HPKE public key of %d bytes", ErrBadKey, len(public))
	}
	var lattice, latticeOutput []byte
	if k.lattice != nil {
		split := k.latticeSize
		if k.curve == nil {
			split = len(public)
		}
		key, err := k.lattice(public[:split])
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %v", ErrBadKey, err)
		}
		if e.lattice == nil {
			e.lattice = crypto.Encapsulator.Encapsulate
		}
		lattice, latticeOutput = e.lattice(key)
		if k.curve == nil {
			return lattice, latticeOutput, nil
		}
		public = public[split:]
	}
	agreed, point, err := k.agree(public, e.key)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	if k.lattice == nil {
		return s.extractAndExpand(agreed, point, public), point, nil
	}
	return k.combine(lattice, agreed, point, public), append(latticeOutput, point...), nil
}

// agree computes a Diffie-Hellman secret with public, by the private key
// given, or a new one if that is nil. An all-zero secret is an error
// (RFC 9180, Section 7.1.4).
func (k *kemAlgorithm) agree(public []byte, private *ecdh.PrivateKey) (agreed, point []byte, err error) {
	key, err := k.curve.NewPublicKey(public)
	if err != nil {
		return nil, nil, err
	}
	if private == nil {
		if private, err = k.curve.GenerateKey(rand.Reader); err != nil {
			return nil, nil, err
		}
	}
	if private.Curve() != k.curve {
		return nil, nil, errors.New("ephemeral key of another curve")
	}
	if agreed, err = private.ECDH(key); err != nil {
		return nil, nil, err
	}
	return agreed, private.PublicKey().Bytes(), nil
}

// combine hashes the two secrets of a hybrid into one (draft-ietf-hpke-pq; for
// X25519 it is known as X-Wing).
func (k *kemAlgorithm) combine(lattice, agreed, point, public []byte) []byte {
	h := sha3.New256()
	h.Write(lattice)
	h.Write(agreed)
	h.Write(point)
	h.Write(public)
	h.Write([]byte(k.label))
	clear(lattice)
	clear(agreed)
	return h.Sum(nil)
}

// extractAndExpand turns a Diffie-Hellman secret into that of the KEM
// (RFC 9180, Section 4.1). All suites use one hash for the KEM and everything
// else.
func (s *Suite) extractAndExpand(agreed, point, public []byte) []byte {
	l := labels{suite: s, id: []byte{'K', 'E', 'M', byte(s.kem.ID() >> 8), byte(s.kem.ID())}}
	prk := l.extract(nil, "eae_prk", agreed)
	clear(agreed)
	context := append(append(make([]byte, 0, len(point)+len(public)), point...), public...)
	return l.expand(prk, "shared_secret", context, s.hash.size)
}
