package tree

import (
	"fmt"

	"parley/mls/suite"
	"parley/mls/wire"
)

// VerifyProposal verifies a single proposal in the epoch of s (RFC 9420,
// Section 12.1), as far as it can be judged without the commit.
func (s State) VerifyProposal(sent Sent, c *Config) error {
	if err := s.verifyProposal(sent, c); err != nil {
		return fmt.Errorf("verify proposal: %w", err)
	}
	return nil
}

func (s State) verifyProposal(sent Sent, c *Config) error {
	switch p := sent.Proposal; p.ProposalType {
	case wire.ProposalTypeAdd:
		return c.keyPackage(s.Tree.suite, &p.Add.KeyPackage)
	case wire.ProposalTypeUpdate:
		return s.verifyUpdate(sent.Sender, &p.Update.LeafNode, c)
	case wire.ProposalTypeRemove:
		if _, ok := s.Tree.LeafBytes(p.Remove.Removed); !ok {
			return fmt.Errorf("remove leaf %d: %w", p.Remove.Removed, ErrBlankLeaf)
		}
		return nil
	case wire.ProposalTypeGroupContextExtensions:
		return c.verifyExtensions(s.Tree.suite, p.GroupContextExtensions.Extensions)
	default:
		return fmt.Errorf("%w: %v", ErrUnsupportedProposal, p.ProposalType)
	}
}

// verifyUpdate verifies the leaf node of an Update (RFC 9420, Sections 7.3 and
// 12.1.2).
func (s State) verifyUpdate(sender wire.LeafIndex, leaf *wire.LeafNode, c *Config) error {
	old, ok := s.Tree.Leaf(sender)
	switch {
	case !ok:
		return fmt.Errorf("update leaf %d: %w", sender, ErrBlankLeaf)
	case leaf.LeafNodeSource != wire.LeafNodeSourceUpdate:
		return fmt.Errorf("%w: %v in an update", ErrLeafSource, leaf.LeafNodeSource)
	case string(leaf.EncryptionKey) == string(old.EncryptionKey):
		return fmt.Errorf("update leaf %d: %w", sender, ErrUpdateKey)
	}
	if err := c.leafNode(s.Tree.suite, leaf, place{s.Context.GroupID, sender}); err != nil {
		return err
	}
	return c.successor(&old, leaf)
}

// verifyExtensions verifies that the extensions of a GroupContext that the RFC
// defines can be read (RFC 9420, Section 12.1.7), and the credentials of
// external senders among them (Section 5.3.1).
func (c *Config) verifyExtensions(s *suite.Suite, extensions wire.Extensions) error {
	if _, _, err := wire.FindExtension[wire.RequiredCapabilities](extensions, wire.ExtensionTypeRequiredCapabilities); err != nil {
		return err
	}
	senders, _, err := wire.FindExtension[wire.ExternalSenders](extensions, wire.ExtensionTypeExternalSenders)
	if err != nil {
		return err
	}
	for i, sender := range senders {
		if err := s.CheckSignatureKey(sender.SignatureKey); err != nil {
			return fmt.Errorf("external sender %d: %w: %w", i, ErrSignatureKey, err)
		}
		if err := c.credential(s, sender.Credential, sender.SignatureKey); err != nil {
			return fmt.Errorf("external sender %d: %w", i, err)
		}
	}
	return nil
}
