package tree

import (
	"errors"
	"testing"

	"parley/mls/suite"
	"parley/mls/wire"
)

// newcomer is the sender of an external commit.
var newcomer = wire.Sender{SenderType: wire.SenderTypeNewMemberCommit}

// externalInit is what every external commit holds.
func externalInit() wire.Proposal {
	return wire.Proposal{ProposalType: wire.ProposalTypeExternalInit, ExternalInit: &wire.ExternalInit{KEMOutput: key()}}
}

// preSharedKey proposes an external PSK.
func preSharedKey(change ...func(*wire.PreSharedKeyID)) wire.Proposal {
	id := wire.PreSharedKeyID{PSKType: wire.PSKTypeExternal, PSKID: []byte("psk"), PSKNonce: key()}
	for _, f := range change {
		f(&id)
	}
	return wire.Proposal{ProposalType: wire.ProposalTypePSK, PreSharedKey: &wire.PreSharedKey{PSK: id}}
}

// enter makes an external commit of a new client after change of its leaf; the
// path fits list if that can be applied.
func (c *cast) enter(change func(*wire.LeafNode), list ...wire.ProposalOrRef) (*wire.PublicMessage, *suite.SignaturePrivateKey) {
	sent, err := c.resolve(&newcomer, list)
	if err != nil {
		c.t.Fatal(err)
	}
	st := Staged{Draft: c.Tree().Edit(), state: c.State(), config: &c.config}
	if err := st.apply(sent); err != nil {
		c.t.Fatal(err)
	}
	leaf, signer := c.leaf(0, func(l *wire.LeafNode) {
		l.LeafNodeSource = wire.LeafNodeSourceCommit
		if change != nil {
			change(l)
		}
	})
	i, err := st.Draft.Add(leaf)
	if err != nil {
		c.t.Fatal(err)
	}
	path := new(wire.UpdatePath)
	var keys [][]byte
	for _, step := range st.Draft.FilteredDirectPath(i) {
		n := wire.UpdatePathNode{EncryptionKey: key()}
		n.EncryptedPathSecret = make([]wire.HPKECiphertext, st.Draft.resolutionSize(step.Copath, nil))
		path.Nodes, keys = append(path.Nodes, n), append(keys, n.EncryptionKey)
	}
	if leaf.ParentHash, err = st.Draft.SetPath(i, keys); err != nil {
		c.t.Fatal(err)
	}
	c.signLeaf(&leaf, signer, i)
	path.LeafNode = leaf
	m := &wire.PublicMessage{Content: wire.FramedContent{
		ContentType: wire.ContentTypeCommit, Commit: &wire.Commit{Proposals: list, Path: path},
	}}
	c.speak(m, newcomer, signer)
	return m, signer
}

// speak signs a message of somebody outside the group.
func (c *cast) speak(m *wire.PublicMessage, from wire.Sender, signer *suite.SignaturePrivateKey) {
	context := c.Context()
	m.Content.GroupID, m.Content.Epoch, m.Content.Sender = context.GroupID, context.Epoch, from
	if m.Content.ContentType == wire.ContentTypeCommit && m.Auth.ConfirmationTag == nil {
		m.Auth.ConfirmationTag = key()
	}
	var err error
	m.Auth.Signature, err = signer.Sign("FramedContentTBS", wire.Marshal(m.Authenticated().TBS(&context)))
	if err != nil {
		c.t.Fatal(err)
	}
}

// opened is a cast of n that takes messages from outside, whose members can
// remove themselves.
func opened(t testing.TB, n int) *cast {
	c := newCast(t, n)
	c.config.Accept = func(Sent) error { return nil }
	for i := range wire.LeafIndex(n) {
		able := func(m *wire.PublicMessage) {
			l := &m.Content.Commit.Path.LeafNode
			l.Capabilities.Proposals = []wire.ProposalType{wire.ProposalTypeSelfRemove}
			c.signLeaf(l, c.signers[i], i)
		}
		c.must(content(c, c.commit(i, true), able))
	}
	return c
}

// TestObserverFollowsOutside: external commits join, resync and cover
// SelfRemoves (RFC 9420, Section 12.4.3.2); the tree is one a newcomer accepts.
func TestObserverFollowsOutside(t *testing.T) {
	c := opened(t, 5)
	check := func(change Change, at wire.LeafIndex, size int) {
		t.Helper()
		context := c.Context()
		if err := c.Tree().Verify(&context, &c.config); err != nil {
			t.Fatal(err)
		}
		if change.Joined == nil || change.Joined.Index != at || change.Sender != at || change.Outside == nil || change.External == nil {
			t.Fatalf("what it did: %+v", change)
		}
		if c.Tree().Size() != size {
			t.Fatalf("%d members", c.Tree().Size())
		}
	}
	able := func(l *wire.LeafNode) { l.Capabilities.Proposals = []wire.ProposalType{wire.ProposalTypeSelfRemove} }
	m, signer := c.enter(able, wire.ByValue(externalInit()), wire.ByValue(preSharedKey()))
	change := c.must(m)
	c.signers[5] = signer
	check(change, 5, 6)
	if len(change.PSKs) != 1 || string(change.PSKs[0].PSKID) != "psk" {
		t.Errorf("PSKs: %+v", change.PSKs)
	}
	left := c.must(c.proposal(2, wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove}))
	m, signer = c.enter(able, wire.ByValue(externalInit()), wire.ByReference(left.Reference), wire.ByValue(remove(4)))
	change = c.must(m)
	c.signers[2] = signer
	check(change, 2, 5)
	if len(change.Removed) != 2 {
		t.Errorf("removed: %+v", change.Removed)
	}
	for i := range c.signers {
		c.mustCommit(i, true)
	}
	again, err := LoadObserver(c.Marshal())
	if err != nil || again.Epoch() != c.Epoch() {
		t.Fatal(err)
	}
	grown := opened(t, 4)
	m, _ = grown.enter(nil, wire.ByValue(externalInit()))
	grown.must(m)
	if grown.Tree().Width() != 8 {
		t.Error("a full tree is not extended")
	}
}

// outsideRefusals break the rules of messages from outside, in a group of 5.
var outsideRefusals = []struct {
	rule string
	want error
	make func(c *cast) *wire.PublicMessage
}{
	{"exactly one ExternalInit (12.2)", ErrOneExternalInit, entering()},
	{"not two ExternalInits (12.2)", ErrOneExternalInit, entering(externalInit(), externalInit())},
	{"at most one Remove (12.2)", ErrExternalRemoves, entering(externalInit(), remove(1), remove(2))},
	{"a Remove names a member (12.1.3)", ErrBlankLeaf, unfit(externalInit(), remove(9))},
	{"no Add (12.2)", ErrExternalProposal, func(c *cast) *wire.PublicMessage { return unfit(externalInit(), c.add())(c) }},
	{"no Update (12.2)", ErrExternalProposal, func(c *cast) *wire.PublicMessage { return unfit(externalInit(), c.update(1))(c) }},
	{"no GroupContextExtensions (12.2)", ErrExternalProposal, unfit(externalInit(), extensions())},
	{"no ReInit (12.2)", ErrExternalProposal, unfit(externalInit(), wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: &wire.ReInit{}})},
	{"no other proposals (12.2)", ErrExternalProposal, unfit(externalInit(), wire.Proposal{ProposalType: 0xf000})},
	{"no SelfRemove by value", ErrProposalSender, unfit(externalInit(), wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove})},
	{"psk_nonce of length KDF.Nh (12.1.4)", ErrPSKNonce, unfit(externalInit(), preSharedKey(func(id *wire.PreSharedKeyID) { id.PSKNonce = nil }))},
	{"no PSK twice (12.2)", ErrDuplicatePSK, func(c *cast) *wire.PublicMessage { p := preSharedKey(); return unfit(externalInit(), p, p)(c) }},
	{"no proposals by reference (12.4.3.2)", ErrExternalReference, func(c *cast) *wire.PublicMessage {
		m, _ := c.enter(nil, wire.ByValue(externalInit()), wire.ByReference(c.pending[0].Reference))
		return m
	}},
	{"a path (12.4.3.2)", ErrPathRequired, func(c *cast) *wire.PublicMessage {
		m, signer := c.enter(nil, wire.ByValue(externalInit()))
		m.Content.Commit.Path = nil
		c.speak(m, newcomer, signer)
		return m
	}},
	{"signed by the new member (12.4.3.2)", ErrMessageSignature, func(c *cast) *wire.PublicMessage {
		m, _ := c.enter(nil, wire.ByValue(externalInit()))
		c.speak(m, newcomer, c.signers[1])
		return m
	}},
	{"the identity of who is removed (12.2)", ErrSuccessor, func(c *cast) *wire.PublicMessage {
		m, _ := c.enter(func(l *wire.LeafNode) { l.Credential = wire.BasicCredential([]byte("other")) },
			wire.ByValue(externalInit()), wire.ByValue(remove(2)))
		return m
	}},
	{"another encryption key than who is removed (12.2)", ErrUpdateKey, func(c *cast) *wire.PublicMessage {
		old, _ := c.Tree().Leaf(2)
		m, _ := c.enter(func(l *wire.LeafNode) { l.EncryptionKey = old.EncryptionKey }, wire.ByValue(externalInit()), wire.ByValue(remove(2)))
		return m
	}},
	{"a valid credential (7.3)", ErrCredential, func(c *cast) *wire.PublicMessage {
		m, _ := c.enter(func(l *wire.LeafNode) { l.Credential = wire.BasicCredential([]byte("forbidden")) }, wire.ByValue(externalInit()))
		return m
	}},
	{"a signature key of nobody else (7.3)", ErrDuplicateSignatureKey, func(c *cast) *wire.PublicMessage {
		m, _ := c.enter(nil, wire.ByValue(externalInit()))
		l := &m.Content.Commit.Path.LeafNode
		l.SignatureKey = c.signers[1].PublicKey()
		c.signLeaf(l, c.signers[1], 5)
		c.speak(m, newcomer, c.signers[1])
		return m
	}},
	{"a path of the right length (7.6)", ErrPathLength, func(c *cast) *wire.PublicMessage {
		m, signer := c.enter(nil, wire.ByValue(externalInit()))
		m.Content.Commit.Path.Nodes = m.Content.Commit.Path.Nodes[1:]
		c.speak(m, newcomer, signer)
		return m
	}},
	{"a new member proposes an Add only (12.1.8)", ErrSenderContent, func(c *cast) *wire.PublicMessage {
		p := remove(1)
		m := &wire.PublicMessage{Content: wire.FramedContent{ContentType: wire.ContentTypeProposal, Proposal: &p}}
		c.speak(m, wire.Sender{SenderType: wire.SenderTypeNewMemberProposal}, c.signers[1])
		return m
	}},
	{"external senders do not commit (12.1.8)", ErrSenderContent, func(c *cast) *wire.PublicMessage {
		m, _ := c.enter(nil, wire.ByValue(externalInit()))
		c.speak(m, wire.Sender{SenderType: wire.SenderTypeExternal}, c.signers[1])
		return m
	}},
	{"no external sender without the extension (12.1.8.1)", ErrSenderIndex, func(c *cast) *wire.PublicMessage {
		p := remove(1)
		m := &wire.PublicMessage{Content: wire.FramedContent{ContentType: wire.ContentTypeProposal, Proposal: &p}}
		c.speak(m, wire.Sender{SenderType: wire.SenderTypeExternal}, c.signers[1])
		return m
	}},
	{"a member's psk_nonce is of length KDF.Nh (12.1.4)", ErrPSKNonce, func(c *cast) *wire.PublicMessage {
		return c.proposal(1, preSharedKey(func(id *wire.PreSharedKeyID) { id.PSKNonce = append(id.PSKNonce, 0) }))
	}},
	{"a PSK of a branch is not proposed (11.3)", ErrPSKUsage, func(c *cast) *wire.PublicMessage {
		return c.proposal(1, preSharedKey(func(id *wire.PreSharedKeyID) {
			id.PSKType, id.Usage = wire.PSKTypeResumption, wire.ResumptionPSKUsageBranch
		}))
	}},
	{"a PSK of a reinitialization is not proposed (11.2)", ErrPSKUsage, func(c *cast) *wire.PublicMessage {
		return c.proposal(1, preSharedKey(func(id *wire.PreSharedKeyID) {
			id.PSKType, id.Usage = wire.PSKTypeResumption, wire.ResumptionPSKUsageReInit
		}))
	}},
	{"no multiple PSKs of one ID (12.2)", ErrDuplicatePSK, func(c *cast) *wire.PublicMessage {
		p := preSharedKey()
		return byValue(c, p, p)
	}},
	{"not more PSKs than MaxPSKs", ErrTooManyPSKs, func(c *cast) *wire.PublicMessage {
		var list []wire.Proposal
		for range MaxPSKs + 1 {
			list = append(list, preSharedKey())
		}
		return byValue(c, list...)
	}},
	{"a ReInit to an older version (12.1.5)", ErrReInitVersion, func(c *cast) *wire.PublicMessage {
		return c.proposal(1, wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: &wire.ReInit{}})
	}},
	{"a ReInit alone (12.2)", ErrReInitAlone, func(c *cast) *wire.PublicMessage {
		return byValue(c, wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: &wire.ReInit{Version: 1}}, preSharedKey())
	}},
	{"a proposal type that is not registered (12.2)", ErrUnsupportedProposal, func(c *cast) *wire.PublicMessage {
		return byValue(c, wire.Proposal{ProposalType: 0xf000})
	}},
	{"an ExternalInit sent alone (12.1.6)", ErrExternalInit, func(c *cast) *wire.PublicMessage { return c.proposal(1, externalInit()) }},
}

// entering is an external commit whose path fits its proposals.
func entering(list ...wire.Proposal) func(c *cast) *wire.PublicMessage {
	return func(c *cast) *wire.PublicMessage {
		var l []wire.ProposalOrRef
		for _, p := range list {
			l = append(l, wire.ByValue(p))
		}
		m, _ := c.enter(nil, l...)
		return m
	}
}

// unfit is an external commit with proposals that its path knows nothing of.
func unfit(list ...wire.Proposal) func(c *cast) *wire.PublicMessage {
	return func(c *cast) *wire.PublicMessage {
		m, signer := c.enter(nil)
		for _, p := range list {
			m.Content.Commit.Proposals = append(m.Content.Commit.Proposals, wire.ByValue(p))
		}
		c.speak(m, newcomer, signer)
		return m
	}
}

// TestObserverRefusesOutside breaks each rule alone (RFC 9420, Sections 7.3,
// 7.6, 11.2, 11.3, 12.1.3, 12.1.4, 12.1.5, 12.1.6, 12.1.8, 12.1.8.1, 12.2 and
// 12.4.3.2); the error names it and the observer is what it was, to the byte.
func TestObserverRefusesOutside(t *testing.T) {
	c := opened(t, 5)
	c.must(c.proposal(3, remove(4)))
	before := string(c.Marshal())
	for _, r := range outsideRefusals {
		t.Run(r.rule, func(t *testing.T) {
			next, _, err := c.follow(r.make(c))
			if !errors.Is(err, r.want) || next != nil {
				t.Fatalf("got %v, want %v", err, r.want)
			}
			if string(c.Marshal()) != before {
				t.Error("a refused message changed the observer")
			}
		})
	}
	m, _ := c.enter(nil, wire.ByValue(externalInit()))
	refused := errors.New("by the application")
	c.config.Accept = func(Sent) error { return refused }
	if _, _, err := c.follow(m); !errors.Is(err, ErrProposalRefused) || !errors.Is(err, refused) {
		t.Errorf("refused by the application: %v", err)
	}
	c.config.Accept = nil
	if _, _, err := c.follow(m); !errors.Is(err, ErrUnsupportedSender) {
		t.Errorf("nobody outside is accepted: %v", err)
	}
}
