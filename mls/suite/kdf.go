package suite

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
)

// Extract is KDF.Extract(salt, ikm): HKDF-Extract with the suite's hash.
func (s *Suite) Extract(salt, ikm []byte) []byte { return s.MAC(salt, ikm) }

// Expand is KDF.Expand(prk, info, n). It panics if n is more than 255 hashes:
// lengths are ours, never a peer's; Exporter checks the one an application
// gives.
func (s *Suite) Expand(prk, info []byte, n int) []byte {
	return s.expand(make([]byte, 0, n), prk, info, n)
}

// ExpandWithLabel derives n bytes from secret (RFC 9420, Section 8).
func (s *Suite) ExpandWithLabel(secret []byte, label string, context []byte, n int) []byte {
	return s.AppendExpandWithLabel(make([]byte, 0, n), secret, label, context, n)
}

// AppendExpandWithLabel is ExpandWithLabel, appending to dst. With room in dst
// and a short context it does not allocate.
//
//	struct {
//	    uint16 length;
//	    opaque label<V>;
//	    opaque context<V>;
//	} KDFLabel;
func (s *Suite) AppendExpandWithLabel(dst, secret []byte, label string, context []byte, n int) []byte {
	if n < 0 || n > 0xffff {
		panic("BUG: expand length out of range")
	}
	const framing = 2 + 4 + len(labelPrefix) + 4
	if need := framing + len(label) + len(context); need > maxShortInfo || n > s.hash.size || len(secret) > s.hash.block {
		info := binary.BigEndian.AppendUint16(make([]byte, 0, need), uint16(n))
		return s.expand(dst, secret, appendLabelled(info, label, context), n)
	}
	var buf [maxShortInfo]byte
	info := binary.BigEndian.AppendUint16(buf[:0], uint16(n))
	return s.expandBlock(dst, secret, appendLabelled(info, label, context), n)
}

// DeriveSecret derives one secret from another (RFC 9420, Section 8).
func (s *Suite) DeriveSecret(secret []byte, label string) []byte {
	return s.ExpandWithLabel(secret, label, nil, s.hash.size)
}

// DeriveTreeSecret derives n bytes for a generation of a ratchet
// (RFC 9420, Section 9.1), appending them to dst.
func (s *Suite) DeriveTreeSecret(dst, secret []byte, label string, generation uint32, n int) []byte {
	var ctx [4]byte
	binary.BigEndian.PutUint32(ctx[:], generation)
	return s.AppendExpandWithLabel(dst, secret, label, ctx[:], n)
}

// MaxExpand returns the longest output of Expand, in bytes.
func (s *Suite) MaxExpand() int { return 255 * s.hash.size }

// CheckExpand returns ErrLength if n bytes can not be expanded.
func (s *Suite) CheckExpand(n int) error {
	if n < 0 || n > s.MaxExpand() {
		return fmt.Errorf("expand %d bytes: %w", n, ErrLength)
	}
	return nil
}

// expand appends HKDF-Expand(prk, info, n) to dst. What is one block with a
// short info, which is nearly everything, goes by expandBlock instead.
func (s *Suite) expand(dst, prk, info []byte, n int) []byte {
	if n > s.MaxExpand() {
		panic("BUG: expand length out of range")
	}
	m := hmac.New(s.hash.stream, prk)
	var block [maxHash]byte
	t := block[:0]
	for i := byte(1); n > 0; i++ {
		m.Reset()
		m.Write(t)
		m.Write(info)
		m.Write([]byte{i})
		t = m.Sum(block[:0])
		k := min(n, len(t))
		dst = append(dst, t[:k]...)
		n -= k
	}
	return dst
}

// maxShortInfo bounds the info of expandBlock, so that its buffers have a size.
const maxShortInfo = 192

// expandBlock is the first block of HKDF-Expand: HMAC(prk, info || 0x01),
// written as the two hashes it is, so that nothing leaves the stack.
func (s *Suite) expandBlock(dst, prk, info []byte, n int) []byte {
	var buf [maxBlock + maxShortInfo + 1]byte
	var inner, outer [maxHash]byte
	pad := buf[:s.hash.block]
	copy(pad, prk)
	for i := range pad {
		pad[i] ^= 0x36
	}
	in := s.hash.sum(inner[:0], append(append(pad, info...), 1))
	for i := range pad {
		pad[i] ^= 0x36 ^ 0x5c
	}
	out := s.hash.sum(outer[:0], append(pad, in...))
	dst = append(dst, out[:n]...)
	clear(buf[:])
	clear(outer[:])
	return dst
}
