package mls

import (
	"errors"
	"fmt"
)

// What can be wrong with a message or a call. Every error of this package
// wraps one of these, or one of mls/wire, mls/suite or mls/tree. On any error
// the Group is what it was.
var (
	// ErrInvalid says that a message breaks a rule of RFC 9420.
	ErrInvalid = errors.New("invalid message")
	// ErrMembershipTag says that a PublicMessage was not made by a member
	// (RFC 9420, Section 6.2).
	ErrMembershipTag = fmt.Errorf("%w: membership tag", ErrInvalid)
	// ErrConfirmationTag says that the sender of a commit, or the signer of a
	// GroupInfo, has not the epoch that it leads to here (RFC 9420, Section 8.2).
	ErrConfirmationTag = fmt.Errorf("%w: confirmation tag", ErrInvalid)
	// ErrPlainApplication says that application data came in a PublicMessage
	// (RFC 9420, Section 6).
	ErrPlainApplication = fmt.Errorf("%w: application data is not encrypted", ErrInvalid)
	// ErrPathSecret says that a path secret does not give the keys that are in the
	// tree (RFC 9420, Sections 7.5 and 12.4.3.1).
	ErrPathSecret = fmt.Errorf("%w: path secret is of another key", ErrInvalid)
	// ErrNoOwnLeaf says that a Welcome leads to a group without the leaf of our key
	// package (RFC 9420, Section 12.4.3.1).
	ErrNoOwnLeaf = fmt.Errorf("%w: our leaf is not in the tree", ErrInvalid)
	// ErrWelcomeSuite says that a Welcome is of another cipher suite than the key
	// package or its GroupInfo (RFC 9420, Section 12.4.3.1).
	ErrWelcomeSuite = fmt.Errorf("%w: welcome of another cipher suite", ErrInvalid)
	// ErrNotMember says that a leaf is blank or not in the tree.
	ErrNotMember = errors.New("not a member")
	// ErrUnsupported says that a message holds a proposal of a type that is not
	// registered here or not supported by all members.
	ErrUnsupported = errors.New("not supported")
	// ErrOtherGroup says that a message is of another group.
	ErrOtherGroup = errors.New("message of another group")
	// ErrPastEpoch says that a message is of an epoch that is over, or whose keys
	// are gone.
	ErrPastEpoch = errors.New("message of a past epoch")
	// ErrFutureEpoch says that a message is of an epoch whose commit has not come.
	ErrFutureEpoch = errors.New("message of a future epoch")
	// ErrUnknownProposal says that a commit covers a proposal that is not here.
	ErrUnknownProposal = errors.New("commit covers an unknown proposal")
	// ErrTooMany says that MaxProposals wait for a commit.
	ErrTooMany = errors.New("too many pending proposals")
	// ErrTooLarge says that a message would be larger than MaxPlaintext.
	ErrTooLarge = errors.New("message too large")
	// ErrCommitRequired says that proposals wait for a commit, before which
	// nothing may be sealed.
	ErrCommitRequired = errors.New("pending proposals must be committed first")
	// ErrNoPSK says that a pre-shared key is not known here.
	ErrNoPSK = errors.New("pre-shared key is not known")
	// ErrSuspended says that a ReInit has ended the group: nothing is sent or
	// followed in it any more (RFC 9420, Section 12.4.2).
	ErrSuspended = errors.New("group has ended with a reinit")
	// ErrNoExternalPub says that a GroupInfo has no external_pub, so that nobody
	// can join with it.
	ErrNoExternalPub = errors.New("group info without external_pub")
	// ErrSuccession says that a group is not the reinitialization or the branch
	// of another that it claims to be (RFC 9420, Section 12.4.3.1).
	ErrSuccession = errors.New("not the successor of that group")
	// ErrTreeMissing says that a Welcome came without its ratchet tree.
	ErrTreeMissing = errors.New("ratchet tree is missing")
	// ErrNotForUs says that a Welcome does not name our key package.
	ErrNotForUs = errors.New("welcome is not for this key package")
	// ErrOwnMessage says that a message is one this member has sent: its key is
	// gone, and what it said is known already.
	ErrOwnMessage = errors.New("message is our own")
	// ErrReplay says that a message's key has been used, or is no longer kept.
	ErrReplay = errors.New("message key already used or forgotten")
	// ErrRecord says that stored records are not what this package wrote.
	ErrRecord = errors.New("stored records do not fit")
	// ErrRoomKeyGone says that the epoch's encryption secret has been spent: the
	// room key can be had at the start of an epoch only.
	ErrRoomKeyGone = errors.New("room key is gone")
	// ErrNoProof says that the leaf of a message's sender was not proven.
	ErrNoProof = errors.New("no proof of the sender's leaf")
	// ErrGeneration says that a message is further ahead than MaxForward, or than
	// MaxHistory.
	ErrGeneration = errors.New("message generation out of bounds")
)

// errKnown says that a proposal waits already.
var errKnown = errors.New("proposal is known")

// epochError says which epoch a message is of.
func epochError(message, current uint64, kind error) error {
	return fmt.Errorf("message of epoch %d, now is %d: %w", message, current, kind)
}
