package tree

import "parley/mls/wire"

// A Change is what one handshake message did to a group.
type Change struct {
	// Sender is the member that sent the message.
	Sender wire.LeafIndex
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
	Updated []Updated
	// ExtensionsReplaced says that a proposal replaced the extensions of the
	// GroupContext, Extensions by what.
	ExtensionsReplaced bool
	Extensions         wire.Extensions
	// Path says whether the commit has an update path.
	Path bool
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

// Updated is a member whose LeafNode replaced Old.
type Updated struct {
	Member
	Old wire.LeafNode
}
