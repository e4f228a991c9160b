package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of the codec. Every decoding error wraps ErrMalformed.
var (
	// ErrMalformed says that bytes are not an encoding of what was asked for.
	ErrMalformed = errors.New("malformed")
	// ErrTruncated says that the input ended inside a value.
	ErrTruncated = fmt.Errorf("%w: truncated", ErrMalformed)
	// ErrTrailing says that bytes follow a complete value.
	ErrTrailing = fmt.Errorf("%w: trailing bytes", ErrMalformed)
	// ErrVarint says that a length is not minimally encoded or has the
	// reserved prefix (RFC 9420, Section 2.1.2).
	ErrVarint = fmt.Errorf("%w: bad length prefix", ErrMalformed)
	// ErrPresence says that an optional value is announced by another octet than 0
	// or 1 (RFC 9420, Section 2.1.1).
	ErrPresence = fmt.Errorf("%w: presence octet", ErrMalformed)
	// ErrTooLong says that a vector exceeds its named limit.
	ErrTooLong = fmt.Errorf("%w: vector too long", ErrMalformed)
)

// MaxVector is the largest length a <V> vector can express, in bytes
// (RFC 9420, Section 2.1.2).
const MaxVector = 1<<30 - 1

// A Reader decodes the TLS presentation language of RFC 9420, Section 2.1.
// The first error sticks: later reads return zero values, so that a decoder
// reads all its fields and asks once. What it returns aliases its input;
// nothing is allocated for a length before that many bytes are there (I9).
type Reader struct {
	b   []byte
	err error
}

// NewReader returns a Reader over b, which must not change while what was
// read from it is in use.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first error met.
func (r *Reader) Err() error { return r.err }

// Fail makes err the Reader's error, unless it has one.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.b) }

// Rest returns all that is left without consuming it.
func (r *Reader) Rest() []byte { return r.b }

// Done returns the first error met, or ErrTrailing if bytes are left.
func (r *Reader) Done() error {
	if r.err == nil && len(r.b) != 0 {
		r.err = ErrTrailing
	}
	return r.err
}

// Fixed reads n bytes.
func (r *Reader) Fixed(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.b) {
		r.err = ErrTruncated
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// Uint8 reads a uint8.
func (r *Reader) Uint8() uint8 {
	if v := r.Fixed(1); v != nil {
		return v[0]
	}
	return 0
}

// Uint16 reads a uint16.
func (r *Reader) Uint16() uint16 {
	if v := r.Fixed(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

// Uint32 reads a uint32.
func (r *Reader) Uint32() uint32 {
	if v := r.Fixed(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

// Uint64 reads a uint64.
func (r *Reader) Uint64() uint64 {
	if v := r.Fixed(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// Hash reads 32 bytes into an array.
func (r *Reader) Hash() (h [32]byte) {
	copy(h[:], r.Fixed(32))
	return h
}

// Varint reads a length prefix (RFC 9420, Section 2.1.2); a longer encoding
// than needed is refused.
func (r *Reader) Varint() int {
	first := r.Fixed(1)
	if first == nil {
		return 0
	}
	prefix := first[0] >> 6
	if prefix == 3 {
		r.Fail(ErrVarint)
		return 0
	}
	v := int(first[0] & 0x3f)
	rest := r.Fixed(1<<prefix - 1)
	for _, c := range rest {
		v = v<<8 | int(c)
	}
	if r.err == nil && prefix > 0 && v < 1<<(8*(1<<(prefix-1))-2) {
		r.Fail(ErrVarint)
		return 0
	}
	return v
}

// Opaque reads opaque data<V>.
func (r *Reader) Opaque() []byte { return r.Fixed(r.Varint()) }

// OpaqueMax reads opaque data<V> of at most limit bytes.
func (r *Reader) OpaqueMax(limit int) []byte {
	n := r.Varint()
	if n > limit {
		r.Fail(ErrTooLong)
		return nil
	}
	return r.Fixed(n)
}

// Bool reads the presence octet of optional<T>; anything but 0 and 1 is
// malformed (RFC 9420, Section 2.1.1).
func (r *Reader) Bool() bool {
	v := r.Uint8()
	if v > 1 {
		r.Fail(fmt.Errorf("%w %d", ErrPresence, v))
	}
	return v == 1
}

// Vector reads a list T list<V>: each is called with r itself, which ends where
// the list ends, until the list's bytes are used up. A call that consumes
// nothing ends the loop with an error.
func (r *Reader) Vector(each func(*Reader)) {
	body := r.Opaque()
	if r.err != nil {
		return
	}
	after := r.b
	r.b = body
	for len(r.b) > 0 && r.err == nil {
		before := len(r.b)
		each(r)
		if r.err == nil && len(r.b) == before {
			r.err = fmt.Errorf("%w: empty list element", ErrMalformed)
		}
	}
	r.b = after
}

// A Writer appends the same encodings to a buffer. It does not fail: what is
// too long for a vector is our own broken promise.
type Writer struct{ b []byte }

// NewWriter returns a Writer that appends to b.
func NewWriter(b []byte) *Writer { return &Writer{b: b} }

// Bytes returns what has been written.
func (w *Writer) Bytes() []byte { return w.b }

// Uint8 writes a uint8.
func (w *Writer) Uint8(v uint8) { w.b = append(w.b, v) }

// Uint16 writes a uint16.
func (w *Writer) Uint16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }

// Uint32 writes a uint32.
func (w *Writer) Uint32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

// Uint64 writes a uint64.
func (w *Writer) Uint64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }

// Bool writes a presence octet.
func (w *Writer) Bool(v bool) {
	if v {
		w.Uint8(1)
		return
	}
	w.Uint8(0)
}

// Raw writes bytes without a prefix.
func (w *Writer) Raw(b []byte) { w.b = append(w.b, b...) }

// Opaque writes opaque data<V>.
func (w *Writer) Opaque(b []byte) {
	w.b = AppendVarint(w.b, len(b))
	w.b = append(w.b, b...)
}

// String writes a string as opaque data<V>.
func (w *Writer) String(s string) {
	w.b = AppendVarint(w.b, len(s))
	w.b = append(w.b, s...)
}

// Vector writes a list<V> whose elements are what body writes.
func (w *Writer) Vector(body func(*Writer)) {
	start := len(w.b)
	w.b = append(w.b, 0) // most lists are shorter than 64 bytes
	body(w)
	n := len(w.b) - start - 1
	if n < 1<<6 {
		w.b[start] = byte(n)
		return
	}
	var prefix [4]byte
	p := AppendVarint(prefix[:0], n)
	w.b = append(w.b, p[1:]...)
	copy(w.b[start+len(p):], w.b[start+1:start+1+n])
	copy(w.b[start:], p)
}

// AppendVarint appends the length prefix n (RFC 9420, Section 2.1.2).
func AppendVarint(b []byte, n int) []byte {
	switch {
	case n < 0 || n > MaxVector:
		panic("BUG: vector length out of range")
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, 0x40|byte(n>>8), byte(n))
	default:
		return append(b, 0x80|byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}
