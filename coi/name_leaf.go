package coi

import (
	"crypto"
	"crypto/x509"
)

// CertificateName returns the one URI that a leaf certificate carries as the
// name it is. It verifies nothing: for certificates whose signature was checked
// when they were in force, such as those in an old tree. A refusal is Malformed
// or BadName.
func CertificateName(der []byte) (Name, error) {
	if len(der) > MaxChainBytes {
		return Name{}, refuse(TooLarge, "a certificate of %d bytes: at most %d", len(der), MaxChainBytes)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Name{}, refuse(Malformed, "certificate: %w", err)
	}
	return leafName(cert)
}

// CoIKeyIdentifier returns the subject key identifier that IssueCoI writes for
// a key: by it an envelope's part is found where only the key is at hand.
func CoIKeyIdentifier(key crypto.PublicKey) ([]byte, error) { return keyIdentifier(key) }

// IsBot says whether a device's certificate is one that no person holds. It
// verifies nothing: it is for certificates that have been verified.
func IsBot(leaf *x509.Certificate) bool { return hasPolicy(leaf, OIDBot) }
