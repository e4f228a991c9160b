package mls

import (
	"fmt"

	"parley/mls/tree"
	"parley/mls/wire"
)

// cover returns the proposals that a commit covers beside values: those that o
// names, or those that fit.
func (g *Group) cover(o *CommitOptions, values []wire.Proposal, c *tree.Config) ([]*proposal, error) {
	if o.IgnorePending {
		return nil, nil
	}
	if o.Cover == nil {
		return g.fitting(g.choose(values), values, c), nil
	}
	refs := make([]*proposal, len(o.Cover))
	for i, at := range o.Cover {
		if at < 0 || at >= len(g.proposals) {
			return nil, fmt.Errorf("cover number %d of %d that wait: %w", at, len(g.proposals), ErrUnknownProposal)
		}
		refs[i] = &g.proposals[at]
	}
	return refs, nil
}

// choose returns the proposals that wait and that a commit of this member may
// hold beside values: "If the committer has received multiple such proposals
// they SHOULD prefer any Remove received, or the most recent Update if there
// are no Removes", and other proposals rather than a ReInit (RFC 9420,
// Section 12.2). Who comes first is added, and the first extensions count. A
// SelfRemove makes a Remove of the same member invalid
// (draft-ietf-mls-extensions).
func (g *Group) choose(values []wire.Proposal) []*proposal {
	c := choice{
		group:   g,
		leaves:  make(map[wire.LeafIndex]struct{}),
		signers: make(map[string]struct{}),
		psks:    make(map[string]struct{}),
	}
	for i := range values {
		c.take(tree.Sent{Proposal: &values[i], Sender: g.OwnLeaf()})
	}
	taken := make([]bool, len(g.proposals))
	for r := range ranks {
		for i := range g.proposals {
			if r == rankUpdate { // the last one of a leaf is met before the others
				i = len(g.proposals) - 1 - i
			}
			s := g.proposals[i].sent()
			if rankOf(s.Proposal) == r {
				taken[i] = c.take(s)
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

// A rank says when a proposal is chosen: lower ones win over higher ones.
type rank int

const (
	rankSelfRemove rank = iota
	rankRemove
	rankUpdate
	rankRest
	rankReInit
	ranks
)

// rankOf returns the rank of a proposal.
func rankOf(p *wire.Proposal) rank {
	switch p.ProposalType {
	case wire.ProposalTypeSelfRemove:
		return rankSelfRemove
	case wire.ProposalTypeRemove:
		return rankRemove
	case wire.ProposalTypeUpdate:
		return rankUpdate
	case wire.ProposalTypeReInit:
		return rankReInit
	}
	return rankRest
}

// A choice is what has been chosen so far.
type choice struct {
	group      *Group
	leaves     map[wire.LeafIndex]struct{} // updated or removed
	signers    map[string]struct{}         // added
	psks       map[string]struct{}
	extensions bool
	any        bool
}

// take chooses a proposal if it fits what was chosen before.
func (c *choice) take(s tree.Sent) bool {
	ok := c.fits(s)
	c.any = c.any || ok
	return ok
}

func (c *choice) fits(s tree.Sent) bool {
	switch p := s.Proposal; p.ProposalType {
	case wire.ProposalTypeRemove:
		return c.leaf(p.Remove.Removed)
	case wire.ProposalTypeUpdate, wire.ProposalTypeSelfRemove:
		return c.leaf(s.Sender)
	case wire.ProposalTypeAdd:
		return first(c.signers, p.Add.KeyPackage.LeafNode.SignatureKey)
	case wire.ProposalTypePSK:
		id := &p.PreSharedKey.PSK
		_, known := c.group.finder(nil)(id)
		return known && len(c.psks) < tree.MaxPSKs && first(c.psks, wire.Marshal(*id))
	case wire.ProposalTypeGroupContextExtensions:
		ok := !c.extensions
		c.extensions = true
		return ok
	case wire.ProposalTypeReInit:
		return !c.any
	}
	return true
}

// leaf reports whether leaf i is not the committer's, and is met first.
func (c *choice) leaf(i wire.LeafIndex) bool {
	if _, twice := c.leaves[i]; twice || i == c.group.OwnLeaf() {
		return false
	}
	c.leaves[i] = struct{}{}
	return true
}

// first reports whether key is met first.
func first(seen map[string]struct{}, key []byte) bool {
	_, twice := seen[string(key)]
	seen[string(key)] = struct{}{}
	return !twice
}
