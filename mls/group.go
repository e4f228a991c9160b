package mls

import (
	"fmt"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// DefaultPastEpochs is how many epochs back late messages are opened, unless
// another number is asked for.
const DefaultPastEpochs = 5

// A Group is a member's view of one epoch of a group. A commit, made by Commit
// or received by Handle, gives the Group of the next epoch and leaves this one
// as it is, but for what follows.
//
// What moves within an epoch are its ratchets and the proposals that wait for
// a commit: Seal, Open, the Propose methods and Handle move them, and
// TakeChanges says what to write down. A Group and those derived from it share
// the ratchets of the epochs they both carry. On an error nothing has moved. A
// Group belongs to one goroutine at a time, with all that are derived from it.
type Group struct {
	suite       *suite.Suite
	credentials tree.CredentialValidator
	parallel    tree.Parallel // nil: one after the other
	policy      Policy
	signer      *suite.SignaturePrivateKey
	state       tree.State
	epoch       *epoch
	past        []pastEpoch // the last epoch first, at most keep
	keep        int
	secrets     epochSecrets // without those that epoch has
	tag         []byte       // confirmation tag of the commit that began the epoch
	interim     []byte       // interim transcript hash
	keys        keyring
	proposals   []proposal   // in the order they came, at most MaxProposals
	reinit      *wire.ReInit // of the commit that began the epoch: the group is over
	changed     changes
}

// Suite returns the group's cipher suite.
func (g *Group) Suite() *suite.Suite { return g.suite }

// GroupContext returns what all members agree on. Its slices must not be
// changed.
func (g *Group) GroupContext() wire.GroupContext { return g.state.Context }

// GroupID returns the group's name. It must not be changed.
func (g *Group) GroupID() []byte { return g.state.Context.GroupID }

// Epoch returns the number of the epoch.
func (g *Group) Epoch() uint64 { return g.state.Context.Epoch }

// Tree returns the public tree: the members and their leaves.
func (g *Group) Tree() *tree.Tree { return g.state.Tree }

// OwnLeaf returns where this member is in the tree, which never changes.
func (g *Group) OwnLeaf() wire.LeafIndex { return g.epoch.own }

// checkGroup refuses what belongs to another group.
func (g *Group) checkGroup(groupID []byte) error {
	if string(groupID) != string(g.state.Context.GroupID) {
		return fmt.Errorf("group %q: %w", groupID[:min(len(groupID), 64)], ErrOtherGroup)
	}
	return nil
}

// height returns how many levels a tree has above its leaves.
func height(t *tree.Tree) int { return t.Root().Level() }
