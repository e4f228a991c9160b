package tree

import (
	"slices"

	"parley/mls/wire"
)

// A census counts how many members support what, so that a rule about all
// members is a comparison of two numbers and not a walk over the tree
// (RFC 9420, Sections 7.3, 11.1 and 13.4). It is a value.
type census struct{ counts trie } // trait -> how many

// A trait is something that members support or use.
type trait uint32

// The kinds of traits; a trait is a kind and a code point of it.
const (
	supportsExtension trait = iota << 16
	supportsProposal
	supportsCredential
	usesCredential
)

// key is where a trait stands in the trie. Multiplying by an odd number keeps
// traits apart and spreads them over the first bits.
func (t trait) key() uint32 { return uint32(t) * 0x9e3779b1 }

// count returns how many members have trait t.
func (c census) count(t trait) (n int) {
	c.counts.each(t.key(), func(count uint32) bool { n = int(count); return false })
	return n
}

// add counts a member in (by is 1) or out (by is -1).
func (c census) add(owner *token, leaf *wire.LeafNode, by int) census {
	count := func(t trait) {
		n := c.count(t)
		c.counts = c.counts.remove(owner, t.key(), uint32(n))
		if n += by; n > 0 {
			c.counts = c.counts.put(owner, t.key(), uint32(n))
		}
	}
	caps := &leaf.Capabilities
	each(caps.Extensions, supportsExtension, count)
	each(caps.Proposals, supportsProposal, count)
	each(caps.Credentials, supportsCredential, count)
	count(usesCredential | trait(leaf.Credential.CredentialType))
	return c
}

// sameTraits reports whether two leaf nodes count alike.
func sameTraits(a, b *wire.LeafNode) bool {
	return a.Credential.CredentialType == b.Credential.CredentialType &&
		slices.Equal(a.Capabilities.Extensions, b.Capabilities.Extensions) &&
		slices.Equal(a.Capabilities.Proposals, b.Capabilities.Proposals) &&
		slices.Equal(a.Capabilities.Credentials, b.Capabilities.Credentials)
}

// each calls count once for every value in a list, however often it is there.
func each[T ~uint16](list []T, kind trait, count func(trait)) {
	const few = 16 // a list this short is searched faster than sorted
	if len(list) > few {
		list = slices.Clone(list)
		slices.Sort(list)
		list = slices.Compact(list)
	}
	for i, v := range list {
		if len(list) <= few && slices.Contains(list[:i], v) {
			continue
		}
		count(kind | trait(v))
	}
}
