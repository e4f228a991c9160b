package mls

import (
	"parley/mls/suite"
	"parley/mls/wire"
)

// An epoch is what protects the messages of one epoch. Its secret tree is
// what moves when messages are sealed and opened; every Group that carries the
// epoch shares it, so that no key is used twice whichever of them is asked.
type epoch struct {
	suite   *suite.Suite
	own     wire.LeafIndex
	context wire.GroupContext
	secrets epochSecrets
	tree    *secretTree
}

// leafReader finds the leaf of a member in the epoch of a message.
type leafReader func(wire.LeafIndex) (*wire.LeafNode, bool)
