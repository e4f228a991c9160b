package mls

import (
	"encoding/binary"
	"slices"

	"parley/mls/suite"
	"parley/mls/wire"
)

// A grease is a random choice of the values that mean nothing (RFC 9420,
// Section 13.5). They stand where unknown values must be ignored, so that a
// client that does not ignore them fails today, and not on the day somebody
// extends the protocol. Extensions are left out: OpenMLS 0.9 takes a value that
// is among a leaf's capabilities for unknown where it is the leaf's extension,
// and refuses the member.
type grease struct{ random []byte }

// newGrease chooses.
func newGrease() grease { return grease{suite.Random(6)} }

// value is one of 0x0A0A, 0x1A1A, ..., 0xEAEA, of which there are 15.
func (g grease) value() uint16 {
	return 0x0a0a + 0x1010*(binary.BigEndian.Uint16(g.random)%15)
}

// capabilities returns c with a value in each list that may have one. It does
// not change c.
func (g grease) capabilities(c wire.Capabilities) wire.Capabilities {
	c.CipherSuites = greased(g, 2, c.CipherSuites)
	c.Extensions = greased(g, 3, c.Extensions)
	c.Proposals = greased(g, 4, c.Proposals)
	c.Credentials = greased(g, 5, c.Credentials)
	return c
}

// greased returns a copy of a list with the value somewhere, unless it is there.
func greased[T ~uint16](g grease, random int, list []T) []T {
	v := T(g.value())
	if slices.Contains(list, v) {
		return slices.Clone(list)
	}
	return slices.Insert(slices.Clone(list), int(g.random[random])%(len(list)+1), v)
}

// leaf gives a leaf node's capabilities their GREASE values, in place of those they have.
func (g grease) leaf(n *wire.LeafNode) {
	c := &n.Capabilities
	c.CipherSuites, c.Extensions = withoutGrease(c.CipherSuites), withoutGrease(c.Extensions)
	c.Proposals, c.Credentials = withoutGrease(c.Proposals), withoutGrease(c.Credentials)
	n.Capabilities = g.capabilities(*c)
	n.Extensions = slices.DeleteFunc(slices.Clone(n.Extensions), func(e wire.Extension) bool { return isGrease(e.ExtensionType) })
}

// withoutGrease returns a copy of a list of our own without GREASE values. What others
// send is never looked at so: "Clients MUST NOT implement any special processing
// rules for how to handle these values when receiving them".
func withoutGrease[T ~uint16](list []T) []T { return slices.DeleteFunc(slices.Clone(list), isGrease) }

// isGrease reports whether v is reserved for GREASE.
func isGrease[T ~uint16](v T) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff && v < 0xf000 }
