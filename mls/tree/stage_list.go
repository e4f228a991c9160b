package tree

import (
	"fmt"

	"parley/mls/wire"
)

// MaxPSKs is how many pre-shared keys one commit may mix in; more are refused
// with ErrTooManyPSKs.
const MaxPSKs = 1024

// A listing is a list of proposals being verified (RFC 9420, Section 12.2).
type listing struct {
	staged *Staged
	leaves map[wire.LeafIndex]struct{} // updated or removed
	psks   map[string]struct{}
}

// verifyList verifies each proposal, and the rules about them together.
func (st *Staged) verifyList(list []Sent) error {
	l := listing{st, make(map[wire.LeafIndex]struct{}), make(map[string]struct{})}
	err := st.config.Parallel.Each(len(list), func(i int) error {
		verify := st.state.verifyProposal
		if list[i].Verified {
			verify = stillValid
		}
		if err := verify(list[i], st.config); err != nil {
			return fmt.Errorf("proposal %d: %w", i, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, sent := range list {
		if err := l.among(sent); err != nil {
			return fmt.Errorf("proposal %d: %w", i, err)
		}
	}
	if st.Change.ReInit != nil && len(list) > 1 {
		return ErrReInitAlone
	}
	return nil
}

// stillValid verifies of a proposal that was valid when it came what time may
// have changed.
func stillValid(sent Sent, c *Config) error {
	if sent.Proposal.ProposalType != wire.ProposalTypeAdd {
		return nil
	}
	return c.lifetime(sent.Proposal.Add.KeyPackage.LeafNode.Lifetime)
}

// among verifies what depends on the committer and the proposals before.
func (l *listing) among(sent Sent) error {
	st := l.staged
	switch p := sent.Proposal; p.ProposalType {
	case wire.ProposalTypeAdd:
		return nil
	case wire.ProposalTypePSK:
		return l.psk(p.PreSharedKey)
	case wire.ProposalTypeReInit:
		reinit := copied[wire.ReInit](wire.Marshal(p.ReInit))
		st.Change.ReInit = &reinit
		return nil
	case wire.ProposalTypeGroupContextExtensions:
		if st.Change.ExtensionsReplaced {
			return ErrTwoExtensions
		}
		st.Change.ExtensionsReplaced, st.PathRequired = true, true
		return nil
	case wire.ProposalTypeUpdate:
		if sent.Sender == st.committer {
			return ErrUpdateByCommitter
		}
		return l.leaf(sent.Sender)
	case wire.ProposalTypeRemove:
		if p.Remove.Removed == st.committer {
			return ErrRemoveCommitter
		}
		return l.leaf(p.Remove.Removed)
	case wire.ProposalTypeSelfRemove:
		if sent.ByReference && sent.Sender == st.committer {
			return ErrRemoveCommitter
		}
		return l.selfRemove(sent)
	case wire.ProposalTypeExternalInit:
		return ErrExternalInit
	default:
		st.custom(sent)
		return nil
	}
}

// custom takes a proposal of the application's own.
func (st *Staged) custom(sent Sent) {
	st.PathRequired = st.PathRequired || st.config.Custom[sent.Proposal.ProposalType].PathRequired
	st.Change.Custom = append(st.Change.Custom, sent)
}

// leaf: no two Updates or Removes apply to one leaf.
func (l *listing) leaf(i wire.LeafIndex) error {
	l.staged.PathRequired = true
	if _, twice := l.leaves[i]; twice {
		return fmt.Errorf("leaf %d: %w", i, ErrSameLeaf)
	}
	l.leaves[i] = struct{}{}
	return nil
}

// selfRemove: "SelfRemove proposals are only allowed in a Commit by reference"
// (draft-ietf-mls-extensions).
func (l *listing) selfRemove(sent Sent) error {
	if !sent.ByReference {
		return fmt.Errorf("%w: by value", ErrSelfRemove)
	}
	return l.leaf(sent.Sender)
}

// psk: no two proposals reference the same PreSharedKeyID.
func (l *listing) psk(p *wire.PreSharedKey) error {
	id := wire.Marshal(p.PSK)
	if _, twice := l.psks[string(id)]; twice {
		return ErrDuplicatePSK
	}
	if len(l.psks) == MaxPSKs {
		return ErrTooManyPSKs
	}
	l.psks[string(id)] = struct{}{}
	l.staged.Change.PSKs = append(l.staged.Change.PSKs, copied[wire.PreSharedKeyID](id))
	return nil
}

// verifyCustom: a commit contains no "Proposal with a non-default proposal type
// that is not supported by some members of the group that will process the
// Commit (i.e., members being added or removed by the Commit do not need to
// support the proposal type)" (RFC 9420, Section 12.2).
func (st *Staged) verifyCustom() error {
	t := st.state.Tree
	for _, sent := range st.Change.Custom {
		kind := sent.Proposal.ProposalType
		able, stay := t.support.count(supportsProposal|trait(kind)), t.Size()
		for i := range st.Change.Removed {
			stay--
			if st.Change.Removed[i].LeafNode.Capabilities.SupportsProposal(kind) {
				able--
			}
		}
		if able != stay {
			return fmt.Errorf("%w: %v by %d of %d members", ErrUnsupportedProposal, kind, able, stay)
		}
	}
	return nil
}
