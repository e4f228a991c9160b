package main

import (
	"fmt"
	"time"

	"parley/mls"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// anyone accepts every credential: who people are is not what is measured.
type anyone struct{}

// Validate accepts any credential.
func (anyone) Validate(wire.Credential, []byte) error { return nil }

// Succeeds accepts any change of credential.
func (anyone) Succeeds(_, _ wire.Credential) error { return nil }

// A newcomer is a client that is about to join.
type newcomer struct {
	signer *suite.SignaturePrivateKey
	kp     *mls.KeyPackage
}

func newNewcomer(s *suite.Suite, name string) (*newcomer, error) {
	signer, err := s.GenerateSignatureKey()
	if err != nil {
		return nil, err
	}
	n := &newcomer{signer: signer}
	n.kp, err = mls.NewKeyPackage(s, n.identity(name), mls.KeyPackageOptions{Now: time.Now()})
	return n, err
}

func (n *newcomer) identity(name string) mls.Identity {
	return mls.Identity{Credential: wire.BasicCredential([]byte(name)), Signer: n.signer}
}

// newcomers makes n of them.
func newcomers(s *suite.Suite, n int) ([]*newcomer, error) {
	list := make([]*newcomer, n)
	for i := range list {
		var err error
		if list[i], err = newNewcomer(s, fmt.Sprintf("member %d", i)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// A livedIn is a room as it is after its members have lived in it: every
// second member has made a commit, so that all parent nodes of the tree have
// keys. Two members are about to join by a commit of the first one, at leaves
// that have as many parent nodes above them as there are. The room is made with
// the public side of MLS alone, so that not every member has to follow every
// commit; Join verifies all of it.
type livedIn struct {
	suite   *suite.Suite
	tree    []byte
	welcome []byte
	joiners [2]*newcomer
}

const (
	roomName    = "bench"
	firstJoiner = 2 // the leaf of the first of the two that join
)

// liveIn makes the room of people, of whom there are at least 4.
func liveIn(s *suite.Suite, people []*newcomer) (*livedIn, error) {
	room := &livedIn{suite: s, joiners: [2]*newcomer(people[firstJoiner:])}
	edit := tree.New(s, people[0].kp.Public.LeafNode).Edit()
	for _, p := range people[1:] {
		if _, err := edit.Add(p.kp.Public.LeafNode); err != nil {
			return nil, err
		}
	}
	for i := range room.joiners {
		if err := edit.Remove(wire.LeafIndex(firstJoiner + i)); err != nil {
			return nil, err
		}
	}
	for i := firstJoiner + len(room.joiners); i < len(people); i += 2 {
		if _, err := renew(s, edit, wire.LeafIndex(i), people[i]); err != nil {
			return nil, err
		}
	}
	for _, p := range room.joiners {
		if _, err := edit.Add(p.kp.Public.LeafNode); err != nil {
			return nil, err
		}
	}
	secrets, err := renew(s, edit, 0, people[0])
	if err != nil {
		return nil, err
	}
	full, err := edit.Tree()
	if err != nil {
		return nil, err
	}
	room.tree = wire.Marshal(full)
	common := tree.CommonAncestor(0, tree.NodeOf(firstJoiner))
	room.welcome, err = room.invite(people[0].signer, full.Hash(), secrets[common])
	return room, err
}

// renew does to a tree what a commit of member i does: new keys from its leaf
// up. It returns the path secrets (RFC 9420, Section 7.4).
func renew(s *suite.Suite, edit *tree.Edit, i wire.LeafIndex, by *newcomer) (map[tree.NodeIndex][]byte, error) {
	secrets := make(map[tree.NodeIndex][]byte)
	var keys [][]byte
	secret := suite.Random(s.HashSize())
	for _, step := range edit.FilteredDirectPath(i) {
		key, err := s.DeriveKeyPair(s.DeriveSecret(secret, "node"))
		if err != nil {
			return nil, err
		}
		secrets[step.Parent] = secret
		keys = append(keys, key.PublicKey())
		secret = s.DeriveSecret(secret, "path")
	}
	parentHash, err := edit.SetPath(i, keys)
	if err != nil {
		return nil, err
	}
	key, err := s.GenerateKeyPair()
	if err != nil {
		return nil, err
	}
	leaf := by.kp.Public.LeafNode
	leaf.EncryptionKey, leaf.LeafNodeSource, leaf.ParentHash = key.PublicKey(), wire.LeafNodeSourceCommit, parentHash
	tbs := wire.LeafNodeTBS{LeafNode: leaf, GroupID: []byte(roomName), LeafIndex: i}
	if leaf.Signature, err = by.signer.Sign("LeafNodeTBS", wire.Marshal(tbs)); err != nil {
		return nil, err
	}
	return secrets, edit.SetLeaf(i, leaf)
}

// invite makes the Welcome of the two joiners, signed by the member at leaf 0
// (RFC 9420, Section 12.4.3.1).
func (r *livedIn) invite(signer *suite.SignaturePrivateKey, treeHash, pathSecret []byte) ([]byte, error) {
	s := r.suite
	info := wire.GroupInfo{GroupContext: wire.GroupContext{
		CipherSuite: wire.CipherSuite(s.ID()), GroupID: []byte(roomName), Epoch: 1,
		TreeHash: treeHash, ConfirmedTranscriptHash: suite.Random(s.HashSize()),
	}}
	joiner := suite.Random(s.HashSize())
	member := s.Extract(joiner, make([]byte, s.HashSize()))
	epoch := s.ExpandWithLabel(member, "epoch", wire.Marshal(info.GroupContext), s.HashSize())
	info.ConfirmationTag = s.MAC(s.DeriveSecret(epoch, "confirm"), info.GroupContext.ConfirmedTranscriptHash)
	var err error
	if info.Signature, err = signer.Sign("GroupInfoTBS", wire.Marshal(wire.GroupInfoTBS(info))); err != nil {
		return nil, err
	}
	welcome := s.DeriveSecret(member, "welcome")
	sealed := s.Seal(nil, wire.Marshal(info), suite.Sealing{
		Key:   s.ExpandWithLabel(welcome, "key", nil, s.KeySize()),
		Nonce: s.ExpandWithLabel(welcome, "nonce", nil, s.NonceSize()),
	})
	w := wire.Welcome{CipherSuite: wire.CipherSuite(s.ID()), EncryptedGroupInfo: sealed}
	secrets := wire.Marshal(wire.GroupSecrets{JoinerSecret: joiner, PathSecret: &wire.PathSecret{PathSecret: pathSecret}})
	for _, p := range r.joiners {
		kem, ct, err := s.Encrypt(p.kp.Public.InitKey, "Welcome", sealed, secrets)
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
func (r *livedIn) join(p *newcomer) (*mls.Group, error) {
	return mls.Join(mls.JoinOptions{
		Welcome: r.welcome, KeyPackage: p.kp, Signer: p.signer, RatchetTree: r.tree, Credentials: anyone{},
	})
}
