// Package wire holds the structures of RFC 9420 byte for byte, and the only
// parser of them.
//
//	bytes --Reader--> struct --Writer--> the same bytes
//
// It knows the TLS presentation language and the names of the RFC. It must not
// know keys: nothing here signs, verifies, hashes or decrypts.
package wire
