package mls

import (
	"bytes"
	"fmt"

	"parley/mls/suite"
)

// A Record is one row of a Group's stored form. A nil Value deletes the row.
type Record struct {
	Key   string
	Value []byte
}

// recordVersion begins every record.
const recordVersion = 1

// privateKeyOf reads the private key that belongs to public. Private keys are
// not compared: an X25519 key has many encodings.
func privateKeyOf(s *suite.Suite, private, public []byte) (*suite.HPKEPrivateKey, error) {
	key, err := s.NewHPKEPrivateKey(private)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(key.PublicKey(), public) {
		return nil, fmt.Errorf("private and public key do not belong together: %w", ErrRecord)
	}
	return key, nil
}
