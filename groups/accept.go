package groups

import (
	"fmt"

	"parley/mls/tree"
	"parley/mls/wire"
)

// AcceptProposal is what a room takes of what MLS has: members add, remove,
// update themselves and change the policy. Nobody outside joins or proposes, no
// group is reinitialized, and no pre-shared key is mixed in. It is the same at
// the hub and in every device; the error is one of package tree.
func AcceptProposal(p tree.Sent) error {
	if p.Outside != nil {
		return fmt.Errorf("%w: %v", tree.ErrUnsupportedSender, p.Outside.SenderType)
	}
	switch t := p.Proposal.ProposalType; t {
	case wire.ProposalTypeAdd, wire.ProposalTypeUpdate, wire.ProposalTypeRemove, wire.ProposalTypeGroupContextExtensions:
		return nil
	default:
		return fmt.Errorf("%w: %v", tree.ErrUnsupportedProposal, t)
	}
}
