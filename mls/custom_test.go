package mls

import (
	"errors"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// poll and motto are proposals of an application.
const (
	poll  wire.ProposalType = 0xf00d
	motto wire.ProposalType = 0xf00e
)

var errMotto = errors.New("no motto")

// customs registers them: a motto must not be empty and needs a path.
func customs() Policy {
	return Policy{Custom: map[wire.ProposalType]tree.CustomProposal{
		poll: {External: true},
		motto: {PathRequired: true, Validate: func(s tree.Sent) error {
			if len(s.Proposal.Data) == 0 {
				return errMotto
			}
			return nil
		}},
	}}
}

// able are people whose capabilities list the types.
func able(t testing.TB, n int, policy Policy) []*person {
	t.Helper()
	list := people(t, testSuite(t), n)
	unlock(list, policy)
	for i, p := range list {
		leaf, _ := p.group.Tree().Leaf(p.group.OwnLeaf())
		c := leaf.Capabilities
		c.Proposals = append(c.Proposals, poll, motto)
		everybody(t, list, i, CommitOptions{Leaf: LeafOptions{Capabilities: &c}})
	}
	return list
}

// Proposals of the application's own go by reference and by value (RFC 9420,
// Section 13.2), and an Observer that knows only their types follows.
func TestCustomProposals(t *testing.T) {
	list := able(t, 3, customs())
	m, err := list[0].group.ProposeCustom(poll, []byte("tea?"), MessageOptions{Now: start})
	must(t, err)
	handle(t, list[1].group, m)
	handle(t, list[2].group, m)
	o := observe(t, list[0])
	config := &tree.Config{Credentials: anyone{}, Custom: map[wire.ProposalType]tree.CustomProposal{poll: {}, motto: {}}}
	follow := func(message []byte) {
		m, err := wire.Unmarshal[wire.MLSMessage](message)
		must(t, err)
		next, _, err := o.Handle(m.PublicMessage, config)
		must(t, err)
		o = onlooker{next}
	}
	follow(m)
	p := everybody(t, list, 1, CommitOptions{})
	if len(p.Change.Custom) != 1 || string(p.Change.Custom[0].Proposal.Data) != "tea?" || p.Change.Path {
		t.Errorf("a poll: %+v", p.Change)
	}
	follow(p.Commit)
	p = everybody(t, list, 2, CommitOptions{Custom: []wire.Proposal{{ProposalType: motto, Data: []byte("per aspera")}}})
	if len(p.Change.Custom) != 1 || !p.Change.Path {
		t.Errorf("a motto: %+v", p.Change)
	}
	follow(p.Commit)
	talk(t, list)
}

// A proposal of a type that the application does not know, that some members do
// not support, or that is not valid, is refused (RFC 9420, Section 12.2).
func TestCustomProposalsRefused(t *testing.T) {
	list := able(t, 3, customs())
	g, o := list[0].group, MessageOptions{Now: start}
	for _, c := range []struct {
		what string
		kind wire.ProposalType
		want error
	}{
		{"not registered", 0xf00f, tree.ErrUnsupportedProposal},
		{"not of private use", 0x0a0a, tree.ErrUnsupportedProposal},
		{"not valid", motto, errMotto},
	} {
		if _, err := g.ProposeCustom(c.kind, nil, o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	m, err := g.ProposeCustom(poll, nil, o)
	must(t, err)
	refuses(t, "not registered", list[1].group.closed(), m, ErrUnsupported)
	pathless := byValue(wire.Proposal{ProposalType: motto, Data: []byte("x")})
	refuses(t, "a motto without path", list[1].group, forge(t, list[0], pathless, nil), tree.ErrPathRequired)

	// Somebody comes who does not support it, and goes again.
	eve := newPerson(t, list[0].suite, "eve")
	kp := eve.keyPackage(t)
	p := everybody(t, list, 1, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
	vote := []wire.Proposal{{ProposalType: poll}}
	if _, err := p.Next.Commit(CommitOptions{Custom: vote}); !errors.Is(err, tree.ErrUnsupportedProposal) {
		t.Errorf("a member does not support it: %v", err)
	}
	refuses(t, "a member does not support it", list[0].group, forge(t, list[1], byValue(vote...), nil), tree.ErrUnsupportedProposal)
	everybody(t, list, 1, CommitOptions{Custom: vote, Removes: []wire.LeafIndex{3}})
}

// A member removes itself (draft-ietf-mls-extensions), by whoever commits.
func TestSelfRemove(t *testing.T) {
	list := people(t, testSuite(t), 4)
	o := MessageOptions{Now: start}
	m, err := list[3].group.ProposeSelfRemove(o)
	must(t, err)
	if _, err := list[3].group.ProposeSelfRemove(o); !errors.Is(err, tree.ErrSelfRemove) {
		t.Errorf("twice in an epoch: %v", err)
	}
	also, err := list[0].group.ProposeRemove(3, o)
	must(t, err)
	for _, p := range list[:3] {
		handle(t, p.group, m)
		handle(t, p.group, also)
		p.reload(t)
	}
	c := commit(t, list[1].group, CommitOptions{})
	if len(c.Change.Removed) != 1 || !c.Change.Path {
		t.Fatalf("what it does: %+v", c.Change)
	}
	if r := handle(t, list[3].group, c.Commit); !r.Removed {
		t.Error("its author stays")
	}
	for _, p := range []*person{list[0], list[2]} {
		p.group = handle(t, p.group, c.Commit).Next
	}
	list[1].group = c.Next
	agree(t, list[:3])
	if alone := commit(t, list[0].group, CommitOptions{}); len(alone.Change.Removed) != 0 {
		t.Error("the next epoch still knows it")
	}
}

// SelfRemoves out of place are refused (draft-ietf-mls-extensions).
func TestSelfRemovesRefused(t *testing.T) {
	list := people(t, testSuite(t), 4)
	o := MessageOptions{Now: start}
	m, err := list[3].group.ProposeSelfRemove(o)
	must(t, err)
	g := list[1].group
	self := wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove}
	path := commit(t, list[0].group, CommitOptions{})
	pm, err := wire.Unmarshal[wire.MLSMessage](path.Commit)
	must(t, err)
	with := func(c wire.Commit) wire.Commit { c.Path = pm.PublicMessage.Content.Commit.Path; return c }
	refuses(t, "by value", g, forge(t, list[2], with(byValue(self)), nil), tree.ErrSelfRemove)
	handle(t, g, m)
	handle(t, list[3].group, m)
	ref := wire.ByReference(g.proposals[0].ref)
	refuses(t, "and a remove of the same leaf", g, forge(t, list[0], with(wire.Commit{Proposals: []wire.ProposalOrRef{ref, wire.ByValue(removal(3))}}), nil), tree.ErrSameLeaf)
	refuses(t, "twice", g, forge(t, list[0], with(wire.Commit{Proposals: []wire.ProposalOrRef{ref, ref}}), nil), tree.ErrSameLeaf)
	refuses(t, "without a path", g, forge(t, list[0], wire.Commit{Proposals: []wire.ProposalOrRef{ref}}, nil), tree.ErrPathRequired)
	refuses(t, "of the committer", g, forge(t, list[3], with(wire.Commit{Proposals: []wire.ProposalOrRef{ref}}), nil), tree.ErrRemoveCommitter)
	private := list[2].group
	c := private.framed(wire.ContentTypeProposal, &o)
	c.Proposal = &self
	ac, err := private.epoch.sign(list[2].signer, wire.WireFormatPrivateMessage, c)
	must(t, err)
	hidden, _, err := private.epoch.protectPrivate(&ac, 0)
	must(t, err)
	refuses(t, "in a private message", g, hidden, tree.ErrSelfRemove)
	if _, err := private.ProposeSelfRemove(MessageOptions{Private: true}); !errors.Is(err, tree.ErrSelfRemove) {
		t.Errorf("in a private message: %v", err)
	}
	old := DefaultCapabilities()
	old.Proposals = nil
	everybody(t, list, 0, CommitOptions{IgnorePending: true, Leaf: LeafOptions{Capabilities: &old}})
	if _, err := list[3].group.ProposeSelfRemove(o); !errors.Is(err, tree.ErrUnsupportedProposal) {
		t.Errorf("a member does not support it: %v", err)
	}
}

// Unknown capabilities and extensions are ignored where they may be (RFC 9420,
// Sections 13.4 and 13.5), and key packages of last resort are marked.
func TestGrease(t *testing.T) {
	list := people(t, testSuite(t), 2)
	eve := newPerson(t, list[0].suite, "eve")
	c := DefaultCapabilities(0x1a1a)
	c.Versions = append(c.Versions, 0x2a2a)
	c.CipherSuites = append(c.CipherSuites, 0x3a3a)
	c.Proposals = append(c.Proposals, 0x4a4a, 0xfafa)
	c.Credentials = append(c.Credentials, 0x5a5a)
	grease := wire.Extensions{{ExtensionType: 0x6a6a, ExtensionData: suite.Random(11)}}
	kp, err := NewKeyPackage(eve.suite, eve.identity(), KeyPackageOptions{
		Now: start, Capabilities: c, LeafExtensions: grease, Extensions: grease, LastResort: true,
	})
	must(t, err)
	if !kp.LastResort() || list[0].keyPackage(t).LastResort() {
		t.Error("which key package is of last resort")
	}
	p := everybody(t, list, 0, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
	eve.join(t, kp, p.Welcome, p.Next.Tree())
	list = append(list, eve)
	talk(t, list)
	everybody(t, list, 2, CommitOptions{})
	if info, err := list[0].group.groupInfo(wire.Extension{ExtensionType: 0x7a7a}); err != nil {
		t.Error(err)
	} else if _, err := tree.NewObserver(info, list[0].group.Tree(), &tree.Config{Credentials: anyone{}}); err != nil {
		t.Errorf("an unknown extension of a GroupInfo: %v", err)
	}
}
