package mls

import "parley/mls/suite"

// senderDataKey derives the key and nonce of a PrivateMessage's sender data
// from a sample of its ciphertext (RFC 9420, Section 6.3.2).
func senderDataKey(s *suite.Suite, secret, ciphertext []byte) (key, nonce []byte) {
	sample := ciphertext[:min(len(ciphertext), s.HashSize())]
	return s.ExpandWithLabel(secret, "key", sample, s.KeySize()),
		s.ExpandWithLabel(secret, "nonce", sample, s.NonceSize())
}
