// Package suite holds the cipher suites of RFC 9420 and the labelled
// operations of its Section 5.
//
//	           label, context
//	                 |
//	secret --ExpandWithLabel--> secret, key, nonce
//	key ----Sign / Verify-----> signature
//	key ---Encrypt / Decrypt--> KEM output, ciphertext
//
// It knows algorithms, key formats and lengths. It must not know messages,
// trees or groups: what it signs, hashes and encrypts is bytes.
package suite
