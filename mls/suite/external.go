package suite

import (
	"crypto/hpke"
	"fmt"
)

// externalInitLabel is the exporter_context of an external init.
const externalInitLabel = "MLS 1.0 external init secret"

// SendExternalInit makes an init secret for the holder of the group key public,
// and the KEM output from which ReceiveExternalInit makes it again (RFC 9420,
// Section 8.3). It fails with ErrBadKey if public is no key, or one no secret
// can be agreed with.
func (s *Suite) SendExternalInit(public []byte) (kemOutput, secret []byte, err error) {
	key, err := s.kem.NewPublicKey(public)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	kemOutput, sender, err := hpke.NewSender(key, s.kemKDF, s.kemAEAD, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	if secret, err = sender.Export(externalInitLabel, s.HashSize()); err != nil {
		return nil, nil, fmt.Errorf("export init secret: %w", err)
	}
	return kemOutput, secret, nil
}

// ReceiveExternalInit makes the init secret of an ExternalInit, or returns
// ErrDecrypt (RFC 9420, Section 8.3).
func (s *Suite) ReceiveExternalInit(key *HPKEPrivateKey, kemOutput []byte) ([]byte, error) {
	recipient, err := hpke.NewRecipient(kemOutput, key.key, s.kemKDF, s.kemAEAD, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	secret, err := recipient.Export(externalInitLabel, s.HashSize())
	if err != nil {
		return nil, ErrDecrypt
	}
	return secret, nil
}
