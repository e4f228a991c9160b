package wrap

import (
	"bytes"
	"encoding/asn1"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"parley/coi"
)

// A content is what is encrypted in an envelope: a secret, or a share of one,
// with what it is for. Both are authenticated together.
//
//	Content ::= SEQUENCE {
//	  secret     OCTET STRING,
//	  attributes SET OF Attribute }    -- RFC 5652, Section 5.3; one value each
type content struct {
	secret  []byte
	binding Binding
	place   place
}

// A place says how an envelope is made and where in it a message stands, so that
// a share never passes for a secret.
type place struct {
	mode        Mode
	postQuantum bool
	number, of  int // which message, from 0; for how many certificates in all
}

// write encodes a content in DER.
func (c *content) write() []byte {
	list := [][]byte{
		attribute(coi.OIDRoom, func(v *cryptobyte.Builder) {
			v.AddASN1(cbasn1.UTF8String, func(v *cryptobyte.Builder) { v.AddBytes([]byte(c.binding.Room)) })
		}),
		attribute(coi.OIDEpoch, func(v *cryptobyte.Builder) { v.AddASN1Uint64(c.binding.Epoch) }),
		attribute(coi.OIDKeyID, func(v *cryptobyte.Builder) { v.AddASN1OctetString(c.binding.KeyID[:]) }),
		attribute(coi.OIDRecipients, func(v *cryptobyte.Builder) { v.AddASN1OctetString(c.binding.Recipients[:]) }),
		attribute(coi.OIDPart, func(v *cryptobyte.Builder) { v.AddASN1OctetString(c.place.write()) }),
	}
	slices.SortFunc(list, bytes.Compare) // X.690, Section 11.6
	return sequence(func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(c.secret)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			for _, a := range list {
				b.AddBytes(a)
			}
		})
	})
}

func attribute(id asn1.ObjectIdentifier, value func(*cryptobyte.Builder)) []byte {
	return sequence(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(cbasn1.SET, value)
	})
}

// write encodes a place in four bytes: mode, 1 for post-quantum, number, of.
func (p place) write() []byte {
	pq := byte(0)
	if p.postQuantum {
		pq = 1
	}
	return []byte{byte(p.mode), pq, byte(p.number), byte(p.of)}
}

// readContent decodes what write encodes, and nothing else: an attribute that
// is missing, unknown, there twice or out of order is found by writing again.
func readContent(der []byte) (*content, bool) {
	c := &content{}
	in := cryptobyte.String(der)
	var body, secret, list cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !in.Empty() || !body.ReadASN1(&secret, cbasn1.OCTET_STRING) ||
		!body.ReadASN1(&list, cbasn1.SET) || !body.Empty() {
		return nil, false
	}
	c.secret = secret
	for !list.Empty() {
		var one, value cryptobyte.String
		var id asn1.ObjectIdentifier
		if !list.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&id) ||
			!one.ReadASN1(&value, cbasn1.SET) || !one.Empty() || !c.readAttribute(id, value) {
			return nil, false
		}
	}
	return c, c.binding.check() == nil && bytes.Equal(c.write(), der)
}

// readAttribute takes in one attribute.
func (c *content) readAttribute(id asn1.ObjectIdentifier, value cryptobyte.String) bool {
	var bytes cryptobyte.String
	switch {
	case id.Equal(coi.OIDRoom):
		ok := value.ReadASN1(&bytes, cbasn1.UTF8String)
		c.binding.Room = string(bytes)
		return ok
	case id.Equal(coi.OIDEpoch):
		return value.ReadASN1Integer(&c.binding.Epoch)
	case id.Equal(coi.OIDKeyID):
		return value.ReadASN1(&bytes, cbasn1.OCTET_STRING) && copy(c.binding.KeyID[:], bytes) == len(bytes)
	case id.Equal(coi.OIDRecipients):
		return value.ReadASN1(&bytes, cbasn1.OCTET_STRING) && copy(c.binding.Recipients[:], bytes) == len(bytes)
	case id.Equal(coi.OIDPart):
		return value.ReadASN1(&bytes, cbasn1.OCTET_STRING) && c.place.read(bytes)
	}
	return false
}

// read decodes a place.
func (p *place) read(b []byte) bool {
	if len(b) != 4 {
		return false
	}
	*p = place{mode: Mode(b[0]), postQuantum: b[1] == 1, number: int(b[2]), of: int(b[3])}
	return true
}
