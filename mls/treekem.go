package mls

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A path is the fresh secrets and keys of a filtered direct path, from the
// bottom up, as far as its holder knows them (RFC 9420, Section 7.4).
type path struct {
	nodes   []tree.NodeIndex
	secrets [][]byte
	keys    []*suite.HPKEPrivateKey
	commit  []byte // commit_secret
}

// derivePath derives the keys of nodes from the path secret of the first, and
// the commit secret beyond the last.
func derivePath(s *suite.Suite, secret []byte, nodes []tree.NodeIndex) (*path, error) {
	p := &path{
		nodes:   nodes,
		secrets: make([][]byte, len(nodes)),
		keys:    make([]*suite.HPKEPrivateKey, len(nodes)),
	}
	for i := range nodes {
		key, err := s.DeriveKeyPair(s.DeriveSecret(secret, "node"))
		if err != nil {
			return nil, fmt.Errorf("derive node key: %w", err)
		}
		p.secrets[i], p.keys[i] = secret, key
		secret = s.DeriveSecret(secret, "path")
	}
	p.commit = secret
	return p, nil
}

// newPath samples the secrets of a filtered direct path.
func newPath(s *suite.Suite, steps []tree.Step) (*path, error) {
	nodes := make([]tree.NodeIndex, len(steps))
	for i, step := range steps {
		nodes[i] = step.Parent
	}
	return derivePath(s, suite.Random(s.HashSize()), nodes)
}

// publicKeys are the keys of the path, from the bottom up.
func (p *path) publicKeys() [][]byte {
	keys := make([][]byte, len(p.keys))
	for i, k := range p.keys {
		keys[i] = k.PublicKey()
	}
	return keys
}

// secretAt returns the path secret of node x, nil if the path does not go
// there.
func (p *path) secretAt(x tree.NodeIndex) []byte {
	if i := slices.Index(p.nodes, x); i >= 0 {
		return p.secrets[i]
	}
	return nil
}

// A renewal is what the encryption of a path depends on beside its secrets:
// the tree with the path in it, whose path it is, the leaves that the commit
// adds, in increasing order, and the encoded provisional GroupContext.
type renewal struct {
	tree    *tree.Tree
	sender  wire.LeafIndex
	added   []wire.LeafIndex
	context []byte
	// parallel makes the seals; nil one after the other.
	parallel tree.Parallel
}

// A pathSeal is one path secret to be encrypted to one node, and its place.
type pathSeal struct {
	node, at int
	to       tree.NodeIndex
}

// encrypt encrypts each path secret to the resolution of the copath child,
// without the leaves that are added (RFC 9420, Section 7.6).
func (p *path) encrypt(r *renewal) ([]wire.UpdatePathNode, error) {
	nodes := make([]wire.UpdatePathNode, len(p.nodes))
	var seals []pathSeal
	for i, step := range r.tree.FilteredDirectPath(r.sender) {
		resolution := r.tree.Resolution(step.Copath, r.added...)
		nodes[i].EncryptionKey = p.keys[i].PublicKey()
		nodes[i].EncryptedPathSecret = make([]wire.HPKECiphertext, len(resolution))
		for at, x := range resolution {
			seals = append(seals, pathSeal{i, at, x})
		}
	}
	sealer := r.tree.Suite().NewSealer("UpdatePathNode", r.context)
	err := r.parallel.Each(len(seals), func(i int) error {
		seal := &seals[i]
		public, _ := r.tree.EncryptionKey(seal.to)
		kem, ct, err := sealer.Seal(public, p.secrets[seal.node])
		if err != nil {
			return fmt.Errorf("encrypt path secret to node %d: %w", seal.to, err)
		}
		nodes[seal.node].EncryptedPathSecret[seal.at] = wire.HPKECiphertext{KEMOutput: kem, Ciphertext: ct}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return nodes, nil
}

// A keyring holds the private keys a member knows: of its leaf, and of those
// nodes above it that were last renewed by somebody in its subtree.
type keyring map[tree.NodeIndex]*suite.HPKEPrivateKey

// decrypt finds the path secret in nodes that is encrypted to leaf own, and
// derives the keys from there up (RFC 9420, Section 7.5).
func (k keyring) decrypt(r *renewal, own wire.LeafIndex, nodes []wire.UpdatePathNode) (*path, error) {
	steps := r.tree.FilteredDirectPath(r.sender)
	at := slices.IndexFunc(steps, func(s tree.Step) bool { return s.Copath.Contains(tree.NodeOf(own)) })
	if len(steps) != len(nodes) || at < 0 {
		return nil, fmt.Errorf("update path of %d nodes, want %d: %w", len(nodes), len(steps), ErrInvalid)
	}
	secrets := nodes[at].EncryptedPathSecret
	resolution := r.tree.Resolution(steps[at].Copath, r.added...)
	if len(secrets) != len(resolution) {
		return nil, fmt.Errorf("path secret for %d nodes, want %d: %w", len(secrets), len(resolution), ErrInvalid)
	}
	i := slices.IndexFunc(resolution, func(x tree.NodeIndex) bool { return k[x] != nil })
	if i < 0 {
		return nil, fmt.Errorf("update path: no key for leaf %d: %w", own, ErrInvalid)
	}
	secret, err := r.tree.Suite().Decrypt(k[resolution[i]], "UpdatePathNode", r.context, secrets[i].KEMOutput, secrets[i].Ciphertext)
	if err != nil {
		return nil, fmt.Errorf("decrypt path secret: %w", err)
	}
	above := make([]tree.NodeIndex, 0, len(steps)-at)
	for _, s := range steps[at:] {
		above = append(above, s.Parent)
	}
	return openPath(r.tree, secret, above)
}

// openPath derives the keys of nodes from the path secret of the first, and
// checks that they are those in the tree.
func openPath(t *tree.Tree, secret []byte, nodes []tree.NodeIndex) (*path, error) {
	if len(secret) != t.Suite().HashSize() {
		return nil, fmt.Errorf("%w: %d bytes", ErrPathSecret, len(secret))
	}
	p, err := derivePath(t.Suite(), secret, nodes)
	if err != nil {
		return nil, err
	}
	for i, x := range nodes {
		if public, _ := t.EncryptionKey(x); !bytes.Equal(public, p.keys[i].PublicKey()) {
			return nil, fmt.Errorf("%w: node %d", ErrPathSecret, x)
		}
	}
	return p, nil
}

// with returns a copy of k with one more key.
func (k keyring) with(x tree.NodeIndex, key *suite.HPKEPrivateKey) keyring {
	n := maps.Clone(k)
	n[x] = key
	return n
}

// next returns the keyring of the epoch whose tree is t: the keys that are
// still those of their nodes, and what p adds.
func (k keyring) next(t *tree.Tree, p *path) keyring {
	n := make(keyring, len(k)+1)
	for x, key := range k {
		if public, ok := t.EncryptionKey(x); ok && bytes.Equal(public, key.PublicKey()) {
			n[x] = key
		}
	}
	if p != nil {
		for i, x := range p.nodes {
			n[x] = p.keys[i]
		}
	}
	return n
}
