// Package suite holds the cipher suites of RFC 9420, post-quantum ones of a
// draft, and the labelled operations of Section 5.
//
//	           label, context
//	                 |
//	secret --ExpandWithLabel--> secret, key, nonce
//	key ----Sign / Verify-----> signature
//	key ---Encrypt / Decrypt--> KEM output, ciphertext
//	keys -------Sealer--------> the same for many, the context hashed once
//
// It knows algorithms, key formats and lengths. It must not know messages,
// trees or groups: what it signs, hashes and encrypts is bytes.
package suite
