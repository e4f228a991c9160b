package groups

import (
	"errors"
	"testing"

	"parley/mls/tree"
	"parley/mls/wire"
)

// A room takes what its policy can judge, from members, and nothing else.
func TestAcceptProposal(t *testing.T) {
	outside := &wire.Sender{SenderType: wire.SenderTypeNewMemberCommit}
	for _, c := range []struct {
		kind wire.ProposalType
		from *wire.Sender
		want error
	}{
		{wire.ProposalTypeAdd, nil, nil},
		{wire.ProposalTypeUpdate, nil, nil},
		{wire.ProposalTypeRemove, nil, nil},
		{wire.ProposalTypeGroupContextExtensions, nil, nil},
		{wire.ProposalTypeAdd, outside, tree.ErrUnsupportedSender},
		{wire.ProposalTypeExternalInit, outside, tree.ErrUnsupportedSender},
		{wire.ProposalTypePSK, nil, tree.ErrUnsupportedProposal},
		{wire.ProposalTypeReInit, nil, tree.ErrUnsupportedProposal},
		{wire.ProposalTypeSelfRemove, nil, tree.ErrUnsupportedProposal},
		{0xf123, nil, tree.ErrUnsupportedProposal},
	} {
		err := AcceptProposal(tree.Sent{Proposal: &wire.Proposal{ProposalType: c.kind}, Outside: c.from})
		if !errors.Is(err, c.want) {
			t.Errorf("%v from %v: %v, want %v", c.kind, c.from, err, c.want)
		}
	}
}
