package federation

import (
	"encoding/binary"
	"errors"
	"io"

	"google.golang.org/protobuf/proto"

	"parley/groups"
)

// A frame is a length of four bytes, big endian, and that many bytes.
const lengthBytes = 4

var errFrameTooLarge = errors.New("frame is larger than it may be")

// A frameReader reads frames. Its buffer grows by doubling as bytes arrive, so
// that a length alone buys nothing (I9).
type frameReader struct {
	r          io.Reader
	most       int // bytes of a frame
	buf        []byte
	start, end int // what has been read and not been given out
}

func newFrameReader(r io.Reader, most int) *frameReader {
	return &frameReader{r: r, most: most, buf: make([]byte, firstBuffer)}
}

// next returns the next frame; it is good until the call after. At the end of
// the stream, between frames, the error is io.EOF.
func (f *frameReader) next() ([]byte, error) {
	if f.start == f.end && len(f.buf) > idleBuffer {
		f.buf = make([]byte, firstBuffer)
		f.start, f.end = 0, 0
	}
	if err := f.need(lengthBytes); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(f.buf[f.start:])
	if n > uint32(f.most) {
		return nil, errFrameTooLarge
	}
	if err := f.need(lengthBytes + int(n)); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	frame := f.buf[f.start+lengthBytes : f.start+lengthBytes+int(n)]
	f.start += lengthBytes + int(n)
	return frame, nil
}

// need reads until n bytes wait.
func (f *frameReader) need(n int) error {
	for f.end-f.start < n {
		if f.start > 0 && (f.start == f.end || f.start+n > len(f.buf)) {
			f.end = copy(f.buf, f.buf[f.start:f.end])
			f.start = 0
		}
		if f.end == len(f.buf) {
			bigger := make([]byte, min(2*len(f.buf), max(n, len(f.buf)+firstBuffer)))
			copy(bigger, f.buf[:f.end])
			f.buf = bigger
		}
		got, err := f.r.Read(f.buf[f.end:])
		f.end += got
		if got == 0 && err != nil {
			if err == io.EOF && f.end > f.start {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// rest returns a reader of what follows the frames.
func (f *frameReader) rest() io.Reader {
	held := f.buf[f.start:f.end]
	f.start = f.end
	return io.MultiReader(&sliceReader{held}, f.r)
}

type sliceReader struct{ b []byte }

// Read gives out the slice.
func (s *sliceReader) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.b)
	s.b = s.b[n:]
	return n, nil
}

// appendFrame appends m as a frame.
func appendFrame(b []byte, m proto.Message) ([]byte, error) {
	size := proto.Size(m)
	if size > groups.MaxFrame {
		return b, errFrameTooLarge
	}
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
}
