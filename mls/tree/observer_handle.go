package tree

import (
	"bytes"
	"fmt"
	"slices"

	"parley/mls/suite"
	"parley/mls/wire"
)

// Handle follows one handshake. A valid proposal becomes pending, a valid
// commit begins the next epoch; the change says what happened. For what is not
// valid it returns the error of the rule that is broken. The next Observer
// keeps no memory of m; the change does.
func (o *Observer) Handle(m *wire.PublicMessage, c *Config) (*Observer, Change, error) {
	content := m.Authenticated()
	if err := o.authenticate(m, &content, c); err != nil {
		return nil, Change{}, fmt.Errorf("handle message: %w", err)
	}
	var next *Observer
	var change Change
	var err error
	switch content.Content.ContentType {
	case wire.ContentTypeProposal:
		next, change, err = o.propose(content, c)
	case wire.ContentTypeCommit:
		next, change, err = o.commit(&content, c)
	default:
		err = ErrApplicationContent
	}
	if err != nil {
		return nil, Change{}, fmt.Errorf("handle %v: %w", content.Content.ContentType, err)
	}
	return next, change, nil
}

// authenticate verifies that the sender that m names signed it for this group
// and epoch (RFC 9420, Sections 6.1 and 6.2).
func (o *Observer) authenticate(m *wire.PublicMessage, content *wire.AuthenticatedContent, c *Config) error {
	f, size := &m.Content, o.state.Tree.suite.HashSize()
	switch {
	case !bytes.Equal(f.GroupID, o.state.Context.GroupID):
		return ErrGroupID
	case f.Epoch != o.Epoch():
		return fmt.Errorf("%w: %d, not %d", ErrEpoch, f.Epoch, o.Epoch())
	case f.Sender.SenderType == wire.SenderTypeMember && len(m.MembershipTag) != size:
		return ErrMembershipTag
	case f.ContentType == wire.ContentTypeCommit && len(m.Auth.ConfirmationTag) != size:
		return ErrConfirmationTag
	}
	if err := c.VerifySender(&f.Sender); err != nil {
		return err
	}
	return o.state.VerifySignature(content)
}

// propose makes a proposal pending.
func (o *Observer) propose(content wire.AuthenticatedContent, c *Config) (*Observer, Change, error) {
	if len(o.pending) >= MaxPending {
		return nil, Change{}, ErrTooManyProposals
	}
	p := newPending(o.state.Tree.suite, content)
	if _, found := o.find(p.Reference); found {
		return nil, Change{}, ErrKnownProposal
	}
	if err := o.state.VerifyProposal(p.sent(), c); err != nil {
		return nil, Change{}, err
	}
	next := *o
	next.pending = slices.Concat(o.pending, []Pending{p})
	return &next, Change{
		Sender: p.sent().Sender, Outside: p.sent().Outside, Proposal: content.Content.Proposal, Reference: p.Reference,
	}, nil
}

// newPending names a proposal and copies it.
func newPending(s *suite.Suite, content wire.AuthenticatedContent) Pending {
	encoded := wire.Marshal(content)
	return Pending{Reference: s.ProposalRef(encoded), Content: copied[wire.AuthenticatedContent](encoded)}
}

// sent returns the proposal and its sender.
func (p *Pending) sent() Sent { return SentBy(&p.Content.Content) }

// find returns the pending proposal with that reference.
func (o *Observer) find(reference []byte) (*Pending, bool) {
	for i := range o.pending {
		if bytes.Equal(o.pending[i].Reference, reference) {
			return &o.pending[i], true
		}
	}
	return nil, false
}

// commit begins the next epoch (RFC 9420, Section 12.4.2).
func (o *Observer) commit(content *wire.AuthenticatedContent, c *Config) (*Observer, Change, error) {
	commit := content.Content.Commit
	list, err := o.resolve(&content.Content.Sender, commit.Proposals)
	if err != nil {
		return nil, Change{}, err
	}
	staged, err := o.state.StageFrom(&content.Content.Sender, list, c)
	if err != nil {
		return nil, Change{}, err
	}
	if err := staged.ApplyPath(commit.Path); err != nil {
		return nil, Change{}, err
	}
	state, err := staged.Next()
	if err != nil {
		return nil, Change{}, err
	}
	s := state.Tree.suite
	state.Context.ConfirmedTranscriptHash = confirmedHash(s, o.interim, content)
	interim := interimHash(s, state.Context.ConfirmedTranscriptHash, content.Auth.ConfirmationTag)
	return &Observer{state: state, interim: interim}, staged.Change, nil
}

// resolve returns the proposals of a commit, looking up those that are
// referred to.
func (o *Observer) resolve(committer *wire.Sender, proposals []wire.ProposalOrRef) ([]Sent, error) {
	references := make(map[string]Sent, len(o.pending))
	for _, p := range o.pending {
		sent := p.sent()
		sent.Verified = true
		references[string(p.Reference)] = sent
	}
	list := make([]Sent, len(proposals))
	for i, p := range proposals {
		if p.Type == wire.ProposalOrRefTypeProposal {
			list[i] = Covered(committer, p.Proposal)
			continue
		}
		sent, ok := references[string(p.Reference)]
		if !ok {
			return nil, fmt.Errorf("proposal %d: %w", i, ErrUnknownReference)
		}
		list[i] = sent
	}
	return list, nil
}
