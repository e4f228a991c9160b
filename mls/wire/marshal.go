package wire

import "fmt"

// An Encoder writes its one encoding. All structures of this package are
// Encoders; encoding a structure whose type field and content disagree is a
// broken promise of the caller and panics.
type Encoder interface{ Encode(*Writer) }

// decoderOf is a pointer to a T that reads itself.
type decoderOf[T any] interface {
	*T
	Decode(*Reader)
}

// Marshal returns the encoding of v.
func Marshal(v Encoder) []byte { return Append(nil, v) }

// Append appends the encoding of v to b.
func Append(b []byte, v Encoder) []byte {
	w := NewWriter(b)
	v.Encode(w)
	return w.Bytes()
}

// Unmarshal decodes a T from b, all of which must be used:
//
//	kp, err := wire.Unmarshal[wire.KeyPackage](b)
//
// The byte slices in what it returns alias b, which therefore must not change
// while the value is in use. What is allocated beside them is at most
// MaxGrowth bytes per byte of b. Encodings are canonical: Marshal of the
// result is b. Every error wraps ErrMalformed.
func Unmarshal[T any, P decoderOf[T]](b []byte) (T, error) {
	var v T
	r := Reader{b: b}
	P(&v).Decode(&r)
	if err := r.Done(); err != nil {
		var zero T
		return zero, fmt.Errorf("decode %T: %w", v, err)
	}
	return v, nil
}

// MaxGrowth is how many bytes decoding may allocate for each byte of input:
// the smallest element of any list (two octets) may become a structure of a
// few words in a slice that has just been grown.
const MaxGrowth = 256

// decodeList reads T list<V>.
func decodeList[T any, P decoderOf[T]](r *Reader) []T {
	var list []T
	r.Vector(func(r *Reader) {
		var v T
		P(&v).Decode(r)
		if r.err == nil {
			list = append(list, v)
		}
	})
	return list
}

// encodeList writes T list<V>.
func encodeList[T Encoder](w *Writer, list []T) {
	w.Vector(func(w *Writer) {
		for _, v := range list {
			v.Encode(w)
		}
	})
}

// decodeUint16s reads T list<V> of two-octet code points.
func decodeUint16s[T ~uint16](r *Reader) []T {
	body := r.Opaque()
	if len(body)%2 != 0 {
		r.Fail(ErrTruncated)
	}
	if r.err != nil || len(body) == 0 {
		return nil
	}
	list := make([]T, len(body)/2)
	for i := range list {
		list[i] = T(body[2*i])<<8 | T(body[2*i+1])
	}
	return list
}

// encodeUint16s writes T list<V> of two-octet code points.
func encodeUint16s[T ~uint16](w *Writer, list []T) {
	w.b = AppendVarint(w.b, 2*len(list))
	for _, v := range list {
		w.Uint16(uint16(v))
	}
}

// unknown fails r with what stands in a field that selects.
func unknown[T fmt.Stringer](r *Reader, kind error, v T) {
	r.Fail(fmt.Errorf("%w: %w: %v", ErrMalformed, kind, v))
}
