package client

import (
	"parley/groups"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A pastEpoch is an epoch on the way: what proves who was a member of it, and the
// places of its messages in the log. That is the ledger as it stood then, or, of
// a room that is read, what was kept of the epoch.
type pastEpoch struct {
	*groups.Past
	ledger   *groups.Ledger // nil if it was kept, as is Tree
	place    int            // among the epochs of its past
	messages []groups.Seq
	why      string // it is not asked for

	// Of a kept one.
	rules  *groups.Policy
	stored func(wire.LeafIndex) (*tree.MembershipProof, error)

	kept  bool                    // it is in the store, as it is
	shown map[wire.LeafIndex]bool // whose proofs are in the store
}

// policy is the room's policy in the epoch.
func (e *pastEpoch) policy() groups.Policy {
	if e.rules != nil {
		return *e.rules
	}
	return e.ledger.Policy()
}

// proof shows where a member was in the epoch's tree.
func (e *pastEpoch) proof(leaf wire.LeafIndex) (*tree.MembershipProof, error) {
	if e.stored != nil {
		return e.stored(leaf)
	}
	return e.Tree.Proof(leaf)
}

// keyID commits to a key of the epoch. It is zero if the epoch's suite is not
// known here.
func (e *pastEpoch) keyID(key groups.RoomKey) groups.Hash {
	cs, err := suite.Lookup(suite.ID(e.Context.CipherSuite))
	if err != nil {
		return groups.Hash{}
	}
	return groups.KeyID(cs, key, e.Record.ContextHash)
}
