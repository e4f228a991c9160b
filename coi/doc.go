// Package coi says who a certificate speaks for: the names certificates carry,
// the chains they come in, and what each may be used for.
//
//	site root CA
//	  +-- device CA -- device    mimi://alpha.example/d/alice/laptop   clientAuth
//	  +-- node                   mimi://alpha.example/n/a1             serverAuth, clientAuth
//	  +-- ordering               mimi://alpha.example/o/a1             signs heads of room logs
//	  +-- service                mimi://alpha.example/s/enroll         serverAuth
//
//	chain --Trust.Verify(purpose, now)--> Subject | Error
//
// A site's name stands inside the certificate, and only the roots configured
// for that very site can vouch for it. The URI is matched byte for byte.
//
// It knows X.509 (RFC 5280), certification requests (RFC 2986) and the
// signature a device logs in with. It must not know where certificates are
// kept, what time it is, or what a room is.
package coi
