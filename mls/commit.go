package mls

import (
	"fmt"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// CommitOptions say what a commit does. The zero value, with Now, commits the
// proposals that wait; if there are none, it renews this member's keys.
type CommitOptions struct {
	MessageOptions
	// Adds and Removes are made in this commit, in this order.
	Adds    []*wire.KeyPackage
	Removes []wire.LeafIndex
	// Extensions replace those of the GroupContext; nil leaves them.
	Extensions *wire.Extensions
	// PSKs are mixed into the next epoch, in this order. Their nonces are made
	// anew.
	PSKs []wire.PreSharedKeyID
	// ReInit ends the group; nothing else may be in the commit. Reinitialize founds
	// the one that follows.
	ReInit *wire.ReInit
	// Custom are proposals of the application's own types.
	Custom []wire.Proposal
	// IgnorePending leaves the proposals that wait out.
	IgnorePending bool
	// Cover are the places in PendingProposals of those the commit covers, in this
	// order; none of them is left out. Nil covers all that fit.
	Cover []int
	// ForcePath renews this member's keys even if nothing requires it.
	ForcePath bool
	// Leaf says what changes in this member's leaf; if anything does, keys are
	// renewed too.
	Leaf LeafOptions
	// WelcomeTree puts the ratchet tree into the Welcome, for newcomers who are not
	// given it apart. Large groups should not: each newcomer's copy has all of it.
	WelcomeTree bool

	predecessor *Group // of a group that is being founded
	succession  wire.ResumptionPSKUsage
}

// A Pending is a commit that was made and not accepted yet. If it is, Next
// takes the place of the Group it was made of; if another commit was first, it
// is thrown away.
//
// Next.TakeChanges are to be stored beside the old Group's records, apart from
// them, before Commit leaves (I7). When it is accepted, what the old Group has
// changed is taken and written, and then these: they fit, whatever the old
// Group has sealed and opened meanwhile.
type Pending struct {
	Next *Group
	// Commit is an MLSMessage for all members.
	Commit []byte
	// Welcome is an MLSMessage for those who are added, nil if nobody is. It
	// must not leave before the commit is accepted (RFC 9420, Section 14).
	Welcome []byte
	// GroupInfo is an MLSMessage that describes the new epoch, with external_pub
	// and without the tree.
	GroupInfo []byte
	// Change says what the commit does.
	Change tree.Change
}

// Commit makes a commit (RFC 9420, Section 12.4.1). It covers the proposals
// that wait, by reference, but for those that a commit of this member can not
// hold: updates of its own, its own removal, what contradicts another proposal
// (a removal wins over updates, the last update over others), and what has
// become invalid. It renews keys unless it only adds members. The work is in
// proportion to the logarithm of the members, plus the blank nodes next to the
// path and what is changed.
//
// It fails with an error of mls/tree if what is asked for is not valid. It does
// not change g, but for the ratchet if Private is set.
func (g *Group) Commit(o CommitOptions) (*Pending, error) {
	p, err := g.commit(&o)
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return p, nil
}

func (g *Group) commit(o *CommitOptions) (*Pending, error) {
	if err := g.active(); err != nil {
		return nil, err
	}
	list, st, err := g.stage(o)
	if err != nil {
		return nil, err
	}
	c := &committed{group: g, options: o, staged: st, commit: wire.Commit{Proposals: list}}
	c.renewLeaf = func(key []byte) (wire.LeafNode, *suite.SignaturePrivateKey) { return g.renewLeaf(o.Leaf, key) }
	c.keys, c.signer, c.secret = g.keys, g.signer, make([]byte, g.suite.HashSize())
	if err := c.renew(); err != nil {
		return nil, err
	}
	return c.finish()
}

// stage chooses the proposals of a commit and applies them.
func (g *Group) stage(o *CommitOptions) ([]wire.ProposalOrRef, *tree.Staged, error) {
	values := o.values(g.suite)
	c := g.config(o.Now)
	c.Succession = o.succession
	refs, err := g.cover(o, values, c)
	if err != nil {
		return nil, nil, err
	}
	st, err := g.state.Stage(g.OwnLeaf(), g.sents(refs, values), c)
	if err != nil {
		return nil, nil, err
	}
	list := make([]wire.ProposalOrRef, 0, len(refs)+len(values))
	for _, p := range refs {
		list = append(list, wire.ByReference(p.ref))
	}
	for _, p := range values {
		list = append(list, wire.ByValue(p))
	}
	return list, st, nil
}

// fitting leaves out of refs what makes the commit invalid: a key package that
// has expired, a client that is a member already. If those that are valid by
// themselves are not together, all are left out.
func (g *Group) fitting(refs []*proposal, values []wire.Proposal, c *tree.Config) []*proposal {
	fit := func(refs []*proposal, values []wire.Proposal) bool {
		st, err := g.state.Stage(g.OwnLeaf(), g.sents(refs, values), c)
		if err == nil {
			_, err = st.Next()
		}
		return err == nil
	}
	if len(refs) == 0 || fit(refs, values) {
		return refs
	}
	var alone []*proposal
	for i := range refs {
		if fit(refs[i:i+1], nil) {
			alone = append(alone, refs[i])
		}
	}
	if fit(alone, values) {
		return alone
	}
	return nil
}

// values are the proposals that o makes.
func (o *CommitOptions) values(s *suite.Suite) []wire.Proposal {
	var list []wire.Proposal
	for _, kp := range o.Adds {
		list = append(list, wire.Proposal{ProposalType: wire.ProposalTypeAdd, Add: &wire.Add{KeyPackage: *kp}})
	}
	for _, leaf := range o.Removes {
		list = append(list, wire.Proposal{ProposalType: wire.ProposalTypeRemove, Remove: &wire.Remove{Removed: leaf}})
	}
	if o.Extensions != nil {
		list = append(list, wire.Proposal{
			ProposalType:           wire.ProposalTypeGroupContextExtensions,
			GroupContextExtensions: &wire.GroupContextExtensions{Extensions: *o.Extensions},
		})
	}
	for _, id := range o.PSKs {
		list = append(list, injection(s, id))
	}
	if o.ReInit != nil {
		list = append(list, wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: o.ReInit})
	}
	return append(list, o.Custom...)
}

// sents lists proposals by reference and by value.
func (g *Group) sents(refs []*proposal, values []wire.Proposal) []tree.Sent {
	list := make([]tree.Sent, 0, len(refs)+len(values))
	for _, p := range refs {
		list = append(list, p.sent())
	}
	for i := range values {
		list = append(list, tree.Sent{Proposal: &values[i], Sender: g.OwnLeaf()})
	}
	return list
}
