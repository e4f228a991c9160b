package mls

import (
	"parley/mls/wire"
)

// choose returns the proposals that wait and that a commit of this member may
// hold beside values: "If the committer has received multiple such proposals
// they SHOULD prefer any Remove received, or the most recent Update if there
// are no Removes" (RFC 9420, Section 12.2). Who comes first is added, and the
// first extensions count.
func (g *Group) choose(values []wire.Proposal) []*proposal {
	c := choice{
		own:     g.OwnLeaf(),
		leaves:  make(map[wire.LeafIndex]int),
		signers: make(map[string]struct{}),
	}
	for i := range values {
		c.take(&values[i], c.own, -1)
	}
	taken := make([]bool, len(g.proposals))
	// Removes first, then the rest from the last to the first, so that the
	// last update of a leaf is met before the others; adds and extensions are
	// then settled from the first.
	order := [][]wire.ProposalType{
		{wire.ProposalTypeRemove}, {wire.ProposalTypeUpdate},
		{wire.ProposalTypeAdd, wire.ProposalTypeGroupContextExtensions},
	}
	for pass, types := range order {
		for i := range g.proposals {
			if pass == 1 {
				i = len(g.proposals) - 1 - i
			}
			s := g.proposals[i].sent()
			for _, t := range types {
				if s.Proposal.ProposalType == t {
					taken[i] = c.take(s.Proposal, s.Sender, i)
				}
			}
		}
	}
	var chosen []*proposal
	for i := range g.proposals {
		if taken[i] {
			chosen = append(chosen, &g.proposals[i])
		}
	}
	return chosen
}

// A choice is what has been chosen so far.
type choice struct {
	own        wire.LeafIndex
	leaves     map[wire.LeafIndex]int // updated or removed
	signers    map[string]struct{}    // added
	extensions bool
}

// take chooses a proposal if it fits what was chosen before.
func (c *choice) take(p *wire.Proposal, sender wire.LeafIndex, i int) bool {
	leaf := sender
	switch p.ProposalType {
	case wire.ProposalTypeRemove:
		leaf = p.Remove.Removed
	case wire.ProposalTypeAdd:
		key := string(p.Add.KeyPackage.LeafNode.SignatureKey)
		if _, twice := c.signers[key]; twice {
			return false
		}
		c.signers[key] = struct{}{}
		return true
	case wire.ProposalTypeGroupContextExtensions:
		if c.extensions {
			return false
		}
		c.extensions = true
		return true
	}
	if _, twice := c.leaves[leaf]; twice || leaf == c.own {
		return false
	}
	c.leaves[leaf] = i
	return true
}
