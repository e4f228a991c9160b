package mls

import (
	"slices"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A transition is a commit that is valid but for its confirmation tag, and
// what its holder has learned from it.
type transition struct {
	state        tree.State // the confirmed transcript hash is still the old one
	change       *tree.Change
	commit       *wire.AuthenticatedContent
	commitSecret []byte
	psk          []byte // psk_secret, nil if there is none
	init         []byte // of an external commit; nil: the last epoch's
	joining      bool   // we make that commit: nothing of the last epoch is ours
	keys         keyring
	signer       *suite.SignaturePrivateKey
}

// An arrival is the epoch after a transition, with the secrets that welcome
// newcomers to it.
type arrival struct {
	next           *Group
	joiner, member []byte
}

// advance derives the next epoch (RFC 9420, Sections 8 and 12.4.2). The
// confirmation tag it computes is next.tag; g is not changed.
func (g *Group) advance(tr *transition) arrival {
	s, context := g.suite, tr.state.Context
	context.ConfirmedTranscriptHash = confirmedHash(s, g.interim, tr.commit)
	encoded := wire.Marshal(context)
	init := g.secrets.init
	if tr.init != nil {
		init = tr.init
	}
	joiner := deriveJoiner(s, init, tr.commitSecret, encoded)
	member := deriveMember(s, joiner, tr.psk)
	secrets := deriveEpoch(s, member, encoded)
	next := &Group{
		suite:       s,
		credentials: g.credentials,
		parallel:    g.parallel,
		policy:      g.policy,
		signer:      tr.signer,
		keep:        g.keep,
		tag:         s.MAC(secrets.confirmation, context.ConfirmedTranscriptHash),
		keys:        tr.keys,
		reinit:      tr.change.ReInit,
	}
	last := g
	if tr.joining {
		last = nil
	} else {
		next.past = g.pastOf(tr.change)
	}
	next.state = tree.State{Context: context, Tree: tr.state.Tree}
	next.interim = interimHash(s, context.ConfirmedTranscriptHash, next.tag)
	next.epoch = newEpoch(s, g.OwnLeaf(), context, &secrets, height(tr.state.Tree))
	next.secrets = secrets
	next.changed = make(changes)
	next.changed.begin(next, last)
	return arrival{next, joiner, member}
}

// pastOf returns the past epochs of the one after g, which a commit did change
// to.
func (g *Group) pastOf(change *tree.Change) []pastEpoch {
	was := make(map[wire.LeafIndex][]byte)
	remember := func(i wire.LeafIndex) { was[i], _ = g.state.Tree.LeafBytes(i) }
	for i := range change.Added {
		remember(change.Added[i].Index)
	}
	for i := range change.Removed {
		remember(change.Removed[i].Index)
	}
	for i := range change.Updated {
		remember(change.Updated[i].Index)
	}
	if change.Joined != nil {
		remember(change.Joined.Index)
	}
	past := append([]pastEpoch{{g.epoch, was}}, g.past...)
	return slices.Clip(past[:min(len(past), g.keep)])
}

// ring returns the keys of g with those of its own pending updates in change,
// and the key that signs for the leaf then.
func (g *Group) ring(change *tree.Change) (keyring, *suite.SignaturePrivateKey) {
	keys, signer := g.keys, g.signer
	for i := range change.Updated {
		u := &change.Updated[i]
		if u.Index != g.OwnLeaf() {
			continue
		}
		for j := range g.proposals {
			p := &g.proposals[j]
			if p.key != nil && string(p.key.PublicKey()) == string(u.LeafNode.EncryptionKey) {
				keys = keys.with(tree.NodeOf(g.OwnLeaf()), p.key)
				signer = p.signer
			}
		}
	}
	return keys, signer
}
