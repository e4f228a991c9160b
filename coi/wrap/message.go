package wrap

import "crypto"

const (
	nonceSize = 12 // of AES-GCM (RFC 5084, Section 3.2)
	macSize   = 16
	maxKeyID  = 64 // of a subjectKeyIdentifier, in bytes
	ukmSize   = 16 // of the random user keying material, in bytes
)

// A message is one CMS AuthEnvelopedData of the profile (RFC 5083, Section 2.1):
//
//	AuthEnvelopedData ::= SEQUENCE {
//	  version CMSVersion,                    -- 0
//	  recipientInfos RecipientInfos,         -- a SET
//	  authEncryptedContentInfo EncryptedContentInfo,
//	  mac OCTET STRING }
//
// It has no authAttrs: the OpenSSL releases that are installed today read them
// under a wrong tag and leave them out of the authentication. What they would
// say stands in the content (see content).
type message struct {
	recipients []recipient
	nonce      []byte
	ciphertext []byte
	mac        []byte
}

// A recipient is one RecipientInfo: the content key for one certificate.
type recipient struct {
	keyID []byte // subjectKeyIdentifier of the certificate
	key   []byte // the content key, encrypted
	agree *agreement
}

// An agreement is what a recipient with an EC key has besides (RFC 5753,
// Section 3.1.1).
type agreement struct {
	hash  crypto.Hash // of the key derivation, SHA-256 or SHA-384
	point []byte      // the ephemeral public key, uncompressed
	ukm   []byte      // user keying material; empty where there is none
}

// find returns the recipient of a key identifier, nil if there is not exactly
// one.
func (m *message) find(keyID []byte) *recipient {
	var found *recipient
	for i := range m.recipients {
		if string(m.recipients[i].keyID) == string(keyID) {
			if found != nil {
				return nil
			}
			found = &m.recipients[i]
		}
	}
	return found
}
