package tree

import (
	"fmt"

	"parley/mls/wire"
)

// A Sent is a proposal and the member that made it: the committer, if the
// commit contains it by value.
type Sent struct {
	Proposal *wire.Proposal
	// Sender is the member; it means nothing if Outside is set.
	Sender wire.LeafIndex
	// Outside is the sender if it is not a member: an external sender, a new
	// member that proposes itself, or one that joins by external commit.
	Outside *wire.Sender
	// ByReference says that the proposal was sent in a message of its own.
	ByReference bool
	// Verified says that VerifyProposal accepted it in this epoch; Stage then
	// verifies nothing of it again but the lifetime of a key package.
	Verified bool
}

// SentBy returns the proposal that was sent in a message of its own.
func SentBy(content *wire.FramedContent) Sent {
	sent := Sent{Proposal: content.Proposal, Sender: content.Sender.LeafIndex, ByReference: true}
	if content.Sender.SenderType != wire.SenderTypeMember {
		sent.Outside = &content.Sender
	}
	return sent
}

// Covered returns the proposal that a commit of that sender contains by value.
func Covered(committer *wire.Sender, p *wire.Proposal) Sent {
	sent := Sent{Proposal: p, Sender: committer.LeafIndex}
	if committer.SenderType != wire.SenderTypeMember {
		sent.Outside = committer
	}
	return sent
}

// outside reports whether no member sent it.
func (s *Sent) outside() bool { return s.Outside != nil }

// external reports whether an external sender sent it.
func (s *Sent) external() bool {
	return s.Outside != nil && s.Outside.SenderType == wire.SenderTypeExternal
}

// SenderKey returns the key that must have signed a handshake, which depends on
// its sender type (RFC 9420, Section 6.1). It fails with ErrBlankLeaf,
// ErrSenderIndex, or ErrSenderContent if such a sender can not send this, and
// does not verify anything.
func (s State) SenderKey(c *wire.FramedContent) ([]byte, error) {
	wrong := fmt.Errorf("%w: %v from %v", ErrSenderContent, c.ContentType, c.Sender.SenderType)
	switch c.Sender.SenderType {
	case wire.SenderTypeMember:
		key, ok := s.Tree.SignatureKey(c.Sender.LeafIndex)
		if !ok {
			return nil, fmt.Errorf("sender %d: %w", c.Sender.LeafIndex, ErrBlankLeaf)
		}
		return key, nil
	case wire.SenderTypeExternal:
		if c.Proposal == nil {
			return nil, wrong
		}
		return s.externalSender(c.Sender.SenderIndex)
	case wire.SenderTypeNewMemberProposal:
		if c.Proposal == nil || c.Proposal.Add == nil {
			return nil, wrong
		}
		return c.Proposal.Add.KeyPackage.LeafNode.SignatureKey, nil
	case wire.SenderTypeNewMemberCommit:
		if c.Commit == nil {
			return nil, wrong
		}
		if c.Commit.Path == nil {
			return nil, ErrPathRequired
		}
		return c.Commit.Path.LeafNode.SignatureKey, nil
	}
	return nil, wrong
}

// externalSender returns the key of an external sender (RFC 9420,
// Section 12.1.8.1).
func (s State) externalSender(i uint32) ([]byte, error) {
	senders, _, err := wire.FindExtension[wire.ExternalSenders](s.Context.Extensions, wire.ExtensionTypeExternalSenders)
	if err != nil {
		return nil, err
	}
	if int64(i) >= int64(len(senders)) {
		return nil, fmt.Errorf("%w: %d of %d", ErrSenderIndex, i, len(senders))
	}
	return senders[i].SignatureKey, nil
}

// VerifySignature verifies who signed a handshake of this group and epoch
// (RFC 9420, Section 6.1). It fails with an error of SenderKey or with
// ErrMessageSignature.
func (s State) VerifySignature(content *wire.AuthenticatedContent) error {
	key, err := s.SenderKey(&content.Content)
	if err != nil {
		return err
	}
	tbs := wire.Marshal(content.TBS(&s.Context))
	if err := s.Tree.suite.Verify(key, "FramedContentTBS", tbs, content.Auth.Signature); err != nil {
		return fmt.Errorf("%w: %w", ErrMessageSignature, err)
	}
	return nil
}
