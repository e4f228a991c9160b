package tree

import (
	"fmt"
	"iter"

	"parley/mls/suite"
	"parley/mls/wire"
)

// MaxPending is how many proposals may wait for a commit in one epoch; the next
// one is refused with ErrTooManyProposals.
const MaxPending = 1024

// An Observer is one epoch of a group as seen from the outside. It holds no
// secret: it can not verify that a confirmation tag or a membership tag is
// right, only that a handshake was signed by a member and is valid in all other
// ways. It is immutable and safe for use by many goroutines; Handle returns the
// next one.
type Observer struct {
	state   State
	interim []byte // interim_transcript_hash
	pending []Pending
}

// A Pending is a proposal that no commit has covered yet.
type Pending struct {
	// Reference is its ProposalRef.
	Reference []byte
	// Content is the proposal as it was sent.
	Content wire.AuthenticatedContent
}

// NewObserver begins to follow a group from a GroupInfo and the tree that
// belongs to it. It verifies both as a new member would (RFC 9420,
// Section 12.4.3.1), in time proportional to the members, and fails with the rule
// of this package that is broken.
func NewObserver(info *wire.GroupInfo, t *Tree, c *Config) (*Observer, error) {
	if err := t.VerifyGroupInfo(info); err != nil {
		return nil, fmt.Errorf("observe group: %w", err)
	}
	if err := t.Verify(&info.GroupContext, c); err != nil {
		return nil, fmt.Errorf("observe group: %w", err)
	}
	o := &Observer{state: State{Context: copied[wire.GroupContext](wire.Marshal(info.GroupContext)), Tree: t}}
	o.interim = interimHash(t.suite, info.GroupContext.ConfirmedTranscriptHash, info.ConfirmationTag)
	return o, nil
}

// VerifyGroupInfo verifies that a member of t signed info (RFC 9420,
// Section 12.4.3), and the form of its confirmation tag. It fails with
// ErrBlankLeaf, ErrConfirmationTag or ErrGroupInfoSignature.
func (t *Tree) VerifyGroupInfo(info *wire.GroupInfo) error {
	key, ok := t.SignatureKey(info.Signer)
	if !ok {
		return fmt.Errorf("signer %d: %w", info.Signer, ErrBlankLeaf)
	}
	if len(info.ConfirmationTag) != t.suite.HashSize() {
		return ErrConfirmationTag
	}
	if err := t.suite.Verify(key, "GroupInfoTBS", wire.Marshal(wire.GroupInfoTBS(*info)), info.Signature); err != nil {
		return fmt.Errorf("%w: %w", ErrGroupInfoSignature, err)
	}
	return nil
}

// confirmedHash is the confirmed_transcript_hash after a commit (RFC 9420,
// Section 8.2).
func confirmedHash(s *suite.Suite, interim []byte, commit *wire.AuthenticatedContent) []byte {
	input := append([]byte(nil), interim...)
	return s.Hash(wire.Append(input, wire.ConfirmedTranscriptHashInput{
		WireFormat: commit.WireFormat, Content: commit.Content, Signature: commit.Auth.Signature,
	}))
}

// interimHash is the interim_transcript_hash after a commit (RFC 9420,
// Section 8.2).
func interimHash(s *suite.Suite, confirmed, tag []byte) []byte {
	input := append([]byte(nil), confirmed...)
	return s.Hash(wire.Append(input, wire.InterimTranscriptHashInput{ConfirmationTag: tag}))
}

// copied decodes what has just been encoded, into memory of its own.
func copied[T any, P interface {
	*T
	Decode(*wire.Reader)
}](encoded []byte) T {
	v, err := wire.Unmarshal[T, P](encoded)
	if err != nil {
		panic("BUG: own encoding does not decode: " + err.Error())
	}
	return v
}

// State returns the GroupContext and the tree.
func (o *Observer) State() State { return o.state }

// Context returns the GroupContext.
func (o *Observer) Context() wire.GroupContext { return o.state.Context }

// Epoch returns the number of the epoch.
func (o *Observer) Epoch() uint64 { return o.state.Context.Epoch }

// Tree returns the ratchet tree.
func (o *Observer) Tree() *Tree { return o.state.Tree }

// InterimTranscriptHash returns what the next commit's transcript begins with.
func (o *Observer) InterimTranscriptHash() []byte { return o.interim }

// Pending iterates over the proposals that wait for a commit, in the order they
// came.
func (o *Observer) Pending() iter.Seq[Pending] {
	return func(yield func(Pending) bool) {
		for _, p := range o.pending {
			if !yield(p) {
				return
			}
		}
	}
}
