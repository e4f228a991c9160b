package tree

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/wire"
)

// TestVectorTreeOperations applies the official proposals to the official
// trees.
func TestVectorTreeOperations(t *testing.T) {
	type operation struct {
		CipherSuite    suite.ID       `json:"cipher_suite"`
		TreeBefore     vectors.Hex    `json:"tree_before"`
		Proposal       vectors.Hex    `json:"proposal"`
		ProposalSender wire.LeafIndex `json:"proposal_sender"`
		TreeHashBefore vectors.Hex    `json:"tree_hash_before"`
		TreeAfter      vectors.Hex    `json:"tree_after"`
		TreeHashAfter  vectors.Hex    `json:"tree_hash_after"`
	}
	for i, c := range vectors.Load[operation](t, "tree-operations.json") {
		s, err := suite.Lookup(c.CipherSuite)
		if err != nil {
			continue
		}
		before, err := Parse(s, c.TreeBefore)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		if !bytes.Equal(before.Hash(), c.TreeHashBefore) {
			t.Errorf("case %d: tree hash before differs", i)
		}
		proposal, err := wire.Unmarshal[wire.Proposal](c.Proposal)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		e := before.Edit()
		switch proposal.ProposalType {
		case wire.ProposalTypeAdd:
			_, err = e.Add(proposal.Add.KeyPackage.LeafNode)
		case wire.ProposalTypeUpdate:
			err = e.Update(c.ProposalSender, proposal.Update.LeafNode)
		case wire.ProposalTypeRemove:
			err = e.Remove(proposal.Remove.Removed)
		}
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		after, err := e.Tree()
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		if !bytes.Equal(after.Hash(), c.TreeHashAfter) || !bytes.Equal(wire.Marshal(after), c.TreeAfter) {
			t.Errorf("case %d: tree after %v differs", i, proposal.ProposalType)
		}
		if !bytes.Equal(wire.Marshal(before), c.TreeBefore) || !bytes.Equal(before.Hash(), c.TreeHashBefore) {
			t.Errorf("case %d: the edit changed the tree before", i)
		}
	}
}

// TestVectorTreeValidation verifies the official trees: node hashes,
// resolutions, parent hashes and leaf signatures.
func TestVectorTreeValidation(t *testing.T) {
	type validation struct {
		CipherSuite suite.ID      `json:"cipher_suite"`
		Tree        vectors.Hex   `json:"tree"`
		GroupID     vectors.Hex   `json:"group_id"`
		Resolutions [][]NodeIndex `json:"resolutions"`
		TreeHashes  []vectors.Hex `json:"tree_hashes"`
	}
	seen := 0
	for i, c := range vectors.Load[validation](t, "tree-validation.json") {
		s, err := suite.Lookup(c.CipherSuite)
		if err != nil {
			continue
		}
		seen++
		tree, err := Parse(s, c.Tree)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		for x := range c.TreeHashes {
			if !bytes.Equal(tree.NodeHash(NodeIndex(x)), c.TreeHashes[x]) {
				t.Errorf("case %d: tree hash of node %d differs", i, x)
			}
			if got := tree.Resolution(NodeIndex(x)); !slices.Equal(got, c.Resolutions[x]) {
				t.Errorf("case %d: resolution of node %d: %v, want %v", i, x, got, c.Resolutions[x])
			}
		}
		if !bytes.Equal(wire.Marshal(tree), c.Tree) {
			t.Errorf("case %d: the tree is encoded differently", i)
		}
		context := wire.GroupContext{CipherSuite: wire.CipherSuite(c.CipherSuite), GroupID: c.GroupID, TreeHash: tree.Hash()}
		if err := tree.Verify(&context, &Config{Credentials: anybody{}}); err != nil {
			t.Errorf("case %d: %v", i, err)
		}
		context.GroupID = []byte("another group")
		if err := tree.Verify(&context, &Config{Credentials: anybody{}}); hasSignedPlace(tree) != errors.Is(err, ErrLeafSignature) {
			t.Errorf("case %d, of another group: %v", i, err)
		}
	}
	if seen == 0 {
		t.Fatal("no case of a suite we have")
	}
}

// hasSignedPlace reports whether a leaf's signature covers the group.
func hasSignedPlace(t *Tree) bool {
	for i := range t.Members() {
		if leaf, _ := t.Leaf(i); leaf.LeafNodeSource != wire.LeafNodeSourceKeyPackage {
			return true
		}
	}
	return false
}

// TestVectorTreeKEM applies the public part of the official update paths.
func TestVectorTreeKEM(t *testing.T) {
	type treeKEM struct {
		CipherSuite suite.ID    `json:"cipher_suite"`
		GroupID     vectors.Hex `json:"group_id"`
		RatchetTree vectors.Hex `json:"ratchet_tree"`
		UpdatePaths []struct {
			Sender        wire.LeafIndex `json:"sender"`
			UpdatePath    vectors.Hex    `json:"update_path"`
			TreeHashAfter vectors.Hex    `json:"tree_hash_after"`
		} `json:"update_paths"`
	}
	for i, c := range vectors.Load[treeKEM](t, "treekem.json") {
		s, err := suite.Lookup(c.CipherSuite)
		if err != nil {
			continue
		}
		tree, err := Parse(s, c.RatchetTree)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		for _, u := range c.UpdatePaths {
			path, err := wire.Unmarshal[wire.UpdatePath](u.UpdatePath)
			if err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			state := State{Context: wire.GroupContext{CipherSuite: wire.CipherSuite(c.CipherSuite), GroupID: c.GroupID}, Tree: tree}
			staged, err := state.Stage(u.Sender, nil, &Config{Credentials: anybody{}})
			if err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			if err := staged.ApplyPath(&path); err != nil {
				t.Fatalf("case %d, sender %d: %v", i, u.Sender, err)
			}
			next, err := staged.Next()
			if err != nil || !bytes.Equal(next.Context.TreeHash, u.TreeHashAfter) {
				t.Errorf("case %d, sender %d: tree hash after differs, %v", i, u.Sender, err)
			}
			if err := next.Tree.Verify(&next.Context, &Config{Credentials: anybody{}}); err != nil {
				t.Errorf("case %d, sender %d: %v", i, u.Sender, err)
			}
		}
	}
}
