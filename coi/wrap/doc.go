// Package wrap makes and opens the envelope in which a room key travels to the
// certificates of its CoIs: CMS AuthEnvelopedData (RFC 5083, RFC 5084), in DER.
//
//	Any    secret ------> AES-256-GCM(content key) ---- one message
//	                            |          \
//	                    authAttrs = AAD    content key, once per certificate:
//	                    room, epoch,         RSA  OAEP, SHA-256 throughout
//	                    key id,              EC   ephemeral ECDH, X9.63 SHA-256,
//	                    recipients, part          AES-256 key wrap (RFC 3394)
//
//	All    secret = share 1 XOR .. XOR share n; one message per certificate
//	PostQuantum    as the mode says, and what is inside each message is an HPKE
//	               seal to the certificate's X-Wing key, so one message each
//
// Several messages stand in a DER SEQUENCE, in the order of the certificates. A
// single message is a plain CMS file: `openssl cms -decrypt -inform DER` opens
// it, and each one that Parts returns.
//
// There is one profile and no negotiation. What is read is written again and
// must give the same bytes, so nothing but this profile, in DER, is ever read:
// no indefinite length, no EnvelopedData, no CBC, no PKCS #1 v1.5, no SHA-1, no
// issuer and serial number, no bytes behind the end.
//
// It knows certificates' keys and what an envelope is bound to. It must not
// know whether a certificate is trusted or revoked, what a room key is, or
// where private keys are kept: those it is given may live in a token.
package wrap
