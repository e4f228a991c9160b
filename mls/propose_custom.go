package mls

import (
	"fmt"

	"parley/mls/tree"
	"parley/mls/wire"
)

// ProposeSelfRemove proposes that this member leaves
// (draft-ietf-mls-extensions). Unlike a Remove it can be committed by somebody
// who joins by external commit. All members must list it in their capabilities,
// or it fails with tree.ErrUnsupportedProposal; it fails with tree.ErrSelfRemove
// if o asks for a PrivateMessage, which a joiner could not read, or if one waits
// already.
func (g *Group) ProposeSelfRemove(o MessageOptions) ([]byte, error) {
	if o.Private {
		return nil, fmt.Errorf("propose self_remove: %w: in a private message", tree.ErrSelfRemove)
	}
	for i := range g.proposals {
		if s := g.proposals[i].sent(); s.Proposal.ProposalType == wire.ProposalTypeSelfRemove && s.Sender == g.OwnLeaf() {
			return nil, fmt.Errorf("propose self_remove: %w: twice", tree.ErrSelfRemove)
		}
	}
	return g.propose(proposal{}, wire.Proposal{ProposalType: wire.ProposalTypeSelfRemove}, &o)
}

// ProposeCustom proposes something of the application's own (RFC 9420,
// Section 13.2). The type must be registered in the Policy, else it fails with
// tree.ErrUnsupportedProposal.
func (g *Group) ProposeCustom(t wire.ProposalType, data []byte, o MessageOptions) ([]byte, error) {
	if !t.IsPrivate() {
		return nil, fmt.Errorf("propose %v: %w", t, tree.ErrUnsupportedProposal)
	}
	return g.propose(proposal{}, wire.Proposal{ProposalType: t, Data: data}, &o)
}
