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
	if err := c.accept(sent); err != nil {
		return err
	}
	if err := c.verifySender(sent); err != nil {
		return err
	}
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
	case wire.ProposalTypePSK:
		return s.verifyPSK(&p.PreSharedKey.PSK, c)
	case wire.ProposalTypeReInit:
		if p.ReInit.Version < wire.MLS10 {
			return fmt.Errorf("%w: %v", ErrReInitVersion, p.ReInit.Version)
		}
		return nil
	case wire.ProposalTypeExternalInit:
		return ErrExternalInit
	case wire.ProposalTypeGroupContextExtensions:
		return c.verifyExtensions(s.Tree.suite, p.GroupContextExtensions.Extensions)
	case wire.ProposalTypeSelfRemove:
		return s.verifySelfRemove(sent)
	default:
		return c.verifyCustom(sent)
	}
}

// verifySender: "Messages from external senders containing proposal types other
// than the above MUST be rejected", and a new member proposes its own Add
// (RFC 9420, Section 12.1.8).
func (c *Config) verifySender(sent Sent) error {
	if !sent.outside() {
		return nil
	}
	t := sent.Proposal.ProposalType
	allowed := t == wire.ProposalTypeAdd
	if sent.external() {
		switch t {
		case wire.ProposalTypeRemove, wire.ProposalTypePSK, wire.ProposalTypeReInit, wire.ProposalTypeGroupContextExtensions:
			allowed = true
		default:
			allowed = allowed || c.Custom[t].External
		}
	}
	if !allowed {
		return fmt.Errorf("%w: %v from %v", ErrProposalSender, t, sent.Outside.SenderType)
	}
	return nil
}

// verifyCustom verifies a proposal of the application's own.
func (c *Config) verifyCustom(sent Sent) error {
	rule, ok := c.Custom[sent.Proposal.ProposalType]
	if !ok {
		return fmt.Errorf("%w: %v", ErrUnsupportedProposal, sent.Proposal.ProposalType)
	}
	if rule.Validate == nil {
		return nil
	}
	if err := rule.Validate(sent); err != nil {
		return fmt.Errorf("%w: %w", ErrProposalRefused, err)
	}
	return nil
}

// verifyPSK verifies a PreSharedKey (RFC 9420, Section 12.1.4).
func (s State) verifyPSK(id *wire.PreSharedKeyID, c *Config) error {
	if n := s.Tree.suite.HashSize(); len(id.PSKNonce) != n {
		return fmt.Errorf("%w: %d, not %d", ErrPSKNonce, len(id.PSKNonce), n)
	}
	if id.PSKType == wire.PSKTypeResumption && id.Usage != wire.ResumptionPSKUsageApplication && id.Usage != c.Succession {
		return fmt.Errorf("%w: %v", ErrPSKUsage, id.Usage)
	}
	return nil
}

// verifySelfRemove verifies a SelfRemove: a member sends it, in a group all of
// whose members support it (draft-ietf-mls-extensions).
func (s State) verifySelfRemove(sent Sent) error {
	if sent.outside() {
		return fmt.Errorf("%w: from %v", ErrProposalSender, sent.Outside.SenderType)
	}
	if !s.Tree.all(supportsProposal | trait(wire.ProposalTypeSelfRemove)) {
		return fmt.Errorf("%w: %v", ErrUnsupportedProposal, wire.ProposalTypeSelfRemove)
	}
	if _, ok := s.Tree.LeafBytes(sent.Sender); !ok {
		return fmt.Errorf("self remove of leaf %d: %w", sent.Sender, ErrBlankLeaf)
	}
	return nil
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
