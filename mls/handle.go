package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/mls/tree"
	"parley/mls/wire"
)

// A Result is what a handshake message of another member did.
type Result struct {
	// Next is the Group of the next epoch after a commit, nil after a proposal
	// and if the commit removed this member.
	Next *Group
	// Removed says that the commit removed this member: the group goes on
	// without it, and g is only good for late messages.
	Removed bool
	// Change says what the message did: which proposal is now pending, or who
	// was added, removed and updated.
	Change tree.Change
	// AuthenticatedData is what its sender signed with it.
	AuthenticatedData []byte
}

// Handle verifies a proposal or commit of another member, in an MLSMessage, and
// applies it. A proposal is kept in g until the epoch ends; one that is known
// already changes nothing. A commit leaves g as it is, but for a ratchet if it
// was a PrivateMessage, and its Next has not only its own changes to be taken
// but also those that were not taken from g. Now is the time at which lifetimes
// are judged; zero: they are not.
//
// It fails with ErrOwnMessage for this member's own commit, whose next epoch is
// in its Pending, and for its own PrivateMessages; with ErrPastEpoch, ErrFutureEpoch
// or ErrOtherGroup if the message is not for this epoch; with ErrUnsupported for a
// proposal type that is not registered, and for senders from outside the group if
// none are accepted; with ErrUnknownProposal if a commit covers a proposal that has
// not come; with ErrNoPSK if it needs a pre-shared key that is not known; with
// ErrSuspended after a ReInit; or with ErrInvalid, ErrNotMember, or an error of
// mls/tree, mls/suite or mls/wire.
func (g *Group) Handle(message []byte, now time.Time) (*Result, error) {
	m, err := wire.Unmarshal[wire.MLSMessage](bytes.Clone(message))
	if err != nil {
		return nil, fmt.Errorf("handle: %w", err)
	}
	h := handling{group: g, config: g.config(now)}
	if err := h.unprotect(&m); err != nil {
		return nil, fmt.Errorf("handle: %w", err)
	}
	r, err := h.apply()
	if errors.Is(err, tree.ErrUnsupportedProposal) {
		err = fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("handle %v of %s: %w", h.content.Content.ContentType, describeSender(&h.content.Content.Sender), err)
	}
	return r, nil
}

// describeSender names a sender in an error.
func describeSender(s *wire.Sender) string {
	switch s.SenderType {
	case wire.SenderTypeMember:
		return fmt.Sprintf("leaf %d", s.LeafIndex)
	case wire.SenderTypeExternal:
		return fmt.Sprintf("external sender %d", s.SenderIndex)
	}
	return s.SenderType.String()
}

// A handling is a handshake message being handled.
type handling struct {
	group   *Group
	config  *tree.Config
	content wire.AuthenticatedContent
	used    *used // of a private message, still to be moved past
}

// unprotect checks that the message is for this epoch and made by whom it
// says.
func (h *handling) unprotect(m *wire.MLSMessage) (err error) {
	g := h.group
	switch {
	case m.PublicMessage != nil:
		c := &m.PublicMessage.Content
		if err := g.checkCurrent(c.GroupID, c.Epoch); err != nil {
			return err
		}
		if c.Sender.SenderType != wire.SenderTypeMember {
			return h.unprotectOutside(m.PublicMessage)
		}
		h.content, err = g.epoch.unprotectPublic(m.PublicMessage, g.state.Tree.LeafBytes)
		return err
	case m.PrivateMessage != nil:
		if t := m.PrivateMessage.ContentType; t == wire.ContentTypeApplication {
			return fmt.Errorf("%v: %w", t, ErrInvalid)
		}
		if err := g.checkCurrent(m.PrivateMessage.GroupID, m.PrivateMessage.Epoch); err != nil {
			return err
		}
		var u used
		h.content, u, err = g.epoch.unprotectPrivate(m.PrivateMessage, g.state.Tree.LeafBytes)
		h.used = &u
		return err
	}
	return fmt.Errorf("%v: %w", m.WireFormat, ErrInvalid)
}

// unprotectOutside checks that a message from outside the group was made by
// whom it says (RFC 9420, Section 6.1), if any such is accepted.
func (h *handling) unprotectOutside(m *wire.PublicMessage) error {
	if err := h.config.VerifySender(&m.Content.Sender); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	h.content = m.Authenticated()
	return h.group.state.VerifySignature(&h.content)
}

// checkCurrent refuses what is not for this epoch.
func (g *Group) checkCurrent(groupID []byte, number uint64) error {
	if err := g.checkGroup(groupID); err != nil {
		return err
	}
	if err := g.active(); err != nil {
		return err
	}
	current := g.Epoch()
	switch {
	case number < current:
		return epochError(number, current, ErrPastEpoch)
	case number > current:
		return epochError(number, current, ErrFutureEpoch)
	}
	return nil
}

// apply does what the message says.
func (h *handling) apply() (*Result, error) {
	if h.content.Content.ContentType == wire.ContentTypeProposal {
		return h.proposal()
	}
	if h.content.Content.Sender == wire.Member(h.group.OwnLeaf()) {
		return nil, ErrOwnMessage
	}
	return h.commit()
}

// proposal keeps a proposal.
func (h *handling) proposal() (*Result, error) {
	g, p := h.group, proposal{content: h.content}
	sent := p.sent()
	if sent.Proposal.ProposalType == wire.ProposalTypeSelfRemove && h.content.WireFormat != wire.WireFormatPublicMessage {
		return nil, fmt.Errorf("%w: in a %v", tree.ErrSelfRemove, h.content.WireFormat)
	}
	err := g.admit(&p)
	if err == nil {
		if err := g.state.VerifyProposal(sent, h.config); err != nil {
			return nil, err
		}
		g.keepProposal(p)
	} else if err != errKnown {
		return nil, err
	}
	h.use()
	return h.result(tree.Change{Sender: sent.Sender, Outside: sent.Outside, Proposal: sent.Proposal, Reference: p.ref}), nil
}

// use moves past the key of a private message.
func (h *handling) use() {
	if h.used != nil {
		h.group.use(h.group.epoch, h.used)
	}
}

// result is what Handle returns.
func (h *handling) result(change tree.Change) *Result {
	return &Result{Change: change, AuthenticatedData: h.content.Content.AuthenticatedData}
}

// commit applies a commit of another member (RFC 9420, Section 12.4.2).
func (h *handling) commit() (*Result, error) {
	g, commit := h.group, h.content.Content.Commit
	sender := &h.content.Content.Sender
	list, err := g.covered(commit, sender)
	if err != nil {
		return nil, err
	}
	st, err := g.state.StageFrom(sender, list, h.config)
	if err != nil {
		return nil, err
	}
	if err := st.ApplyPath(commit.Path); err != nil {
		return nil, err
	}
	state, err := st.Next()
	if err != nil {
		return nil, err
	}
	r := h.result(st.Change)
	if slices.ContainsFunc(st.Change.Removed, func(m tree.Member) bool { return m.Index == g.OwnLeaf() }) {
		r.Removed = true
		h.use()
		return r, nil
	}
	if r.Next, err = h.advance(state, st); err != nil {
		return nil, err
	}
	h.use()
	for id := range g.changed {
		r.Next.changed.add(id)
	}
	return r, nil
}

// advance learns the commit's secrets and verifies its confirmation tag.
func (h *handling) advance(state tree.State, st *tree.Staged) (*Group, error) {
	g, path := h.group, h.content.Content.Commit.Path
	tr := &transition{
		state: state, change: &st.Change, commit: &h.content,
		commitSecret: make([]byte, g.suite.HashSize()),
	}
	if err := g.blend(tr); err != nil {
		return nil, err
	}
	tr.keys, tr.signer = g.ring(&st.Change)
	tr.keys = tr.keys.next(state.Tree, nil)
	if path != nil {
		p, err := tr.keys.decrypt(&renewal{
			tree: state.Tree, sender: st.Change.Sender, added: st.Added, context: wire.Marshal(state.Context),
		}, g.OwnLeaf(), path.Nodes)
		if err != nil {
			return nil, err
		}
		tr.commitSecret, tr.keys = p.commit, tr.keys.next(state.Tree, p)
	}
	next := g.advance(tr).next
	confirmed := next.state.Context.ConfirmedTranscriptHash
	if !g.suite.VerifyMAC(next.secrets.confirmation, confirmed, h.content.Auth.ConfirmationTag) {
		return nil, ErrConfirmationTag
	}
	return next, nil
}

// covered returns the proposals a commit covers.
func (g *Group) covered(commit *wire.Commit, sender *wire.Sender) ([]tree.Sent, error) {
	list := make([]tree.Sent, len(commit.Proposals))
	for i, p := range commit.Proposals {
		if p.Proposal != nil {
			list[i] = tree.Covered(sender, p.Proposal)
			continue
		}
		known := g.pending(p.Reference)
		if known == nil {
			return nil, fmt.Errorf("proposal %x: %w", p.Reference[:min(len(p.Reference), maxSecret)], ErrUnknownProposal)
		}
		list[i] = known.sent()
	}
	return list, nil
}
