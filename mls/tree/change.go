package tree

import "parley/mls/wire"

// A Change is what one handshake message did to a group.
type Change struct {
	// Sender is the member that sent the message, or that an external commit made.
	Sender wire.LeafIndex
	// Outside is who sent a message from outside the group; nil if a member did.
	Outside *wire.Sender
	// Proposal is set for a proposal: what is now pending under Reference.
	Proposal  *wire.Proposal
	Reference []byte
	// Commit says that an epoch began; what follows is about commits.
	Commit bool
	// Added are the new members, in the order of their proposals.
	Added []Added
	// Removed are the members that left.
	Removed []Member
	// Updated are the members with a new leaf node, the committer among them if
	// the commit has a path.
	Updated []Member
	// ExtensionsReplaced says that a proposal replaced the extensions of the
	// GroupContext, Extensions by what.
	ExtensionsReplaced bool
	Extensions         wire.Extensions
	// Path says whether the commit has an update path.
	Path bool
	// Joined is the member that an external commit brings in, nil otherwise.
	Joined *Member
	// External is the ExternalInit of an external commit, nil otherwise.
	External *wire.ExternalInit
	// PSKs are the pre-shared keys that are mixed in, in this order.
	PSKs []wire.PreSharedKeyID
	// ReInit says that the group is over, and what follows it.
	ReInit *wire.ReInit
	// Custom are the proposals of the application's own types, in the order of
	// the commit.
	Custom []Sent
}

// A Member is a leaf that is not blank.
type Member struct {
	Index    wire.LeafIndex
	LeafNode wire.LeafNode
}

// Added is a new member. KeyPackageRef is how a Welcome names it.
type Added struct {
	Member
	KeyPackageRef []byte
}
