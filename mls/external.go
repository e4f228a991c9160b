package mls

import (
	"fmt"
	"time"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// ExternalJoinOptions say how a client joins a group by itself.
type ExternalJoinOptions struct {
	// GroupInfo is an MLSMessage of the current epoch, with external_pub.
	GroupInfo []byte
	// RatchetTree is the tree as the extension ratchet_tree has it; nil if the
	// GroupInfo carries it. It is not kept.
	RatchetTree []byte
	// Identity of the newcomer, and what its leaf holds: Leaf.Lifetime and
	// Leaf.Extensions are not used, Leaf.Now is the time.
	Identity Identity
	Leaf     KeyPackageOptions
	// Resync is the leaf of an earlier appearance of the client, which the commit
	// removes; nil if there is none.
	Resync *wire.LeafIndex
	// PSKs are mixed into the next epoch, in this order. Their nonces are made
	// anew.
	PSKs []wire.PreSharedKeyID
	// SelfRemoves are the MLSMessages of all SelfRemove proposals of the epoch,
	// which the commit must cover (draft-ietf-mls-extensions).
	SelfRemoves [][]byte
	// AuthenticatedData is signed with the commit and readable by all.
	AuthenticatedData []byte
	// Credentials decides about credentials; nil refuses all.
	Credentials tree.CredentialValidator
	// PastEpochs, Policy and Parallel are as in JoinOptions.
	PastEpochs int
	Policy     Policy
	Parallel   tree.Parallel
}

// JoinExternal makes a commit by which a client adds itself to a group
// (RFC 9420, Section 12.4.3.2), or, with Resync, comes back to it with nothing
// but its identity. It verifies the whole tree, which takes time in proportion
// to the members. The Pending is as of Commit: its Next is the Group once the
// commit is accepted, and its records replace all of an earlier Group; if another
// commit was first, it is thrown away and a newer GroupInfo is needed.
//
// It fails with ErrNoExternalPub, with ErrTreeMissing, with ErrNoPSK, with
// ErrInvalid, or with an error of mls/tree, mls/suite or mls/wire, such as
// tree.ErrDuplicateSignatureKey if the client is a member already.
func JoinExternal(o ExternalJoinOptions) (*Pending, error) {
	p, err := joinExternal(&o)
	if err != nil {
		return nil, fmt.Errorf("external join: %w", err)
	}
	return p, nil
}

func joinExternal(o *ExternalJoinOptions) (*Pending, error) {
	m, err := wire.Unmarshal[wire.MLSMessage](o.GroupInfo)
	if err != nil {
		return nil, err
	}
	if m.GroupInfo == nil {
		return nil, fmt.Errorf("%v instead of a group info: %w", m.WireFormat, ErrInvalid)
	}
	g, err := o.outsider(m.GroupInfo)
	if err != nil {
		return nil, err
	}
	values, init, err := o.proposals(g.suite, m.GroupInfo)
	if err != nil {
		return nil, err
	}
	c, err := o.stage(g, values)
	if err != nil {
		return nil, err
	}
	c.init = init
	if err := c.renew(); err != nil {
		return nil, err
	}
	return c.finish()
}

// outsider makes what the client can know of the group before it joins. It is
// a Group without secrets, and not yet a place.
func (o *ExternalJoinOptions) outsider(info *wire.GroupInfo) (*Group, error) {
	s, err := suite.Lookup(suite.ID(info.GroupContext.CipherSuite))
	if err != nil {
		return nil, err
	}
	t, err := readTree(s, info, o.RatchetTree)
	if err != nil {
		return nil, err
	}
	g := &Group{
		suite:       s,
		credentials: o.Credentials,
		parallel:    o.Parallel,
		policy:      o.Policy,
		signer:      o.Identity.Signer,
		keep:        pastEpochs(o.PastEpochs),
		state:       tree.State{Context: info.GroupContext, Tree: t},
		interim:     interimHash(s, info.GroupContext.ConfirmedTranscriptHash, info.ConfirmationTag),
		epoch:       &epoch{suite: s, context: info.GroupContext},
		keys:        make(keyring),
	}
	if err := t.VerifyGroupInfo(info); err != nil {
		return nil, err
	}
	return g, t.Verify(&info.GroupContext, g.config(time.Time{}))
}

// proposals makes those of the commit, and the init secret that its ExternalInit
// carries (RFC 9420, Section 8.3).
func (o *ExternalJoinOptions) proposals(s *suite.Suite, info *wire.GroupInfo) (list []wire.Proposal, init []byte, err error) {
	pub, found, err := wire.FindExtension[wire.ExternalPub](info.Extensions, wire.ExtensionTypeExternalPub)
	if err != nil {
		return nil, nil, err
	}
	if !found {
		return nil, nil, ErrNoExternalPub
	}
	kem, init, err := s.SendExternalInit(pub.ExternalPub)
	if err != nil {
		return nil, nil, err
	}
	list = []wire.Proposal{{ProposalType: wire.ProposalTypeExternalInit, ExternalInit: &wire.ExternalInit{KEMOutput: kem}}}
	if o.Resync != nil {
		list = append(list, wire.Proposal{ProposalType: wire.ProposalTypeRemove, Remove: &wire.Remove{Removed: *o.Resync}})
	}
	for _, id := range o.PSKs {
		list = append(list, injection(s, id))
	}
	return list, init, nil
}

// stage applies the proposals and gives the client its leaf.
func (o *ExternalJoinOptions) stage(g *Group, values []wire.Proposal) (*committed, error) {
	c := &committed{group: g, options: &CommitOptions{
		MessageOptions: MessageOptions{Now: o.Leaf.Now, AuthenticatedData: o.AuthenticatedData},
	}}
	var list []tree.Sent
	sender := wire.Sender{SenderType: wire.SenderTypeNewMemberCommit}
	for i := range values {
		list = append(list, tree.Covered(&sender, &values[i]))
		c.commit.Proposals = append(c.commit.Proposals, wire.ByValue(values[i]))
	}
	for _, m := range o.SelfRemoves {
		p, err := g.selfRemove(m)
		if err != nil {
			return nil, fmt.Errorf("self remove: %w", err)
		}
		g.proposals = append(g.proposals, p)
		list = append(list, p.sent())
		c.commit.Proposals = append(c.commit.Proposals, wire.ByReference(p.ref))
	}
	config := g.config(o.Leaf.Now)
	config.Accept = func(tree.Sent) error { return nil } // they are our own
	var err error
	if c.staged, err = g.state.StageExternal(list, config); err != nil {
		return nil, err
	}
	g.epoch.own = c.staged.Change.Sender
	c.keys, c.signer = g.keys, g.signer
	o.Leaf.Extensions = nil // there is no key package
	o.Leaf.Capabilities = capabilities(g.suite, o.Leaf)
	choice := newGrease()
	c.renewLeaf = func(key []byte) (wire.LeafNode, *suite.SignaturePrivateKey) { return o.leaf(key, choice) }
	leaf, _ := c.renewLeaf(nil)
	return c, c.staged.Join(leaf)
}

// leaf is the client's leaf node, unsigned.
func (o *ExternalJoinOptions) leaf(key []byte, g grease) (wire.LeafNode, *suite.SignaturePrivateKey) {
	leaf := wire.LeafNode{
		EncryptionKey:  key,
		SignatureKey:   o.Identity.Signer.PublicKey(),
		Credential:     o.Identity.Credential,
		Capabilities:   o.Leaf.Capabilities,
		LeafNodeSource: wire.LeafNodeSourceCommit,
		Extensions:     o.Leaf.LeafExtensions,
	}
	g.leaf(&leaf)
	return leaf, o.Identity.Signer
}

// selfRemove reads a SelfRemove of the epoch. "The new joiner MUST validate the
// SelfRemove Proposal before including it by reference, except that it skips the
// validation of the membership_tag" (draft-ietf-mls-extensions).
func (g *Group) selfRemove(message []byte) (p proposal, err error) {
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	if err != nil {
		return p, err
	}
	if m.PublicMessage == nil || m.PublicMessage.Content.Proposal == nil ||
		m.PublicMessage.Content.Proposal.ProposalType != wire.ProposalTypeSelfRemove {
		return p, fmt.Errorf("%v: %w", m.WireFormat, ErrInvalid)
	}
	p.content = m.PublicMessage.Authenticated()
	if err := g.checkCurrent(p.content.Content.GroupID, p.content.Content.Epoch); err != nil {
		return p, err
	}
	p.ref = g.suite.ProposalRef(wire.Marshal(p.content))
	return p, g.state.VerifySignature(&p.content)
}
