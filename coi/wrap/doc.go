// Package wrap makes and opens the envelope in which a room key travels to the
// certificates of its CoIs: CMS AuthEnvelopedData (RFC 5083, RFC 5084), in DER.
//
//	content    secret, room, epoch, key id, recipients, place
//	   |
//	   v
//	Any    AES-256-GCM(content key) ------- one message for all certificates
//	            |
//	       content key, once per certificate:
//	            RSA  OAEP, SHA-256 throughout (RFC 4055)
//	            EC   ephemeral ECDH, X9.63 SHA-256, AES-256 key wrap (RFC 5753)
//
//	All    secret = share 1 XOR .. XOR share n; one message per certificate
//	PostQuantum    as the mode says, and each content is first sealed by HPKE to
//	               the certificate's X-Wing key; one message per certificate
//
// What an envelope is for is encrypted and authenticated with the secret, and
// an envelope opens for nothing else. A single message is a plain CMS file, and
// so is each one that Parts returns: break-glass needs the CoI's key and
//
//	openssl cms -decrypt -binary -inform DER -in part -recip coi.pem -inkey coi.key -out content
//	openssl asn1parse -inform DER -in content
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
