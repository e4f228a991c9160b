package main

import (
	"fmt"

	"parley/mls"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

const roomName = "bench"

// A doorway is a room that three members are about to join: a and its sibling z
// in the tree, and y in the other half. That room is made with the public side of
// MLS alone, so that not every member has to follow every commit; Join
// verifies all of it.
type doorway struct {
	tree    []byte
	welcome []byte
	joiners [3]newcomer
}

// The leaves of the three, in a tree of n leaves.
func joinerLeaves(n int) [3]wire.LeafIndex {
	half := wire.LeafIndex(1)
	for 2*int(half) < n {
		half *= 2
	}
	return [3]wire.LeafIndex{2, 3, half}
}

// newJoiners makes the three.
func newJoiners(s *suite.Suite) (list [3]newcomer, err error) {
	for i := range list {
		if list[i], err = newNewcomer(s, fmt.Sprintf("joiner %d", i)); err != nil {
			return list, err
		}
	}
	return list, nil
}

// bulkRoom adds everybody in one commit, by the founder's Group, which it
// returns.
func (c *crowd) bulkRoom(n int) (*mls.Group, []*wire.KeyPackage, [3]newcomer, error) {
	joiners, err := newJoiners(c.suite)
	if err != nil {
		return nil, nil, joiners, err
	}
	g, err := mls.Create(mls.CreateOptions{
		Suite: c.suite, GroupID: []byte(roomName), Identity: c.people[0].identity(),
		Leaf: memberLeaf(), Credentials: anyone{}, Parallel: processors,
	})
	if err != nil {
		return nil, nil, joiners, err
	}
	adds := make([]*wire.KeyPackage, n-1)
	for i := range adds {
		adds[i] = &c.people[i+1].public
	}
	for i, leaf := range joinerLeaves(n) {
		adds[leaf-1] = &joiners[i].public
	}
	return g, adds, joiners, nil
}

// A builder makes a doorway.
type builder struct {
	*crowd
	edit   *tree.Edit
	seated []*someone // by leaf
}

// room makes the doorway of a room of n members in a shape other than bulk.
func (c *crowd) room(n int, shape string) (*doorway, error) {
	b := &builder{crowd: c, edit: tree.New(c.suite, c.people[0].public.LeafNode).Edit(), seated: c.people[:1:1]}
	if err := shapeOf[shape](b, n); err != nil {
		return nil, fmt.Errorf("make %s room: %w", shape, err)
	}
	d := new(doorway)
	var err error
	if d.joiners, err = newJoiners(c.suite); err != nil {
		return nil, err
	}
	leaves := joinerLeaves(n)
	for _, leaf := range leaves {
		if err := b.edit.Remove(leaf); err != nil {
			return nil, err
		}
	}
	for i := range d.joiners {
		at, err := b.edit.Add(d.joiners[i].public.LeafNode)
		if err != nil {
			return nil, err
		}
		if at != leaves[i] {
			panic(fmt.Sprintf("BUG: joiner at leaf %d instead of %d", at, leaves[i]))
		}
	}
	secrets, err := b.commit(0)
	if err != nil {
		return nil, err
	}
	full, err := b.edit.Tree()
	if err != nil {
		return nil, err
	}
	d.tree = wire.Marshal(full)
	d.welcome, err = b.invite(d, full.Hash(), secrets, leaves)
	return d, err
}

// add puts more people into the tree, up to n.
func (b *builder) add(n int) error {
	for len(b.seated) < n {
		p := b.people[len(b.seated)]
		if _, err := b.edit.Add(p.public.LeafNode); err != nil {
			return err
		}
		b.seated = append(b.seated, p)
	}
	return nil
}

// commit does to the tree what a commit of member i does: new keys from its
// leaf up. It returns the path secrets (RFC 9420, Section 7.4).
func (b *builder) commit(i wire.LeafIndex) (map[tree.NodeIndex][]byte, error) {
	secrets := make(map[tree.NodeIndex][]byte)
	var keys [][]byte
	secret := suite.Random(b.suite.HashSize())
	for _, step := range b.edit.FilteredDirectPath(i) {
		key, err := b.suite.DeriveKeyPair(b.suite.DeriveSecret(secret, "node"))
		if err != nil {
			return nil, err
		}
		secrets[step.Parent] = secret
		keys = append(keys, key.PublicKey())
		secret = b.suite.DeriveSecret(secret, "path")
	}
	key, err := b.suite.GenerateKeyPair()
	if err != nil {
		return nil, err
	}
	return secrets, b.renew(i, key.PublicKey(), keys)
}

// renew gives member i a new leaf and the nodes above it new keys.
func (b *builder) renew(i wire.LeafIndex, leafKey []byte, keys [][]byte) error {
	parentHash, err := b.edit.SetPath(i, keys)
	if err != nil {
		return err
	}
	by := b.seated[i]
	leaf := by.public.LeafNode
	leaf.EncryptionKey, leaf.LeafNodeSource, leaf.ParentHash = leafKey, wire.LeafNodeSourceCommit, parentHash
	if err := sign(&leaf, by, i); err != nil {
		return err
	}
	return b.edit.SetLeaf(i, leaf)
}

// sign signs the leaf node of a member that is in the group already.
func sign(leaf *wire.LeafNode, by *someone, i wire.LeafIndex) (err error) {
	tbs := wire.LeafNodeTBS{LeafNode: *leaf, GroupID: []byte(roomName), LeafIndex: i}
	leaf.Signature, err = by.signer.Sign("LeafNodeTBS", wire.Marshal(tbs))
	return err
}

// invite makes the Welcome of the joiners, signed by the member at leaf 0, whose
// path has these secrets (RFC 9420, Section 12.4.3.1).
func (b *builder) invite(d *doorway, treeHash []byte, path map[tree.NodeIndex][]byte, leaves [3]wire.LeafIndex) ([]byte, error) {
	s := b.suite
	info := wire.GroupInfo{GroupContext: wire.GroupContext{
		CipherSuite: wire.CipherSuite(s.ID()), GroupID: []byte(roomName), Epoch: 1,
		TreeHash: treeHash, ConfirmedTranscriptHash: suite.Random(s.HashSize()),
	}}
	joiner := suite.Random(s.HashSize())
	member := s.Extract(joiner, make([]byte, s.HashSize()))
	epoch := s.ExpandWithLabel(member, "epoch", wire.Marshal(info.GroupContext), s.HashSize())
	info.ConfirmationTag = s.MAC(s.DeriveSecret(epoch, "confirm"), info.GroupContext.ConfirmedTranscriptHash)
	var err error
	if info.Signature, err = b.people[0].signer.Sign("GroupInfoTBS", wire.Marshal(wire.GroupInfoTBS(info))); err != nil {
		return nil, err
	}
	welcome := s.DeriveSecret(member, "welcome")
	sealed := s.Seal(nil, wire.Marshal(info), suite.Sealing{
		Key:   s.ExpandWithLabel(welcome, "key", nil, s.KeySize()),
		Nonce: s.ExpandWithLabel(welcome, "nonce", nil, s.NonceSize()),
	})
	w := wire.Welcome{CipherSuite: wire.CipherSuite(s.ID()), EncryptedGroupInfo: sealed}
	for i, p := range d.joiners {
		above := path[tree.CommonAncestor(tree.NodeOf(0), tree.NodeOf(leaves[i]))]
		secrets := wire.Marshal(wire.GroupSecrets{JoinerSecret: joiner, PathSecret: &wire.PathSecret{PathSecret: above}})
		kem, ct, err := s.Encrypt(p.public.InitKey, "Welcome", sealed, secrets)
		if err != nil {
			return nil, err
		}
		w.Secrets = append(w.Secrets, wire.EncryptedGroupSecrets{
			NewMember: p.kp.Ref(), EncryptedGroupSecrets: wire.HPKECiphertext{KEMOutput: kem, Ciphertext: ct},
		})
	}
	return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatWelcome, Welcome: &w}), nil
}

// join makes one of the joiners a member.
func (d *doorway) join(p newcomer) (*mls.Group, error) {
	return mls.Join(mls.JoinOptions{
		Welcome: d.welcome, KeyPackage: p.kp, Signer: p.signer, RatchetTree: d.tree,
		Credentials: anyone{}, Parallel: processors, Policy: openDoor,
	})
}

// openDoor lets outsiders join.
var openDoor = mls.Policy{Accept: func(tree.Sent) error { return nil }}
