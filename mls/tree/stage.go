package tree

import (
	"fmt"

	"parley/mls/wire"
)

// A State is an epoch of a group as anybody may know it.
type State struct {
	Context wire.GroupContext
	Tree    *Tree
}

// A Staged is a commit whose proposals are valid and applied, and whose path is
// not: a draft of the next state. It belongs to one caller. A committer calls
// SetPath and SetLeaf, a receiver ApplyPath; both end with Next.
type Staged struct {
	// Draft is the next tree.
	Draft *Edit
	// Added are the leaves of new members, in increasing order: path secrets are
	// not encrypted to them.
	Added []wire.LeafIndex
	// Change is what the proposals do; ApplyPath adds what the path does.
	Change Change
	// PathRequired says that the commit must have an update path.
	PathRequired bool

	state     State
	committer wire.LeafIndex
	config    *Config
	external  bool           // the committer is not a member yet
	resync    *wire.LeafNode // what an external commit removes
}

// Stage verifies the proposals of a commit as a list (RFC 9420, Section 12.2)
// and applies them (Section 12.3). What only shows in the whole tree, such as a
// key used twice or a capability that is missing, shows in Next. It fails with
// one of the errors of this package and changes nothing.
func (s State) Stage(committer wire.LeafIndex, list []Sent, c *Config) (*Staged, error) {
	if _, ok := s.Tree.LeafBytes(committer); !ok {
		return nil, fmt.Errorf("stage commit: committer %d: %w", committer, ErrBlankLeaf)
	}
	st := &Staged{
		Draft: s.Tree.Edit(), state: s, committer: committer, config: c, PathRequired: len(list) == 0,
		Change: Change{Sender: committer, Commit: true},
	}
	if err := st.verifyList(list); err != nil {
		return nil, fmt.Errorf("stage commit: %w", err)
	}
	if err := st.apply(list); err != nil {
		return nil, fmt.Errorf("stage commit: %w", err)
	}
	return st, nil
}

// StageFrom is Stage or StageExternal, as the sender of the commit asks.
func (s State) StageFrom(committer *wire.Sender, list []Sent, c *Config) (*Staged, error) {
	if committer.SenderType == wire.SenderTypeMember {
		return s.Stage(committer.LeafIndex, list, c)
	}
	return s.StageExternal(list, c)
}

// apply applies valid proposals in the order of RFC 9420, Section 12.3:
// extensions, updates, removes (draft-ietf-mls-extensions: those of oneself
// first), adds. PSKs, ReInit and ExternalInit are in st.Change already.
func (st *Staged) apply(list []Sent) error {
	st.Change.Extensions = st.state.Context.Extensions
	for _, order := range []wire.ProposalType{
		wire.ProposalTypeGroupContextExtensions, wire.ProposalTypeUpdate,
		wire.ProposalTypeSelfRemove, wire.ProposalTypeRemove, wire.ProposalTypeAdd,
	} {
		for i, sent := range list {
			if sent.Proposal.ProposalType != order {
				continue
			}
			if err := st.applyOne(sent); err != nil {
				return fmt.Errorf("proposal %d: %w", i, err)
			}
		}
	}
	return st.verifyCustom()
}

func (st *Staged) applyOne(sent Sent) error {
	switch p := sent.Proposal; p.ProposalType {
	case wire.ProposalTypeGroupContextExtensions:
		st.Change.Extensions = copied[wire.Extensions](wire.Marshal(p.GroupContextExtensions.Extensions))
	case wire.ProposalTypeUpdate:
		st.Change.Updated = append(st.Change.Updated, Member{sent.Sender, p.Update.LeafNode})
		return st.Draft.Update(sent.Sender, p.Update.LeafNode)
	case wire.ProposalTypeRemove:
		return st.remove(p.Remove.Removed)
	case wire.ProposalTypeSelfRemove:
		return st.remove(sent.Sender)
	case wire.ProposalTypeAdd:
		k := &p.Add.KeyPackage
		i, err := st.Draft.Add(k.LeafNode)
		if err != nil {
			return err
		}
		ref := st.state.Tree.suite.KeyPackageRef(wire.Marshal(k))
		st.Added = append(st.Added, i)
		st.Change.Added = append(st.Change.Added, Added{Member{i, k.LeafNode}, ref})
	}
	return nil
}

// remove takes a member out of the draft.
func (st *Staged) remove(i wire.LeafIndex) error {
	old, _ := st.state.Tree.Leaf(i)
	st.Change.Removed = append(st.Change.Removed, Member{i, old})
	return st.Draft.Remove(i)
}

// ApplyPath verifies the update path of a commit, which may be nil if none is
// required, and merges it into the draft (RFC 9420, Section 12.4.2).
func (st *Staged) ApplyPath(path *wire.UpdatePath) error {
	if path == nil {
		if st.PathRequired {
			return fmt.Errorf("apply path: %w", ErrPathRequired)
		}
		return nil
	}
	if err := st.applyPath(path); err != nil {
		return fmt.Errorf("apply path: %w", err)
	}
	return nil
}

func (st *Staged) applyPath(path *wire.UpdatePath) error {
	t, leaf := st.state.Tree, &path.LeafNode
	if leaf.LeafNodeSource != wire.LeafNodeSourceCommit {
		return fmt.Errorf("%w: %v in an update path", ErrLeafSource, leaf.LeafNodeSource)
	}
	if err := st.config.leafNode(t.suite, leaf, place{st.state.Context.GroupID, st.committer}); err != nil {
		return err
	}
	if st.external {
		return st.applyJoin(path)
	}
	old, _ := t.Leaf(st.committer)
	if err := st.config.successor(&old, leaf); err != nil {
		return err
	}
	if err := st.Draft.ApplyPath(st.committer, path, st.Added); err != nil {
		return err
	}
	st.renewed(*leaf)
	return nil
}

// applyJoin merges the path of an external commit.
func (st *Staged) applyJoin(path *wire.UpdatePath) error {
	if err := st.verifyResync(&path.LeafNode); err != nil {
		return err
	}
	if _, err := st.Draft.Join(path); err != nil {
		return err
	}
	st.joined(path.LeafNode)
	return nil
}

// joined records that an external commit brought its sender in.
func (st *Staged) joined(leaf wire.LeafNode) {
	st.Change.Path, st.Change.Joined = true, &Member{st.committer, leaf}
}

// SetPath gives the committer's filtered direct path in Draft new keys, from
// the bottom up, and returns the parent_hash that its new leaf node must have.
func (st *Staged) SetPath(keys [][]byte) (parentHash []byte, err error) {
	return st.Draft.SetPath(st.committer, keys)
}

// SetLeaf gives the committer the leaf node that it has signed after SetPath.
func (st *Staged) SetLeaf(leaf wire.LeafNode) error {
	if st.external {
		if err := st.verifyResync(&leaf); err != nil {
			return err
		}
	}
	if err := st.Draft.SetLeaf(st.committer, leaf); err != nil {
		return err
	}
	if st.external {
		st.joined(leaf)
		return nil
	}
	st.renewed(leaf)
	return nil
}

// renewed records that a path replaced the committer's leaf node.
func (st *Staged) renewed(leaf wire.LeafNode) {
	st.Change.Path = true
	st.Change.Updated = append(st.Change.Updated, Member{st.committer, leaf})
}

// Next returns the next state: epoch, tree hash and extensions are new, the
// confirmed transcript hash is still the old one, as in the provisional
// GroupContext of RFC 9420, Section 12.4.2. It verifies what must hold for the
// tree as a whole: unique keys, and that all members support what is in use.
func (st *Staged) Next() (State, error) {
	t, err := st.Draft.Tree()
	if err != nil {
		return State{}, fmt.Errorf("next epoch: %w", err)
	}
	if err := t.VerifySupport(st.Change.Extensions); err != nil {
		return State{}, fmt.Errorf("next epoch: %w", err)
	}
	next := State{Context: st.state.Context, Tree: t}
	next.Context.Epoch++
	next.Context.TreeHash = t.Hash()
	next.Context.Extensions = st.Change.Extensions
	return next, nil
}
