package wire

// A Certificate is one DER-encoded X.509 certificate (RFC 9420, Section 5.3).
//
//	struct {
//	    opaque cert_data<V>;
//	} Certificate;
type Certificate struct {
	CertData []byte
}

// Encode writes c.
func (c Certificate) Encode(w *Writer) { w.Opaque(c.CertData) }

// Decode reads c.
func (c *Certificate) Decode(r *Reader) { c.CertData = r.Opaque() }

// A Credential says who holds a signature key (RFC 9420, Section 5.3). The
// first of the Certificates is the end entity's.
//
//	struct {
//	    CredentialType credential_type;
//	    select (Credential.credential_type) {
//	        case basic:
//	            opaque identity<V>;
//
//	        case x509:
//	            Certificate certificates<V>;
//	    };
//	} Credential;
type Credential struct {
	CredentialType CredentialType
	Identity       []byte        // basic
	Certificates   []Certificate // x509
}

// BasicCredential returns the bare assertion of an identity.
func BasicCredential(identity []byte) Credential {
	return Credential{CredentialType: CredentialTypeBasic, Identity: identity}
}

// X509Credential returns the credential of a DER chain, end entity first.
func X509Credential(chain ...[]byte) Credential {
	c := Credential{CredentialType: CredentialTypeX509}
	for _, der := range chain {
		c.Certificates = append(c.Certificates, Certificate{CertData: der})
	}
	return c
}

// Encode writes c.
func (c Credential) Encode(w *Writer) {
	w.Uint16(uint16(c.CredentialType))
	switch c.CredentialType {
	case CredentialTypeBasic:
		w.Opaque(c.Identity)
	case CredentialTypeX509:
		encodeList(w, c.Certificates)
	default:
		panic("BUG: encode credential of unknown type")
	}
}

// Decode reads c.
func (c *Credential) Decode(r *Reader) {
	c.CredentialType = CredentialType(r.Uint16())
	switch c.CredentialType {
	case CredentialTypeBasic:
		c.Identity = r.Opaque()
	case CredentialTypeX509:
		c.Certificates = decodeList[Certificate](r)
	default:
		unknown(r, ErrUnknownCredentialType, c.CredentialType)
	}
}
