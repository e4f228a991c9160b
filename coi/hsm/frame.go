package hsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"parley/mls/wire"
)

const (
	// MaxFrame is the largest request or answer, in bytes. A longer one ends the
	// connection.
	MaxFrame = 64 << 10
	// MaxKeys is the most keys a token offers; more are an error at its start.
	MaxKeys = 64
	// maxInput is the largest point or ciphertext, in bytes: RSA of 8192 bits.
	maxInput = 1024
	// maxName is the longest name of a key, in bytes.
	maxName = 255
	// maxSPKI is the largest public key, in bytes.
	maxSPKI = 2048
)

// The operations.
const (
	opList    = 1
	opAgree   = 2
	opDecrypt = 3
)

// The outcomes.
const (
	done        = 0
	refused     = 1 // the token does not do this with that input
	unavailable = 2 // the token can not be asked
)

// A request asks for one operation.
//
//	struct { uint8 op; opaque key[32]; opaque input<V>; } Request;
type request struct {
	op    uint8
	key   [32]byte // SHA-256 of its SubjectPublicKeyInfo; zero for list
	input []byte   // a point, uncompressed, or an OAEP ciphertext; empty for list
}

func (q *request) marshal() []byte {
	w := wire.NewWriter(nil)
	w.Uint8(q.op)
	w.Raw(q.key[:])
	w.Opaque(q.input)
	return w.Bytes()
}

func parseRequest(b []byte) (*request, error) {
	r := wire.NewReader(b)
	q := &request{op: r.Uint8(), key: r.Hash(), input: r.OpaqueMax(maxInput)}
	return q, r.Done()
}

// An answer is the outcome of a request.
//
//	struct { uint8 outcome; opaque output<V>; } Answer;
type answer struct {
	outcome uint8
	output  []byte
}

func (a *answer) marshal() []byte {
	w := wire.NewWriter(nil)
	w.Uint8(a.outcome)
	w.Opaque(a.output)
	return w.Bytes()
}

func parseAnswer(b []byte) (*answer, error) {
	r := wire.NewReader(b)
	a := &answer{outcome: r.Uint8(), output: r.OpaqueMax(MaxFrame)}
	return a, r.Done()
}

// A Listed key is what a token offers.
//
//	struct { opaque name<V>; opaque spki<V>; } Listed;
type Listed struct {
	Name string // the label: mimi://alpha.example/c/finance
	SPKI []byte // SubjectPublicKeyInfo, DER
}

func marshalList(keys []Listed) []byte {
	w := wire.NewWriter(nil)
	w.Vector(func(w *wire.Writer) {
		for _, k := range keys {
			w.String(k.Name)
			w.Opaque(k.SPKI)
		}
	})
	return w.Bytes()
}

func parseList(b []byte) ([]Listed, error) {
	var keys []Listed
	r := wire.NewReader(b)
	r.Vector(func(r *wire.Reader) {
		if len(keys) == MaxKeys {
			r.Fail(fmt.Errorf("more than %d keys", MaxKeys))
			return
		}
		keys = append(keys, Listed{Name: string(r.OpaqueMax(maxName)), SPKI: r.OpaqueMax(maxSPKI)})
	})
	return keys, r.Done()
}

var errFrame = errors.New("a frame over the limit")

// writeFrame sends a body behind its length, uint32.
func writeFrame(w io.Writer, body []byte) error {
	if len(body) > MaxFrame {
		return errFrame
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

// readFrame receives a body. It returns io.EOF between frames only.
func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxFrame {
		return nil, errFrame
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	return body, nil
}
