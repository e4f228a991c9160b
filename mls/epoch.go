package mls

import (
	"parley/mls/suite"
	"parley/mls/wire"
)

// An epoch is what protects the messages of one epoch. Its secret tree moves
// when messages are sealed and opened; every Group that carries the epoch
// shares it, so that no key is used twice whichever of them is asked.
type epoch struct {
	suite      *suite.Suite
	own        wire.LeafIndex
	context    wire.GroupContext
	senderData []byte
	membership []byte // nil for a past epoch that was loaded
	resumption []byte // resumption_psk
	tree       *secretTree
}

// newEpoch takes what protects messages out of an epoch's secrets.
func newEpoch(s *suite.Suite, own wire.LeafIndex, context wire.GroupContext, secrets *epochSecrets, height int) *epoch {
	e := &epoch{
		suite:      s,
		own:        own,
		context:    context,
		senderData: secrets.senderData,
		membership: secrets.membership,
		resumption: secrets.resumption,
		tree:       newSecretTree(s, secrets.encryption, height),
	}
	secrets.encryption = nil
	return e
}

// A pastEpoch is an epoch whose late messages are still opened. It holds the
// encoded leaves as they were, nil for blank, where those of the epoch after it
// differ.
type pastEpoch struct {
	*epoch
	was map[wire.LeafIndex][]byte
}

// leafReader finds the encoded leaf node of a member in the epoch of a
// message; false if there is no such member.
type leafReader func(wire.LeafIndex) ([]byte, bool)

// signatureKey returns the second field of an encoded leaf node.
func signatureKey(leaf []byte) []byte {
	r := wire.NewReader(leaf)
	r.Opaque()
	return r.Opaque()
}

// find returns the epoch a message belongs to, and how to find its leaves.
func (g *Group) find(groupID []byte, number uint64) (*epoch, leafReader, error) {
	if err := g.checkGroup(groupID); err != nil {
		return nil, nil, err
	}
	current := g.epoch.context.Epoch
	if number == current {
		return g.epoch, g.state.Tree.LeafBytes, nil
	}
	if number > current {
		return nil, nil, epochError(number, current, ErrFutureEpoch)
	}
	i := current - number - 1
	if i >= uint64(len(g.past)) {
		return nil, nil, epochError(number, current, ErrPastEpoch)
	}
	return g.past[i].epoch, func(leaf wire.LeafIndex) ([]byte, bool) { return g.leafAt(int(i), leaf) }, nil
}

// leafAt returns a leaf as it was i+1 epochs ago.
func (g *Group) leafAt(i int, leaf wire.LeafIndex) ([]byte, bool) {
	for ; i >= 0; i-- {
		if n, ok := g.past[i].was[leaf]; ok {
			return n, n != nil
		}
	}
	return g.state.Tree.LeafBytes(leaf)
}
