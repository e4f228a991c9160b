package mls

import (
	"slices"
	"testing"

	"parley/mls/wire"
)

// reserved are the values of RFC 9420, Section 13.5.
var reserved = []uint16{
	0x0a0a, 0x1a1a, 0x2a2a, 0x3a3a, 0x4a4a, 0x5a5a, 0x6a6a, 0x7a7a, 0x8a8a, 0x9a9a, 0xaaaa, 0xbaba, 0xcaca, 0xdada, 0xeaea,
}

// count counts the reserved values of a list.
func count[T ~uint16](list []T) (n int) {
	for _, v := range list {
		if slices.Contains(reserved, uint16(v)) {
			n++
		}
	}
	return n
}

func types(list wire.Extensions) (all []wire.ExtensionType) {
	for _, e := range list {
		all = append(all, e.ExtensionType)
	}
	return all
}

// checkGrease: exactly one value in each list of a leaf's capabilities that may
// have one, and none elsewhere.
func checkGrease(t *testing.T, what string, leaf *wire.LeafNode) {
	t.Helper()
	c := &leaf.Capabilities
	n := []int{count(c.CipherSuites), count(c.Extensions), count(c.Proposals), count(c.Credentials), count(types(leaf.Extensions))}
	if !slices.Equal(n, []int{1, 1, 1, 1, 0}) || count(c.Versions) != 0 {
		t.Errorf("%s: %v values", what, n)
	}
}

// "an MLS client SHOULD include a random selection of values chosen from these
// GREASE values" in the capabilities of leaf nodes, and MUST NOT send them where
// they mean something. Extensions stay without: another library refuses those.
func TestGreaseIsSent(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 3)
	met := map[wire.ExtensionType]bool{}
	for range 400 {
		k := list[0].keyPackage(t).Public
		checkGrease(t, "key package", &k.LeafNode)
		if n := count(types(k.Extensions)); n != 0 {
			t.Fatalf("%d extensions in a key package", n)
		}
		for _, v := range k.LeafNode.Capabilities.Extensions {
			if isGrease(v) {
				met[v] = true
			}
		}
	}
	if len(met) != len(reserved) {
		t.Errorf("%d of %d values in 400 key packages", len(met), len(reserved))
	}
	for i := range wire.LeafIndex(3) {
		leaf, _ := list[0].group.Tree().Leaf(i)
		checkGrease(t, "leaf", &leaf)
	}
	m, err := wire.Unmarshal[wire.MLSMessage](list[0].info(t))
	must(t, err)
	if n := count(types(m.GroupInfo.Extensions)); n != 0 || count(types(m.GroupInfo.GroupContext.Extensions)) != 0 {
		t.Errorf("%d extensions in a GroupInfo", n)
	}
	if count(DefaultCapabilities().Extensions) != 0 {
		t.Error("our own view of our capabilities has a value")
	}
}

// A leaf whose capabilities or extensions are replaced has new values, and only
// those: an application that gave its capabilities did not know the type of the
// extension that the leaf already had.
func TestGreaseIsRenewed(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 2)
	c := DefaultCapabilities(0xf0f0)
	for range 20 {
		everybody(t, list, 0, CommitOptions{Leaf: LeafOptions{Capabilities: &c}})
		leaf, _ := list[1].group.Tree().Leaf(0)
		checkGrease(t, "new capabilities", &leaf)
		everybody(t, list, 0, CommitOptions{Leaf: LeafOptions{Extensions: &wire.Extensions{{ExtensionType: 0xf0f0}}}})
		leaf, _ = list[1].group.Tree().Leaf(0)
		checkGrease(t, "new extensions", &leaf)
	}
	eve := newPerson(t, s, "eve")
	unlock(list, Policy{})
	o := eve.external(list[0].info(t))
	p, err := JoinExternal(o)
	must(t, err)
	r := handle(t, list[1].group, p.Commit)
	checkGrease(t, "external commit", &r.Change.Joined.LeafNode)
}

// GREASE of others is handled "using normal logic for processing unsupported
// values": ignored where unknown values are, refused where they are not.
func TestGreaseOfOthersIsIgnored(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 2)
	eve := newPerson(t, s, "eve")
	all := DefaultCapabilities()
	var extensions wire.Extensions
	for _, v := range reserved {
		all.CipherSuites = append(all.CipherSuites, wire.CipherSuite(v))
		all.Extensions = append(all.Extensions, wire.ExtensionType(v))
		all.Proposals = append(all.Proposals, wire.ProposalType(v))
		all.Credentials = append(all.Credentials, wire.CredentialType(v))
		extensions = append(extensions, wire.Extension{ExtensionType: wire.ExtensionType(v), ExtensionData: []byte{1}})
	}
	kp, err := NewKeyPackage(s, eve.identity(), KeyPackageOptions{Now: start, Capabilities: all, Extensions: extensions, LeafExtensions: extensions[:3]})
	must(t, err)
	p := everybody(t, list, 0, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
	eve.join(t, kp, p.Welcome, p.Next.Tree())
	agree(t, append(list, eve))
}
