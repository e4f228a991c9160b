package client

import (
	"encoding/binary"
	"io"
)

// A wholeMessages is the body of a streaming request. Connect writes the prefix
// of a message and the message apart, and HTTP/2 makes a frame, a TLS record
// and a system call of whatever one Read gives it: here one Read gives both.
type wholeMessages struct {
	io.ReadCloser
	prefix [prefixSize]byte
	got    int   // bytes of the prefix that have been read
	left   int64 // bytes of the message under way that have not
}

// prefixSize is the size of a message's prefix in Connect: a byte of flags and
// the message's length.
const prefixSize = 5

// Read reads a message with its prefix, as far as b has room for both.
func (m *wholeMessages) Read(b []byte) (n int, err error) {
	if m.left == 0 {
		n, err = m.ReadCloser.Read(b[:min(len(b), prefixSize-m.got)])
		m.got += copy(m.prefix[m.got:], b[:n])
		if m.got < prefixSize || err != nil {
			return n, err
		}
		m.got, m.left = 0, int64(binary.BigEndian.Uint32(m.prefix[1:]))
		if m.left == 0 || n == len(b) {
			return n, nil
		}
	}
	more, err := m.ReadCloser.Read(b[n:min(int64(len(b)), int64(n)+m.left)])
	m.left -= int64(more)
	return n + more, err
}
