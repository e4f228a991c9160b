package mls

import (
	"slices"
	"testing"

	"parley/mls/suite"
	"parley/mls/wire"
)

// A leaf lists the suites of RFC 9420, and of a draft's only the one it is made
// for: in a large tree their bytes count.
func TestCapabilitiesListDraftSuitesWhereUsed(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		leaf := newPerson(t, s, "x").keyPackage(t).Public.LeafNode
		for _, id := range suite.IDs() {
			want := !id.IsDraft() || id == s.ID()
			if got := slices.Contains(leaf.Capabilities.CipherSuites, wire.CipherSuite(id)); got != want {
				t.Errorf("suite %#x listed: %v", uint16(id), got)
			}
		}
	})
}

// A member whose HPKE keys are of kilobytes is stored and loaded, removed and
// replaced as any other.
func TestDraftSuitesThroughALife(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		if !s.ID().IsDraft() {
			return
		}
		list := people(t, s, 4)
		everybody(t, list, 3, CommitOptions{})
		p := commit(t, list[0].group, CommitOptions{Removes: []wire.LeafIndex{2}})
		list = slices.Delete(list, 2, 3)
		for _, q := range list[1:] {
			q.group = handle(t, q.group, p.Commit).Next
		}
		list[0].follow(p)
		for _, q := range list {
			loaded, err := Load(LoadOptions{
				Records: snapshot(q.group).all(), Signers: []*suite.SignaturePrivateKey{q.signer}, Credentials: anyone{},
			})
			must(t, err)
			q.group = loaded
		}
		everybody(t, list, 1, CommitOptions{})
		talk(t, list)
	})
}
