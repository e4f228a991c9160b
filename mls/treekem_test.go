package mls

import (
	"bytes"
	"fmt"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

type treekemCase struct {
	Suite         suite.ID      `json:"cipher_suite"`
	GroupID       vectors.Hex   `json:"group_id"`
	Epoch         uint64        `json:"epoch"`
	Confirmed     vectors.Hex   `json:"confirmed_transcript_hash"`
	RatchetTree   vectors.Hex   `json:"ratchet_tree"`
	LeavesPrivate []treekemLeaf `json:"leaves_private"`
	UpdatePaths   []treekemPath `json:"update_paths"`
}

type treekemLeaf struct {
	Index          wire.LeafIndex  `json:"index"`
	EncryptionPriv vectors.Hex     `json:"encryption_priv"`
	SignaturePriv  vectors.Hex     `json:"signature_priv"`
	PathSecrets    []treekemSecret `json:"path_secrets"`
}

type treekemSecret struct {
	Node       tree.NodeIndex `json:"node"`
	PathSecret vectors.Hex    `json:"path_secret"`
}

type treekemPath struct {
	Sender        wire.LeafIndex `json:"sender"`
	UpdatePath    vectors.Hex    `json:"update_path"`
	PathSecrets   []vectors.Hex  `json:"path_secrets"`
	CommitSecret  vectors.Hex    `json:"commit_secret"`
	TreeHashAfter vectors.Hex    `json:"tree_hash_after"`
}

func TestVectorsTreeKEM(t *testing.T) {
	skipped := map[suite.ID]int{}
	vectors.Each(t, "treekem.json", func(t *testing.T, c treekemCase) {
		if s := suiteOf(t, c.Suite, skipped); s != nil {
			t.Run(fmt.Sprintf("suite-%d", c.Suite), func(t *testing.T) {
				t.Parallel()
				c.check(t, s)
			})
		}
	})
	t.Logf("skipped by suite: %v", skipped)
}

// keyrings returns what each member knows, checked against the tree.
func (c *treekemCase) keyrings(t *testing.T, s *suite.Suite, tr *tree.Tree) map[wire.LeafIndex]keyring {
	t.Helper()
	rings := make(map[wire.LeafIndex]keyring)
	for _, l := range c.LeavesPrivate {
		key, err := s.NewHPKEPrivateKey(l.EncryptionPriv)
		if err != nil {
			t.Fatal(err)
		}
		ring := keyring{tree.NodeOf(l.Index): key}
		for _, p := range l.PathSecrets {
			opened, err := openPath(tr, p.PathSecret, []tree.NodeIndex{p.Node})
			if err != nil {
				t.Fatal(err)
			}
			ring[p.Node] = opened.keys[0]
		}
		if len(ring.next(tr, nil)) != len(ring) {
			t.Errorf("suite %d: keys of leaf %d are not those of the tree", c.Suite, l.Index)
		}
		rings[l.Index] = ring
	}
	return rings
}

func (c *treekemCase) check(t *testing.T, s *suite.Suite) {
	tr, err := tree.Parse(s, c.RatchetTree)
	if err != nil {
		t.Fatal(err)
	}
	rings := c.keyrings(t, s, tr)
	for _, u := range c.UpdatePaths {
		up, err := wire.Unmarshal[wire.UpdatePath](u.UpdatePath)
		if err != nil {
			t.Fatal(err)
		}
		edit := tr.Edit()
		if err := edit.ApplyPath(u.Sender, &up, nil); err != nil {
			t.Fatal(err)
		}
		after, err := edit.Tree()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(after.Hash(), u.TreeHashAfter) {
			t.Errorf("suite %d: tree hash after the path of leaf %d differs", c.Suite, u.Sender)
		}
		r := c.renewal(after, u.Sender)
		for leaf, ring := range rings {
			if leaf == u.Sender {
				continue
			}
			p, err := ring.decrypt(r, leaf, up.Nodes)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p.secrets[0], u.PathSecrets[leaf]) || !bytes.Equal(p.commit, u.CommitSecret) {
				t.Errorf("suite %d: path secret or commit secret of leaf %d differs", c.Suite, leaf)
			}
		}
	}
	c.checkOwnPath(t, tr, rings, c.UpdatePaths[0].Sender)
}

// renewal is the context of the vector's paths.
func (c *treekemCase) renewal(after *tree.Tree, sender wire.LeafIndex) *renewal {
	return &renewal{tree: after, sender: sender, context: wire.Marshal(wire.GroupContext{
		CipherSuite: wire.CipherSuite(c.Suite), GroupID: c.GroupID, Epoch: c.Epoch,
		TreeHash: after.Hash(), ConfirmedTranscriptHash: c.Confirmed,
	})}
}

// checkOwnPath makes a path of sender's, which all others must be able to open.
func (c *treekemCase) checkOwnPath(t *testing.T, tr *tree.Tree, rings map[wire.LeafIndex]keyring, sender wire.LeafIndex) {
	t.Helper()
	p, err := newPath(tr.Suite(), tr.FilteredDirectPath(sender))
	if err != nil {
		t.Fatal(err)
	}
	edit := tr.Edit()
	if _, err := edit.SetPath(sender, p.publicKeys()); err != nil {
		t.Fatal(err)
	}
	after, err := edit.Tree()
	if err != nil {
		t.Fatal(err)
	}
	r := c.renewal(after, sender)
	nodes, err := p.encrypt(r)
	if err != nil {
		t.Fatal(err)
	}
	for leaf, ring := range rings {
		if leaf == sender {
			continue
		}
		got, err := ring.decrypt(r, leaf, nodes)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.commit, p.commit) {
			t.Errorf("suite %d: commit secret of our path differs at leaf %d", c.Suite, leaf)
		}
	}
}
