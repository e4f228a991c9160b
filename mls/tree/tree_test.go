package tree

import (
	"bytes"
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
	}
	if seen == 0 {
		t.Fatal("no case of a suite we have")
	}
}
