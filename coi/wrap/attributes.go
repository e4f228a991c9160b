package wrap

import (
	"bytes"
	"encoding/asn1"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"parley/coi"
)

// A place says which of an envelope's messages one is. It is authenticated with
// the binding, so that a share never passes for a secret.
type place struct {
	mode        Mode
	postQuantum bool
	number, of  int // the first is 0
}

// attributes writes the authenticated attributes (RFC 5083, Section 2.2): a SET
// OF Attribute { type, values SET OF }, each with one value, in the order of DER.
func attributes(b Binding, p place) []byte {
	list := [][]byte{
		attribute(oidContentType, func(v *cryptobyte.Builder) { v.AddASN1ObjectIdentifier(oidData) }),
		attribute(coi.OIDRoom, func(v *cryptobyte.Builder) {
			v.AddASN1(cbasn1.UTF8String, func(v *cryptobyte.Builder) { v.AddBytes([]byte(b.Room)) })
		}),
		attribute(coi.OIDEpoch, func(v *cryptobyte.Builder) { v.AddASN1Uint64(b.Epoch) }),
		attribute(coi.OIDKeyID, func(v *cryptobyte.Builder) { v.AddASN1OctetString(b.KeyID[:]) }),
		attribute(coi.OIDRecipients, func(v *cryptobyte.Builder) { v.AddASN1OctetString(b.Recipients[:]) }),
		attribute(coi.OIDPart, func(v *cryptobyte.Builder) { v.AddASN1OctetString(p.write()) }),
	}
	slices.SortFunc(list, bytes.Compare)
	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SET, func(out *cryptobyte.Builder) {
		for _, a := range list {
			out.AddBytes(a)
		}
	})
	return out.BytesOrPanic()
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

// readPlace decodes a place.
func readPlace(b []byte) (p place, ok bool) {
	if len(b) != 4 {
		return p, false
	}
	p = place{mode: Mode(b[0]), postQuantum: b[1] == 1, number: int(b[2]), of: int(b[3])}
	return p, (p.mode == Any || p.mode == All) && b[1] <= 1 && p.number < p.of && p.of <= MaxRecipients
}

// readAttributes decodes what attributes writes, and nothing else.
func readAttributes(der []byte) (b Binding, p place, ok bool) {
	in := cryptobyte.String(der)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SET) || !in.Empty() {
		return b, p, false
	}
	for !list.Empty() {
		var one, value cryptobyte.String
		var id asn1.ObjectIdentifier
		if !list.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&id) ||
			!one.ReadASN1(&value, cbasn1.SET) || !one.Empty() || !readAttribute(id, value, &b, &p) {
			return b, p, false
		}
	}
	ok = b.check() == nil && p.of > 0 && bytes.Equal(attributes(b, p), der)
	return b, p, ok
}

// readAttribute takes one attribute's value into the binding or the place. One
// that is missing or there twice is found by writing all again.
func readAttribute(id asn1.ObjectIdentifier, value cryptobyte.String, b *Binding, p *place) bool {
	var text cryptobyte.String
	switch {
	case id.Equal(oidContentType):
		return readOID(&value, oidData) && value.Empty()
	case id.Equal(coi.OIDRoom):
		ok := value.ReadASN1(&text, cbasn1.UTF8String) && value.Empty()
		b.Room = string(text)
		return ok
	case id.Equal(coi.OIDEpoch):
		return value.ReadASN1Integer(&b.Epoch) && value.Empty()
	case id.Equal(coi.OIDKeyID):
		return readHash(value, &b.KeyID)
	case id.Equal(coi.OIDRecipients):
		return readHash(value, &b.Recipients)
	case id.Equal(coi.OIDPart):
		var ok bool
		if !value.ReadASN1(&text, cbasn1.OCTET_STRING) || !value.Empty() {
			return false
		}
		*p, ok = readPlace(text)
		return ok
	}
	return false
}

func readHash(in cryptobyte.String, out *[32]byte) bool {
	var hash cryptobyte.String
	return in.ReadASN1(&hash, cbasn1.OCTET_STRING) && in.Empty() && copy(out[:], hash) == len(hash) && len(hash) == len(out)
}
