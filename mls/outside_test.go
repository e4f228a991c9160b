package mls

import (
	"errors"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// outside signs a proposal of somebody who is no member.
func outside(t testing.TB, g *Group, from wire.Sender, key *suite.SignaturePrivateKey, p wire.Proposal) []byte {
	t.Helper()
	context := g.GroupContext()
	o := OutsideOptions{Context: &context, Signer: key}
	m, err := o.propose(&p, from)
	must(t, err)
	return m
}

// watched makes a group with a service as external sender.
func watched(t testing.TB, n int) (list []*person, service *person) {
	t.Helper()
	list = people(t, testSuite(t), n)
	unlock(list, Policy{})
	service = newPerson(t, list[0].suite, "service")
	everybody(t, list, 0, CommitOptions{Extensions: &wire.Extensions{{
		ExtensionType: wire.ExtensionTypeExternalSenders,
		ExtensionData: wire.Marshal(wire.ExternalSenders{
			{SignatureKey: newPerson(t, list[0].suite, "x").signer.PublicKey(), Credential: wire.BasicCredential([]byte("x"))},
			{SignatureKey: service.signer.PublicKey(), Credential: wire.BasicCredential([]byte("service"))},
		}),
	}}})
	return list, service
}

// An external sender proposes to add and remove (RFC 9420, Section 12.1.8.1),
// a new member proposes itself; a member commits, and an Observer follows.
func TestExternalProposals(t *testing.T) {
	list, service := watched(t, 5)
	eve := newPerson(t, list[0].suite, "eve")
	kp := eve.keyPackage(t)
	g, by := list[0].group, wire.Sender{SenderType: wire.SenderTypeExternal, SenderIndex: 1}
	context := g.GroupContext()
	remove, err := ProposeAsExternal(removal(2), 1, OutsideOptions{Context: &context, Signer: service.signer})
	must(t, err)
	join, err := ProposeToJoin(&kp.Public, OutsideOptions{Context: &context, Signer: eve.signer, AuthenticatedData: []byte("please")})
	must(t, err)
	messages := [][]byte{remove, join}
	observer := observe(t, list[0])
	for _, m := range messages {
		observer = observer.follow(t, m)
		for _, p := range list {
			if r := handle(t, p.group, m); r.Change.Outside == nil || r.Change.Proposal == nil {
				t.Fatalf("who proposes: %+v", r.Change)
			}
			p.reload(t)
		}
	}
	c := commit(t, list[4].group, CommitOptions{})
	observer = observer.follow(t, c.Commit)
	for i, p := range list {
		if p == list[4] {
			p.group = c.Next
		} else if r := handle(t, p.group, c.Commit); r.Removed != (i == 2) {
			t.Fatalf("member %d removed: %v", i, r.Removed)
		} else {
			p.group = r.Next
		}
	}
	eve.join(t, kp, c.Welcome, c.Next.Tree())
	list[2] = eve
	agree(t, list)
	talk(t, list)
	if observer.Tree().Size() != 5 {
		t.Error("the observer disagrees")
	}
	everyKind(t, list[0], service, by)
}

// everyKind: an external sender may also propose PSKs, extensions and a ReInit.
func everyKind(t *testing.T, p, service *person, by wire.Sender) {
	t.Helper()
	// The commit has kept the extensions.
	for _, proposal := range []wire.Proposal{
		injection(p.suite, ExternalPSK([]byte("x"))),
		{ProposalType: wire.ProposalTypeGroupContextExtensions, GroupContextExtensions: &wire.GroupContextExtensions{}},
		{ProposalType: wire.ProposalTypeReInit, ReInit: &wire.ReInit{Version: wire.MLS10, CipherSuite: 1}},
	} {
		handle(t, p.group, outside(t, p.group, by, service.signer, proposal))
	}
}

// What may not be proposed from outside is refused (RFC 9420, Section 12.1.8).
func TestExternalProposalsRefused(t *testing.T) {
	list, service := watched(t, 3)
	g, eve := list[0].group, newPerson(t, list[0].suite, "eve")
	kp := eve.keyPackage(t).Public
	by, itself := wire.Sender{SenderType: wire.SenderTypeExternal, SenderIndex: 1}, wire.Sender{SenderType: wire.SenderTypeNewMemberProposal}
	third := by
	third.SenderIndex = 2
	last := by
	last.SenderIndex = 1<<32 - 1
	leaf, _ := g.Tree().Leaf(1)
	leaf.LeafNodeSource = wire.LeafNodeSourceUpdate
	update := wire.Proposal{ProposalType: wire.ProposalTypeUpdate, Update: &wire.Update{LeafNode: leaf}}
	external := wire.Proposal{ProposalType: wire.ProposalTypeExternalInit, ExternalInit: &wire.ExternalInit{}}
	self := wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove}
	short := wire.Proposal{ProposalType: wire.ProposalTypePSK, PreSharedKey: &wire.PreSharedKey{PSK: ExternalPSK(nil)}}
	expired := kp
	expired.LeafNode.Lifetime.NotAfter = 7
	for _, c := range []struct {
		what string
		from wire.Sender
		key  *person
		p    wire.Proposal
		want error
	}{
		{"update by an external sender", by, service, update, tree.ErrProposalSender},
		{"external init by an external sender", by, service, external, tree.ErrProposalSender},
		{"self remove by an external sender", by, service, self, tree.ErrProposalSender},
		{"custom proposal by an external sender", by, service, wire.Proposal{ProposalType: 0xf001}, tree.ErrProposalSender},
		{"no such external sender", third, service, removal(1), tree.ErrSenderIndex},
		{"no such external sender by far", last, service, removal(1), tree.ErrSenderIndex},
		{"external sender with another key", by, eve, removal(1), suite.ErrSignature},
		{"removes nobody", by, service, removal(5), tree.ErrBlankLeaf},
		{"psk without nonce", by, service, short, tree.ErrPSKNonce},
		{"new member removes", itself, eve, removal(1), tree.ErrSenderContent},
		{"new member with another key", itself, service, addition(kp), suite.ErrSignature},
		{"new member with an expired key package", itself, eve, addition(expired), tree.ErrLifetime},
	} {
		refuses(t, c.what, g, outside(t, g, c.from, c.key.signer, c.p), c.want)
	}
	good := outside(t, g, by, service.signer, removal(1))
	refuses(t, "nobody outside is heard", g.closed(), good, tree.ErrUnsupportedSender)
	handle(t, g, good)

	// Without the extension there are no external senders.
	everybody(t, list, 1, CommitOptions{Extensions: &wire.Extensions{}, IgnorePending: true})
	g = list[0].group
	refuses(t, "no external senders", g, outside(t, g, by, service.signer, removal(1)), tree.ErrSenderIndex)
	external.ExternalInit.KEMOutput = make([]byte, 32)
	if _, err := g.propose(proposal{}, external, &MessageOptions{}); !errors.Is(err, tree.ErrExternalInit) {
		t.Errorf("a member proposes an external init: %v", err)
	}
}
