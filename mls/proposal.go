package mls

import (
	"bytes"
	"fmt"
	"time"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// MaxProposals is how many proposals may wait for a commit; the next one is
// refused with ErrTooMany.
const MaxProposals = tree.MaxPending

// A proposal waits for a commit.
type proposal struct {
	number  uint32 // names its record
	ref     []byte
	content wire.AuthenticatedContent
	key     *suite.HPKEPrivateKey      // of our own update
	signer  *suite.SignaturePrivateKey // of our own update, if it has another
	// verified says that it was found valid in this epoch, when it came: its
	// commit does not verify it again.
	verified bool
}

// sent is p as the public rules see it.
func (p *proposal) sent() tree.Sent {
	sent := tree.SentBy(&p.content.Content)
	sent.Verified = p.verified
	return sent
}

// MessageOptions say how a handshake message is sent.
type MessageOptions struct {
	// Now is the time at which lifetimes are judged; zero: they are not.
	Now time.Time
	// AuthenticatedData is signed with the message and readable by all.
	AuthenticatedData []byte
	// Private sends a PrivateMessage, which an Observer can not follow, with
	// Padding zero octets; otherwise it is a PublicMessage.
	Private bool
	Padding int
}

// LeafOptions say what changes in a member's leaf beside its key; nil means
// nothing.
type LeafOptions struct {
	Identity     *Identity
	Capabilities *wire.Capabilities
	Extensions   *wire.Extensions
}

// ProposeAdd proposes a new member (RFC 9420, Section 12.1.1). Like all
// proposals it is kept in g until a commit ends the epoch; the MLSMessage
// returned tells the others. The same proposal again is the same message.
//
// Each Propose method fails with an error of mls/tree if the proposal is not
// valid, with ErrTooMany if MaxProposals wait, and with ErrSuspended after a
// ReInit.
func (g *Group) ProposeAdd(kp *wire.KeyPackage, o MessageOptions) ([]byte, error) {
	return g.propose(proposal{}, wire.Proposal{
		ProposalType: wire.ProposalTypeAdd, Add: &wire.Add{KeyPackage: *kp},
	}, &o)
}

// ProposeRemove proposes to remove a member (RFC 9420, Section 12.1.3), which
// may be the proposer: who leaves proposes it, and somebody else commits it.
func (g *Group) ProposeRemove(leaf wire.LeafIndex, o MessageOptions) ([]byte, error) {
	return g.propose(proposal{}, wire.Proposal{
		ProposalType: wire.ProposalTypeRemove, Remove: &wire.Remove{Removed: leaf},
	}, &o)
}

// ProposeExtensions proposes to replace all extensions of the GroupContext
// (RFC 9420, Section 12.1.7).
func (g *Group) ProposeExtensions(extensions wire.Extensions, o MessageOptions) ([]byte, error) {
	return g.propose(proposal{}, wire.Proposal{
		ProposalType:           wire.ProposalTypeGroupContextExtensions,
		GroupContextExtensions: &wire.GroupContextExtensions{Extensions: extensions},
	}, &o)
}

// ProposeUpdate proposes a leaf with a fresh key for this member (RFC 9420,
// Section 12.1.2), for somebody else to commit.
func (g *Group) ProposeUpdate(leaf LeafOptions, o MessageOptions) ([]byte, error) {
	key, err := g.suite.GenerateKeyPair()
	if err != nil {
		return nil, fmt.Errorf("propose update: %w", err)
	}
	n, signer := g.renewLeaf(leaf, key.PublicKey())
	n.LeafNodeSource = wire.LeafNodeSourceUpdate
	if err := signLeaf(&n, signer, g.GroupID(), g.OwnLeaf()); err != nil {
		return nil, fmt.Errorf("propose update: %w", err)
	}
	return g.propose(proposal{key: key, signer: signer}, wire.Proposal{
		ProposalType: wire.ProposalTypeUpdate, Update: &wire.Update{LeafNode: n},
	}, &o)
}

// renewLeaf returns this member's leaf, unsigned, with a new encryption key
// and what o changes, and the key that must sign it.
func (g *Group) renewLeaf(o LeafOptions, encryptionKey []byte) (wire.LeafNode, *suite.SignaturePrivateKey) {
	leaf, _ := g.state.Tree.Leaf(g.OwnLeaf())
	leaf.EncryptionKey = encryptionKey
	leaf.Lifetime, leaf.ParentHash, leaf.Signature = wire.Lifetime{}, nil, nil
	signer := g.signer
	if o.Identity != nil {
		signer = o.Identity.Signer
		leaf.Credential, leaf.SignatureKey = o.Identity.Credential, signer.PublicKey()
	}
	if o.Capabilities != nil {
		leaf.Capabilities = *o.Capabilities
	}
	if o.Extensions != nil {
		leaf.Extensions = *o.Extensions
	}
	if o.Capabilities != nil || o.Extensions != nil {
		newGrease().leaf(&leaf)
	}
	return leaf, signer
}

// propose verifies, signs, keeps and encodes a proposal of this member.
func (g *Group) propose(p proposal, content wire.Proposal, o *MessageOptions) ([]byte, error) {
	if err := g.active(); err != nil {
		return nil, fmt.Errorf("propose %v: %w", content.ProposalType, err)
	}
	c := g.framed(wire.ContentTypeProposal, o)
	c.Proposal = &content
	if err := g.state.VerifyProposal(tree.Sent{Proposal: &content, Sender: g.OwnLeaf()}, g.config(o.Now)); err != nil {
		return nil, fmt.Errorf("propose %v: %w", content.ProposalType, err)
	}
	ac, err := g.epoch.sign(g.signer, o.format(), c)
	if err != nil {
		return nil, fmt.Errorf("propose %v: %w", content.ProposalType, err)
	}
	p.content = ac
	known := g.admit(&p)
	if known != nil && known != errKnown {
		return nil, fmt.Errorf("propose %v: %w", content.ProposalType, known)
	}
	message, u, err := g.protect(&ac, o)
	if err != nil {
		return nil, fmt.Errorf("propose %v: %w", content.ProposalType, err)
	}
	if u != nil {
		g.use(g.epoch, u)
	}
	if known == nil {
		g.keepProposal(p)
	}
	return message, nil
}

// format is the wire format that o asks for.
func (o *MessageOptions) format() wire.WireFormat {
	if o.Private {
		return wire.WireFormatPrivateMessage
	}
	return wire.WireFormatPublicMessage
}

// framed returns the frame of a handshake message of this member.
func (g *Group) framed(t wire.ContentType, o *MessageOptions) wire.FramedContent {
	return wire.FramedContent{
		GroupID:           g.GroupID(),
		Epoch:             g.Epoch(),
		Sender:            wire.Member(g.OwnLeaf()),
		AuthenticatedData: bytes.Clone(o.AuthenticatedData),
		ContentType:       t,
	}
}

// protect encodes a handshake message; the key it used, if any, is still to be
// moved past.
func (g *Group) protect(ac *wire.AuthenticatedContent, o *MessageOptions) ([]byte, *used, error) {
	if !o.Private {
		return g.epoch.protectPublic(ac), nil, nil
	}
	if o.Padding < 0 || o.Padding > MaxPlaintext {
		return nil, nil, fmt.Errorf("padding of %d bytes: %w", o.Padding, ErrTooLarge)
	}
	message, u, err := g.epoch.protectPrivate(ac, o.Padding)
	return message, &u, err
}

// config is what the public rules are given.
func (g *Group) config(now time.Time) *tree.Config {
	return &tree.Config{
		Credentials: g.credentials, Now: now, MaxLifetime: g.policy.maxLifetime(now),
		Accept: g.policy.Accept, Custom: g.policy.Custom, Parallel: g.parallel,
	}
}

// admit gives p its reference and number. It fails with ErrTooMany, or with
// errKnown if p waits already.
func (g *Group) admit(p *proposal) error {
	p.ref = g.suite.ProposalRef(wire.Marshal(p.content))
	if g.pending(p.ref) != nil {
		return errKnown
	}
	if len(g.proposals) >= MaxProposals {
		return ErrTooMany
	}
	if n := len(g.proposals); n > 0 {
		p.number = g.proposals[n-1].number + 1
	}
	return nil
}

// keepProposal keeps p, which is valid, until the epoch ends.
func (g *Group) keepProposal(p proposal) {
	p.verified = true
	g.proposals = append(g.proposals, p)
	g.changed.add(recordID{kind: proposalRecord, epoch: g.Epoch(), leaf: p.number})
}

// pending returns the proposal with that reference, nil if there is none.
func (g *Group) pending(ref []byte) *proposal {
	for i := range g.proposals {
		if bytes.Equal(g.proposals[i].ref, ref) {
			return &g.proposals[i]
		}
	}
	return nil
}

// PendingProposals returns the proposals that wait for a commit, in the order
// they came.
func (g *Group) PendingProposals() []tree.Sent {
	sent := make([]tree.Sent, len(g.proposals))
	for i := range g.proposals {
		sent[i] = g.proposals[i].sent()
	}
	return sent
}
