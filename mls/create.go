package mls

import (
	"fmt"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// CreateOptions say what a new group is.
type CreateOptions struct {
	Suite *suite.Suite
	// GroupID names the group; empty means a random name.
	GroupID []byte
	// Identity of the creator, and what the creator's leaf holds: Leaf.Now must
	// be set, Leaf.Extensions are not used.
	Identity Identity
	Leaf     KeyPackageOptions
	// Extensions of the GroupContext, of types that the leaf supports.
	Extensions wire.Extensions
	// Credentials decides about credentials; nil refuses all.
	Credentials tree.CredentialValidator
	// PastEpochs is how many epochs back late messages are opened and resumption
	// PSKs are kept: zero means DefaultPastEpochs, less than zero none.
	PastEpochs int
	// Policy is what the application adds to the rules; zero adds nothing.
	Policy Policy
	// Parallel makes seals and verifies signatures where a step has many; nil: one
	// after the other. It is used for as long as the Group and what follows it are.
	Parallel tree.Parallel
}

// Create makes a group of one, at epoch 0 (RFC 9420, Section 11). It fails
// with an error of mls/tree if the creator's leaf is not valid in it.
func Create(o CreateOptions) (*Group, error) {
	g, err := create(&o)
	if err != nil {
		return nil, fmt.Errorf("create group: %w", err)
	}
	return g, nil
}

func create(o *CreateOptions) (*Group, error) {
	s := o.Suite
	key, err := s.GenerateKeyPair()
	if err != nil {
		return nil, err
	}
	leaf, err := newLeaf(s, o.Identity, key, o.Leaf, newGrease())
	if err != nil {
		return nil, err
	}
	groupID := append([]byte(nil), o.GroupID...)
	if len(groupID) == 0 {
		groupID = suite.Random(s.HashSize())
	}
	t := tree.New(s, leaf)
	context := wire.GroupContext{
		CipherSuite: wire.CipherSuite(s.ID()),
		GroupID:     groupID,
		TreeHash:    t.Hash(),
		Extensions:  o.Extensions,
	}
	if err := t.Verify(&context, &tree.Config{Credentials: o.Credentials}); err != nil {
		return nil, err
	}
	secrets := expandEpoch(s, suite.Random(s.HashSize()))
	g := &Group{
		suite:       s,
		credentials: o.Credentials,
		parallel:    o.Parallel,
		policy:      o.Policy,
		signer:      o.Identity.Signer,
		keep:        pastEpochs(o.PastEpochs),
		tag:         s.MAC(secrets.confirmation, nil),
		keys:        keyring{tree.NodeOf(0): key},
	}
	g.begin(tree.State{Context: context, Tree: t}, 0, secrets)
	return g, nil
}

// pastEpochs reads an option.
func pastEpochs(n int) int {
	if n == 0 {
		return DefaultPastEpochs
	}
	return max(n, 0)
}

// begin gives g the state and secrets of its epoch, all of which is to be
// stored.
func (g *Group) begin(state tree.State, own wire.LeafIndex, secrets epochSecrets) {
	g.state = state
	g.interim = interimHash(g.suite, state.Context.ConfirmedTranscriptHash, g.tag)
	g.epoch = newEpoch(g.suite, own, state.Context, &secrets, height(state.Tree))
	g.secrets = secrets
	g.changed = make(changes)
	g.changed.begin(g, nil)
}
