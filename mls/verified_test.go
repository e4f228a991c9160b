package mls

import (
	"testing"
	"time"

	"parley/mls/wire"
)

// asked counts how often it is asked about a credential.
type asked struct{ times int }

func (a *asked) Validate(wire.Credential, []byte) error { a.times++; return nil }

func (*asked) Succeeds(_, _ wire.Credential) error { return nil }

// What a proposal holds is verified when it comes, not again when it is
// committed; but "the lifetime of the LeafNode" may have ended since (RFC 9420,
// Section 7.3).
func TestAProposalIsVerifiedOnceAndItsLifetimeAgain(t *testing.T) {
	s := testSuite(t)
	first, added := newPerson(t, s, "first"), newPerson(t, s, "added")
	judge := new(asked)
	g, err := Create(CreateOptions{Suite: s, Identity: first.identity(), Leaf: KeyPackageOptions{Now: start}, Credentials: judge})
	must(t, err)
	kp := added.keyPackage(t)
	_, err = g.ProposeAdd(&kp.Public, MessageOptions{Now: start})
	must(t, err)
	before := judge.times
	if p := commit(t, g, CommitOptions{}); len(p.Change.Added) != 1 || judge.times != before {
		t.Errorf("%d added, %d questions more", len(p.Change.Added), judge.times-before)
	}
	late := start.Add(10 * 365 * 24 * time.Hour)
	p, err := g.Commit(CommitOptions{MessageOptions: MessageOptions{Now: late}})
	must(t, err)
	if len(p.Change.Added) != 0 {
		t.Errorf("%d added whose key package has ended", len(p.Change.Added))
	}
}
