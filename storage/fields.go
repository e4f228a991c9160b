package storage

import (
	"encoding/binary"
	"errors"

	"parley/groups"
)

// errCorrupt says that a row or record is not what this package wrote.
var errCorrupt = errors.New("not what was written")

// A fields reads the values of rows and journal records. The first error
// sticks; nothing is allocated for a length before that many bytes are there.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if f.bad || n < 0 || n > len(f.b) {
		f.bad = true
		return nil
	}
	v := f.b[:n:n]
	f.b = f.b[n:]
	return v
}

func (f *fields) uint8() byte {
	if v := f.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (f *fields) uint16() uint16 {
	if v := f.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (f *fields) uint32() uint32 {
	if v := f.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (f *fields) uint64() uint64 {
	if v := f.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (f *fields) hash() (h groups.Hash) {
	copy(h[:], f.take(len(h)))
	return h
}

// name reads a length of two bytes and a name.
func (f *fields) name() string { return string(f.take(int(f.uint16()))) }

// rest returns what is left and ends the reading.
func (f *fields) rest() []byte { return f.take(len(f.b)) }

// done returns errCorrupt if a read failed or bytes are left.
func (f *fields) done() error {
	if f.bad || len(f.b) != 0 {
		return errCorrupt
	}
	return nil
}

func appendName[N ~string](b []byte, name N) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
	return append(b, name...)
}

func uint64Value(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
