package tree

import (
	"fmt"

	"parley/mls/wire"
)

// StageExternal is Stage of an external commit, whose sender is not a member
// yet (RFC 9420, Sections 12.2 and 12.4.3.2): it gets the leftmost blank leaf,
// which is Change.Sender. The committer calls Join before SetPath.
func (s State) StageExternal(list []Sent, c *Config) (*Staged, error) {
	st := &Staged{
		Draft: s.Tree.Edit(), state: s, config: c, PathRequired: true, external: true,
		Change: Change{Commit: true, Outside: &wire.Sender{SenderType: wire.SenderTypeNewMemberCommit}},
	}
	err := st.verifyExternal(list)
	if err == nil {
		err = st.apply(list)
	}
	if err == nil {
		st.committer, err = st.Draft.Vacant()
		st.Change.Sender = st.committer
	}
	if err != nil {
		return nil, fmt.Errorf("stage external commit: %w", err)
	}
	return st, nil
}

// verifyExternal: an external commit has exactly one ExternalInit, at most one
// Remove, PreSharedKeys, SelfRemoves by reference, and no other proposals.
func (st *Staged) verifyExternal(list []Sent) error {
	l := listing{st, make(map[wire.LeafIndex]struct{}), make(map[string]struct{})}
	for i, sent := range list {
		if err := st.config.accept(sent); err != nil {
			return fmt.Errorf("proposal %d: %w", i, err)
		}
		if err := l.amongExternal(sent); err != nil {
			return fmt.Errorf("proposal %d: %w", i, err)
		}
	}
	if st.Change.External == nil {
		return ErrOneExternalInit
	}
	return nil
}

func (l *listing) amongExternal(sent Sent) error {
	st, p := l.staged, sent.Proposal
	if sent.ByReference && p.ProposalType != wire.ProposalTypeSelfRemove {
		return fmt.Errorf("%w: %v", ErrExternalReference, p.ProposalType)
	}
	switch p.ProposalType {
	case wire.ProposalTypeExternalInit:
		if st.Change.External != nil {
			return ErrOneExternalInit
		}
		st.Change.External = &wire.ExternalInit{KEMOutput: p.ExternalInit.KEMOutput}
		return nil
	case wire.ProposalTypePSK:
		if err := st.state.verifyPSK(&p.PreSharedKey.PSK, st.config); err != nil {
			return err
		}
		return l.psk(p.PreSharedKey)
	case wire.ProposalTypeSelfRemove:
		if err := st.state.verifySelfRemove(sent); err != nil {
			return err
		}
		return l.selfRemove(sent)
	case wire.ProposalTypeRemove:
		if st.resync != nil {
			return ErrExternalRemoves
		}
		old, ok := st.state.Tree.Leaf(p.Remove.Removed)
		if !ok {
			return fmt.Errorf("remove leaf %d: %w", p.Remove.Removed, ErrBlankLeaf)
		}
		st.resync = &old
		return l.leaf(p.Remove.Removed)
	}
	return fmt.Errorf("%w: %v", ErrExternalProposal, p.ProposalType)
}

// Join gives the sender of an external commit its leaf, as its committer does:
// unsigned, SetLeaf replaces it.
func (st *Staged) Join(leaf wire.LeafNode) error {
	if !st.external {
		panic("BUG: Join of a commit that is not external")
	}
	_, err := st.Draft.Add(leaf)
	return err
}

// verifyResync: "If a Remove proposal is present, then the LeafNode in the path
// field of the external Commit MUST meet the same criteria as would the
// LeafNode in an Update for the removed leaf" (RFC 9420, Section 12.2).
func (st *Staged) verifyResync(leaf *wire.LeafNode) error {
	if st.resync == nil {
		return nil
	}
	if string(leaf.EncryptionKey) == string(st.resync.EncryptionKey) {
		return fmt.Errorf("external commit: %w", ErrUpdateKey)
	}
	return st.config.successor(st.resync, leaf)
}
