// Command parley-hsm lets an unwrap service use the CoI keys in a PKCS #11 token,
// which never leave it.
//
//	parley-pki unwrap --unix socket, same user--> parley-hsm --libX.so--> token
//	                                                 PIN from a file
//
// It is a program of its own because PKCS #11 is a C library: the rest stays
// free of cgo, and a fault in a vendor's library ends this process alone. Build
// it with CGO_ENABLED=1; without, it only says so.
//
// It knows the token's PIN and the keys that carry a label. It must not know
// envelopes, rooms, or who may open what: the unwrap service decides that, and
// logs it, before it asks here. The secret of an EC agreement leaves the token
// (CKD_NULL), since tokens do not agree on key derivations; who reads this
// process's memory learns the secrets of single envelopes, never a key.
package main
