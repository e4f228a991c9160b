package service

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
)

// codeBytes makes a code 80 random bits: not to be guessed, even by who has
// its hash, and short enough to be read out over a telephone.
const codeBytes = 10

// codeDigits is how many digits of base 32 a code has: 5 bits each.
const codeDigits = codeBytes * 8 / 5

// maxCodeText bounds what is looked at as a code, separators included.
const maxCodeText = 64

// crockford is base 32 without the letters that look like digits
// (Crockford, "Base 32").
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// A Code is a one-time secret that lets its bearer enrol one device.
type Code [codeBytes]byte

// NewCode makes a code at random.
func NewCode() Code {
	var c Code
	rand.Read(c[:])
	return c
}

// ParseCode reads a code as people type it: either case, with or without
// hyphens and spaces, O for 0, I and L for 1. The error says what is wrong.
func ParseCode(s string) (Code, error) {
	var c Code
	if len(s) > maxCodeText {
		return c, fmt.Errorf("a code is 16 letters and digits, this is far longer")
	}
	var digits []byte
	for _, r := range strings.ToUpper(s) {
		switch {
		case r == '-' || r == ' ':
			continue
		case r == 'O':
			r = '0'
		case r == 'I' || r == 'L':
			r = '1'
		}
		if r > 'Z' || !strings.ContainsRune(crockford, r) {
			return c, fmt.Errorf("%q does not occur in codes: they look like 7QK3-0FXA-9M2T-C8WD", r)
		}
		digits = append(digits, byte(r))
	}
	raw, err := encoding().DecodeString(string(digits))
	if err != nil || len(digits) != codeDigits {
		return c, fmt.Errorf("a code is 16 letters and digits, this has %d", len(digits))
	}
	return Code(raw), nil
}

// String writes the code in four groups: 7QK3-0FXA-9M2T-C8WD.
func (c Code) String() string {
	s := encoding().EncodeToString(c[:])
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

// ID names the code without giving it away: SHA-256 in hex.
func (c Code) ID() string {
	h := sha256.Sum256(c[:])
	return hex.EncodeToString(h[:])
}

func encoding() *base32.Encoding {
	return base32.NewEncoding(crockford).WithPadding(base32.NoPadding)
}
