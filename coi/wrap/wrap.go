package wrap

import (
	"crypto/hpke"
	"crypto/x509"
	"errors"
	"io"

	"parley/coi"
)

const (
	// MaxEnvelope is the largest envelope, in bytes; a larger one is neither
	// made nor read.
	MaxEnvelope = 64 << 10
	// MaxRecipients is the most certificates an envelope is made for.
	MaxRecipients = 32
	// MaxSecret is the largest secret, in bytes.
	MaxSecret = 16 << 10
	// MaxRoom is the longest name of a room, in bytes.
	MaxRoom = 1024
	// MinRSABits is the smallest RSA modulus that is sealed to, in bits.
	MinRSABits = coi.MinRSA
	// MaxRSABits is the largest, in bits.
	MaxRSABits = coi.MaxRSA
)

var (
	// ErrOpen is the one answer to an envelope that does not open, whether it is
	// misshapen, for others, changed, or bound to something else.
	ErrOpen = errors.New("the envelope does not open with this key for this room key")
	// ErrRecipient is a certificate that nothing can be wrapped to.
	ErrRecipient = errors.New("nothing can be wrapped to this certificate")
	// ErrSize is what is over a limit, or empty.
	ErrSize = errors.New("outside the limits of an envelope")
)

// A Mode says who of the recipients can open an envelope.
type Mode uint8

// The modes.
const (
	Any Mode = iota + 1 // each by itself
	All                 // all together; one that is missing leaves nothing
)

// A Recipient is a CoI and the certificate its part is sealed to: RSA of 3072
// to 8192 bits, or EC P-256 or P-384, with a subjectKeyIdentifier. It also
// carries the X-Wing key of a post-quantum envelope (coi.PostQuantumKey).
type Recipient struct {
	Name        string // for error texts; the certificate counts
	Certificate *x509.Certificate
}

// A Binding is what an envelope is for. It is authenticated with the secret: an
// envelope opens for nothing else.
type Binding struct {
	Room       string   // 1 to MaxRoom bytes
	Epoch      uint64   // of the room key
	KeyID      [32]byte // its commitment
	Recipients [32]byte // hash of the list of recipients
}

// SealOptions are what Seal takes besides: how an envelope is made. Mode has no
// default.
type SealOptions struct {
	Mode        Mode
	PostQuantum bool      // also seal to the X-Wing keys in the certificates
	Rand        io.Reader // nil: crypto/rand
}

// A Key opens what was sealed to a certificate.
type Key struct {
	// Certificate is the one the envelope was sealed to, or another over the same
	// public key: its subjectKeyIdentifier finds the part.
	Certificate *x509.Certificate
	// Private is an ecdh.KeyExchanger or a crypto.Decrypter, both of which may
	// stand for a key in a token; an *ecdsa.PrivateKey is taken too.
	Private any
	// PQ is the X-Wing key (hpke.NewHybridPrivateKey makes one of opaque parts);
	// nil can not open a post-quantum envelope.
	PQ hpke.PrivateKey
}
