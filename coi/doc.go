// Package coi says who a certificate speaks for: the names certificates carry,
// the chains they come in, and what each may be used for.
//
//	site root CA
//	  +-- device CA -- device    mimi://alpha.example/d/alice/laptop   clientAuth
//	  +-- node                   mimi://alpha.example/n/a1             serverAuth, clientAuth
//	  +-- ordering               mimi://alpha.example/o/a1             signs heads of room logs
//	  +-- service                mimi://alpha.example/s/enroll         serverAuth
//	site CoI root CA, another key and another administrator
//	  +-- CoI                    mimi://alpha.example/c/finance        keyAgreement or keyEncipherment
//	device CA, CoI root
//	  +-- responder              no name                               OCSPSigning
//
//	chain --Trust.Verify(purpose, now)--> Subject | Error
//	chain --Trust.VerifyCoI(now)--------> Subject | Error
//	OCSP response --CheckStatus---------> good | revoked | unknown | Error
//	statement --Trust.VerifyCuts--------> bots that a CoI has cut off | Error
//
// A site's name stands inside the certificate, and only the roots configured
// for that very site can vouch for it. The URI is matched byte for byte.
//
// It knows X.509 (RFC 5280), certification requests (RFC 2986), status of
// certificates (RFC 6960, RFC 9654) and the signature a device logs in with. It must not know where certificates are
// kept, what time it is, or what a room is.
package coi
