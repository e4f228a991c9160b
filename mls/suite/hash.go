package suite

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
)

// A hashAlgorithm is a hash by its sizes; sum and stream switch on size, so
// that the buffers they are given stay on the stack.
type hashAlgorithm struct{ size, block int }

var (
	sha256Hash = hashAlgorithm{sha256.Size, sha256.BlockSize}
	sha384Hash = hashAlgorithm{sha512.Size384, sha512.BlockSize}
	sha512Hash = hashAlgorithm{sha512.Size, sha512.BlockSize}
)

const maxHash, maxBlock = sha512.Size, sha512.BlockSize

// sum appends the hash of b to dst.
func (h hashAlgorithm) sum(dst, b []byte) []byte {
	switch h.size {
	case sha256.Size:
		d := sha256.Sum256(b)
		return append(dst, d[:]...)
	case sha512.Size384:
		d := sha512.Sum384(b)
		return append(dst, d[:]...)
	default:
		d := sha512.Sum512(b)
		return append(dst, d[:]...)
	}
}

// stream returns the hash for input that is not in one piece.
func (h hashAlgorithm) stream() hash.Hash {
	switch h.size {
	case sha256.Size:
		return sha256.New()
	case sha512.Size384:
		return sha512.New384()
	default:
		return sha512.New()
	}
}

// Hash returns the hash of b.
func (s *Suite) Hash(b []byte) []byte { return s.hash.sum(make([]byte, 0, s.hash.size), b) }

// AppendHash appends the hash of b to dst.
func (s *Suite) AppendHash(dst, b []byte) []byte { return s.hash.sum(dst, b) }

// MAC returns the suite's HMAC over data (RFC 9420, Section 5.1).
func (s *Suite) MAC(key, data []byte) []byte {
	m := hmac.New(s.hash.stream, key)
	m.Write(data)
	return m.Sum(make([]byte, 0, s.hash.size))
}

// VerifyMAC reports whether tag is the whole MAC over data: a tag of another
// length is never one. It takes the same time for every tag of that length.
func (s *Suite) VerifyMAC(key, data, tag []byte) bool {
	return len(tag) == s.hash.size && subtle.ConstantTimeCompare(s.MAC(key, data), tag) == 1
}

// RefHash returns a hash-based identifier (RFC 9420, Section 5.2). The label
// is used as it is.
func (s *Suite) RefHash(label string, value []byte) []byte {
	var prefix [64]byte
	p := appendOpaque(prefix[:0], label)
	p = appendVarint(p, len(value))
	h := s.hash.stream()
	h.Write(p)
	h.Write(value)
	return h.Sum(make([]byte, 0, s.hash.size))
}

// KeyPackageRef returns the reference of an encoded KeyPackage
// (MakeKeyPackageRef).
func (s *Suite) KeyPackageRef(keyPackage []byte) []byte {
	return s.RefHash("MLS 1.0 KeyPackage Reference", keyPackage)
}

// ProposalRef returns the reference of the encoded AuthenticatedContent that
// carries a proposal (MakeProposalRef).
func (s *Suite) ProposalRef(content []byte) []byte {
	return s.RefHash("MLS 1.0 Proposal Reference", content)
}

// labelPrefix begins every label of Section 5 but those of RefHash.
const labelPrefix = "MLS 1.0 "

// appendVarint appends a length prefix (RFC 9420, Section 2.1.2). This package
// imports none of ours, so it has its own.
func appendVarint(b []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, 0x40|byte(n>>8), byte(n))
	case n < 1<<30:
		return append(b, 0x80|byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	default:
		panic("BUG: vector length out of range")
	}
}

// appendOpaque appends v as opaque<V>.
func appendOpaque[T string | []byte](b []byte, v T) []byte {
	return append(appendVarint(b, len(v)), v...)
}

// appendLabelled appends the struct that SignContent, EncryptContext and the
// tail of KDFLabel have in common: opaque label<V>; opaque context<V>.
func appendLabelled(b []byte, label string, context []byte) []byte {
	b = appendVarint(b, len(labelPrefix)+len(label))
	b = append(b, labelPrefix...)
	b = append(b, label...)
	return appendOpaque(b, context)
}
