package client

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"parley/groups"
)

// A file travels as a blob: pieces of fileChunk bytes of plaintext, each sealed
// with AES-256-GCM under the file's own key. The nonce is the piece's number
// and whether it is the last, so that no piece can be moved, dropped or
// repeated, and each can be checked as it comes.
//
//	piece i = Seal(key, nonce = uint64(i) || 0 0 0 || last, plaintext)
const (
	fileChunk = 64 << 10
	fileTag   = 16
	// MaxFile is the largest file a message can carry, in bytes.
	MaxFile = 120 << 20
)

// ErrFile says that a downloaded file is not what the message says.
var ErrFile = errors.New("the file is not what its message says")

// fileCipher returns the cipher of a file's key.
func fileCipher(key *[32]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("BUG: AES refuses a key of 32 bytes")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: GCM refuses AES")
	}
	return aead
}

// fileNonce is the nonce of a piece.
func fileNonce(piece uint64, last bool) []byte {
	nonce := binary.BigEndian.AppendUint64(make([]byte, 0, 12), piece)
	nonce = append(nonce, 0, 0, 0, 0)
	if last {
		nonce[11] = 1
	}
	return nonce
}

// sealedSize is the size of the blob of a file; an empty file has one empty
// piece.
func sealedSize(size uint64) uint64 {
	pieces := max(1, (size+fileChunk-1)/fileChunk)
	return size + pieces*fileTag
}

// sealFile encrypts body piece by piece and hands each piece to put. It
// returns what the message will say, without name and type.
func sealFile(body io.Reader, put func(piece uint64, sealed []byte) error) (File, error) {
	var f File
	rand.Read(f.Key[:])
	aead := fileCipher(&f.Key)
	plain, blob := sha256.New(), sha256.New()
	buf, ahead := make([]byte, fileChunk), make([]byte, fileChunk)
	n, err := io.ReadFull(body, buf)
	for piece := uint64(0); ; piece++ {
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return f, fmt.Errorf("read file: %w", err)
		}
		more := 0
		var next error = io.EOF
		if err == nil {
			more, next = io.ReadFull(body, ahead)
		}
		last := more == 0
		f.Size += uint64(n)
		if f.Size > MaxFile {
			return f, groups.Errorf(groups.TooLarge, "the file is larger than %d bytes", MaxFile)
		}
		plain.Write(buf[:n])
		sealed := aead.Seal(nil, fileNonce(piece, last), buf[:n], nil)
		blob.Write(sealed)
		if err := put(piece, sealed); err != nil {
			return f, err
		}
		if last && next != io.EOF {
			return f, fmt.Errorf("read file: %w", next)
		}
		if last {
			plain.Sum(f.SHA256[:0])
			blob.Sum(f.Blob[:0])
			return f, nil
		}
		buf, ahead, n, err = ahead, buf, more, next
	}
}

// A fileOpener decrypts a blob that comes in parts of any size, from a piece
// on.
type fileOpener struct {
	file  *File
	aead  cipher.AEAD
	piece uint64
	buf   []byte // less than a piece, still sealed
}

func newFileOpener(f *File, piece uint64) *fileOpener {
	return &fileOpener{file: f, aead: fileCipher(&f.Key), piece: piece}
}

// pieces is how many pieces a file has.
func (f *File) pieces() uint64 { return max(1, (f.Size+fileChunk-1)/fileChunk) }

// write takes the next part and writes what it completes to w.
func (o *fileOpener) write(part []byte, w io.Writer) error {
	o.buf = append(o.buf, part...)
	for o.piece < o.file.pieces() {
		last := o.piece == o.file.pieces()-1
		size := fileChunk + fileTag
		if last {
			size = int(o.file.Size-o.piece*fileChunk) + fileTag
		}
		if len(o.buf) < size {
			return nil
		}
		plain, err := o.aead.Open(nil, fileNonce(o.piece, last), o.buf[:size], nil)
		if err != nil {
			return fmt.Errorf("piece %d: %w", o.piece, ErrFile)
		}
		if _, err := w.Write(plain); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
		o.buf = append(o.buf[:0], o.buf[size:]...)
		o.piece++
	}
	if len(o.buf) > 0 {
		return fmt.Errorf("it goes on after its end: %w", ErrFile)
	}
	return nil
}

// done says whether the last piece has come.
func (o *fileOpener) done() bool { return o.piece == o.file.pieces() }
