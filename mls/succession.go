package mls

import (
	"fmt"
	"slices"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// SuccessorOptions say how a group is founded that follows another. Credential
// validator, Policy and past epochs are those of the group it follows.
type SuccessorOptions struct {
	// Members are the key packages of all others, for the suite of the new group.
	Members []*wire.KeyPackage
	// Identity of the founder, with a key of that suite, and what its leaf holds,
	// as in CreateOptions.
	Identity Identity
	Leaf     KeyPackageOptions
	// GroupID and Extensions of a branch; empty means a random name. A
	// reinitialization has those of the ReInit.
	GroupID    []byte
	Extensions wire.Extensions
	// ForcePath and WelcomeTree are as in CommitOptions.
	ForcePath, WelcomeTree bool
}

// ProposeReInit proposes to end the group and to begin it anew (RFC 9420,
// Section 12.1.5).
func (g *Group) ProposeReInit(r wire.ReInit, o MessageOptions) ([]byte, error) {
	return g.propose(proposal{}, wire.Proposal{ProposalType: wire.ProposalTypeReInit, ReInit: &r}, &o)
}

// Reinitialize founds the group that a committed ReInit asks for (RFC 9420,
// Section 11.2): the Pending's Next is at epoch 1 and its Welcome is for all
// others, who Join with g as Predecessor; there is no commit to send. Any
// member may do it. It fails with ErrSuccession if the group has not ended or
// somebody is missing.
func (g *Group) Reinitialize(o SuccessorOptions) (*Pending, error) {
	if g.reinit == nil {
		return nil, fmt.Errorf("reinitialize: group goes on: %w", ErrSuccession)
	}
	s, err := suite.Lookup(suite.ID(g.reinit.CipherSuite))
	if err != nil {
		return nil, fmt.Errorf("reinitialize: %w", err)
	}
	o.GroupID, o.Extensions = g.reinit.GroupID, g.reinit.Extensions
	p, err := g.found(s, wire.ResumptionPSKUsageReInit, &o)
	if err != nil {
		return nil, fmt.Errorf("reinitialize: %w", err)
	}
	return p, nil
}

// Branch founds a group of some of the members (RFC 9420, Section 11.3), as
// Reinitialize does; this one goes on.
func (g *Group) Branch(o SuccessorOptions) (*Pending, error) {
	p, err := g.found(g.suite, wire.ResumptionPSKUsageBranch, &o)
	if err != nil {
		return nil, fmt.Errorf("branch: %w", err)
	}
	return p, nil
}

// found makes a group whose first commit brings in the members and the
// resumption PSK of g.
func (g *Group) found(s *suite.Suite, usage wire.ResumptionPSKUsage, o *SuccessorOptions) (*Pending, error) {
	keep := g.keep
	if keep == 0 {
		keep = -1
	}
	first, err := create(&CreateOptions{
		Suite: s, GroupID: o.GroupID, Identity: o.Identity, Leaf: o.Leaf, Extensions: o.Extensions,
		Credentials: g.credentials, Policy: g.policy, PastEpochs: keep,
	})
	if err != nil {
		return nil, err
	}
	psk := ResumptionPSK(g.GroupID(), g.Epoch())
	psk.Usage = usage
	p, err := first.commit(&CommitOptions{
		MessageOptions: MessageOptions{Now: o.Leaf.Now}, Adds: o.Members, PSKs: []wire.PreSharedKeyID{psk},
		ForcePath: o.ForcePath, WelcomeTree: o.WelcomeTree, predecessor: g, succession: usage,
	})
	if err != nil {
		return nil, err
	}
	if err := g.precedes(&psk, &p.Next.state); err != nil {
		return nil, err
	}
	p.Next.changed = make(changes) // epoch 0 was never stored
	p.Next.changed.begin(p.Next, nil)
	p.Next.past, p.Commit = nil, nil
	return p, nil
}

// verifySuccession verifies that a Welcome with a resumption PSK of usage
// reinit or branch leads to what it says (RFC 9420, Section 12.4.3.1), and that
// one that should follow a group has such a PSK.
func (w *welcomed) verifySuccession(predecessor *Group, t *tree.Tree) error {
	for i := range w.secrets.PSKs {
		id := &w.secrets.PSKs[i]
		if usage(id) == 0 {
			continue
		}
		if predecessor == nil {
			return fmt.Errorf("%v without its predecessor: %w", id.Usage, ErrSuccession)
		}
		return predecessor.precedes(id, &tree.State{Context: w.info.GroupContext, Tree: t})
	}
	if predecessor != nil {
		return fmt.Errorf("neither reinit nor branch: %w", ErrSuccession)
	}
	return nil
}

// precedes verifies that next is the reinitialization or branch of g.
func (g *Group) precedes(id *wire.PreSharedKeyID, next *tree.State) error {
	context := &next.Context
	if string(id.PSKGroupID) != string(g.GroupID()) {
		return fmt.Errorf("%v of another group: %w", id.Usage, ErrSuccession)
	}
	if context.Epoch != 1 {
		return fmt.Errorf("%v at epoch %d: %w", id.Usage, context.Epoch, ErrSuccession)
	}
	if id.Usage == wire.ResumptionPSKUsageBranch {
		if context.CipherSuite != g.state.Context.CipherSuite {
			return fmt.Errorf("branch with suite %v: %w", context.CipherSuite, ErrSuccession)
		}
		return g.contains(next.Tree)
	}
	r := g.reinit
	switch {
	case r == nil || id.PSKEpoch != g.Epoch():
		return fmt.Errorf("epoch %d did not end with a reinit: %w", id.PSKEpoch, ErrSuccession)
	case string(r.GroupID) != string(context.GroupID) || r.CipherSuite != context.CipherSuite || r.Version != wire.MLS10:
		return fmt.Errorf("reinit asks for another group: %w", ErrSuccession)
	case string(wire.Marshal(r.Extensions)) != string(wire.Marshal(context.Extensions)):
		return fmt.Errorf("reinit asks for other extensions: %w", ErrSuccession)
	}
	return g.containedIn(next.Tree)
}

// contains verifies that each member of next is one of g.
func (g *Group) contains(next *tree.Tree) error {
	return matchAll(next, g.state.Tree, func(new, old wire.Credential) error { return g.credentials.Succeeds(old, new) })
}

// containedIn verifies that each member of g is one of next.
func (g *Group) containedIn(next *tree.Tree) error {
	return matchAll(g.state.Tree, next, g.credentials.Succeeds)
}

// matchAll verifies that each member of a group matches one of another: its
// credential is the same, or the application says so. It is asked about pairs
// of members only where credentials differ.
func matchAll(members, others *tree.Tree, match func(a, b wire.Credential) error) error {
	same := make(map[string]struct{}, others.Size())
	var list []wire.Credential
	for i := range others.Members() {
		leaf, _ := others.Leaf(i)
		same[string(wire.Marshal(leaf.Credential))] = struct{}{}
		list = append(list, leaf.Credential)
	}
	for i := range members.Members() {
		leaf, _ := members.Leaf(i)
		if _, ok := same[string(wire.Marshal(leaf.Credential))]; ok {
			continue
		}
		if !slices.ContainsFunc(list, func(c wire.Credential) bool { return match(leaf.Credential, c) == nil }) {
			return fmt.Errorf("no match for member %d: %w", i, ErrSuccession)
		}
	}
	return nil
}
