package wire

import "fmt"

// An Extension is a typed, opaque addition (RFC 9420, Section 7.2). Values of
// unknown type are kept.
//
//	struct {
//	    ExtensionType extension_type;
//	    opaque extension_data<V>;
//	} Extension;
type Extension struct {
	ExtensionType ExtensionType
	ExtensionData []byte
}

// Encode writes e.
func (e Extension) Encode(w *Writer) {
	w.Uint16(uint16(e.ExtensionType))
	w.Opaque(e.ExtensionData)
}

// Decode reads e.
func (e *Extension) Decode(r *Reader) {
	e.ExtensionType = ExtensionType(r.Uint16())
	e.ExtensionData = r.Opaque()
}

// Extensions is a list of at most one extension of each type (RFC 9420,
// Section 13.4).
//
//	Extension extensions<V>;
type Extensions []Extension

// Encode writes the list.
func (l Extensions) Encode(w *Writer) { encodeList(w, l) }

// Decode reads the list; two extensions of one type are refused.
func (l *Extensions) Decode(r *Reader) {
	*l = decodeList[Extension](r)
	if t, twice := l.repeated(); twice {
		unknown(r, ErrDuplicateExtension, t)
	}
}

// repeated returns a type that occurs more than once.
func (l Extensions) repeated() (ExtensionType, bool) {
	const few = 16 // a list this short is searched faster than a set is made
	if len(l) <= few {
		for i, e := range l {
			if _, found := l[:i].Find(e.ExtensionType); found {
				return e.ExtensionType, true
			}
		}
		return 0, false
	}
	seen := make(map[ExtensionType]struct{})
	for _, e := range l {
		if _, found := seen[e.ExtensionType]; found {
			return e.ExtensionType, true
		}
		seen[e.ExtensionType] = struct{}{}
	}
	return 0, false
}

// Find returns the data of the extension of type t.
func (l Extensions) Find(t ExtensionType) ([]byte, bool) {
	for _, e := range l {
		if e.ExtensionType == t {
			return e.ExtensionData, true
		}
	}
	return nil, false
}

// FindExtension decodes the data of the extension of type t, if it is there:
//
//	rc, found, err := wire.FindExtension[wire.RequiredCapabilities](l, wire.ExtensionTypeRequiredCapabilities)
func FindExtension[T any, P decoderOf[T]](l Extensions, t ExtensionType) (v T, found bool, err error) {
	data, found := l.Find(t)
	if !found {
		return v, false, nil
	}
	if v, err = Unmarshal[T, P](data); err != nil {
		return v, true, fmt.Errorf("extension %v: %w", t, err)
	}
	return v, true, nil
}

// RequiredCapabilities lists what every member must support (RFC 9420,
// Section 11.1).
//
//	struct {
//	    ExtensionType extension_types<V>;
//	    ProposalType proposal_types<V>;
//	    CredentialType credential_types<V>;
//	} RequiredCapabilities;
type RequiredCapabilities struct {
	ExtensionTypes  []ExtensionType
	ProposalTypes   []ProposalType
	CredentialTypes []CredentialType
}

// Encode writes c.
func (c RequiredCapabilities) Encode(w *Writer) {
	encodeUint16s(w, c.ExtensionTypes)
	encodeUint16s(w, c.ProposalTypes)
	encodeUint16s(w, c.CredentialTypes)
}

// Decode reads c.
func (c *RequiredCapabilities) Decode(r *Reader) {
	c.ExtensionTypes = decodeUint16s[ExtensionType](r)
	c.ProposalTypes = decodeUint16s[ProposalType](r)
	c.CredentialTypes = decodeUint16s[CredentialType](r)
}

// An ExternalSender may propose from outside the group (RFC 9420,
// Section 12.1.8.1).
//
//	struct {
//	  SignaturePublicKey signature_key;
//	  Credential credential;
//	} ExternalSender;
type ExternalSender struct {
	SignatureKey []byte
	Credential   Credential
}

// Encode writes s.
func (s ExternalSender) Encode(w *Writer) {
	w.Opaque(s.SignatureKey)
	s.Credential.Encode(w)
}

// Decode reads s.
func (s *ExternalSender) Decode(r *Reader) {
	s.SignatureKey = r.Opaque()
	s.Credential.Decode(r)
}

// ExternalSenders is the extension external_senders (RFC 9420,
// Section 12.1.8.1).
//
//	ExternalSender external_senders<V>;
type ExternalSenders []ExternalSender

// Encode writes the list.
func (l ExternalSenders) Encode(w *Writer) { encodeList(w, l) }

// Decode reads the list.
func (l *ExternalSenders) Decode(r *Reader) { *l = decodeList[ExternalSender](r) }

// ExternalPub is the extension external_pub (RFC 9420, Section 12.4.3.2).
//
//	struct {
//	    HPKEPublicKey external_pub;
//	} ExternalPub;
type ExternalPub struct {
	ExternalPub []byte
}

// Encode writes p.
func (p ExternalPub) Encode(w *Writer) { w.Opaque(p.ExternalPub) }

// Decode reads p.
func (p *ExternalPub) Decode(r *Reader) { p.ExternalPub = r.Opaque() }
