package mls

import (
	"bytes"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

type partialPathCase struct {
	Suite    suite.ID    `json:"cipher_suite"`
	Path     vectors.Hex `json:"update_path"`
	TreeHash vectors.Hex `json:"tree_hash_after"`
	Index    *uint32     `json:"resolution_index"`
	Sender   vectors.Hex `json:"sender_membership_proof_after"`
	Receiver vectors.Hex `json:"receiver_membership_proof_after"`
	Keys     []struct {
		Node       tree.NodeIndex `json:"node"`
		Private    vectors.Hex    `json:"encryption_priv"`
		PathSecret vectors.Hex    `json:"path_secret"`
	} `json:"receiver_path_state"`
	CommitSecret vectors.Hex `json:"commit_secret"`
}

// TestVectorsPartialTreeOperations: "the client selects the correct encrypted
// path secret, decrypts it, derives the remaining path secrets, and produces
// the expected commit_secret", with two proofs in place of the tree. The
// post-quantum suites that the file numbers 8 to 10 are known by the lengths of
// their keys.
func TestVectorsPartialTreeOperations(t *testing.T) {
	numbers := map[suite.ID]suite.ID{
		8:  suite.MLKEM768X25519AES256SHA384Ed25519,
		9:  suite.MLKEM768P256AES256SHA384P256,
		10: suite.MLKEM1024P384AES256SHA384P384,
	}
	ran := map[suite.ID]int{}
	for i, c := range vectors.Load[partialPathCase](t, "../mls-partial/test-vector-partial-tree-operations.json") {
		id := c.Suite
		if n, ok := numbers[id]; ok {
			id = n
		}
		if id == 4 || id == 6 {
			continue
		}
		s, err := suite.Lookup(id)
		must(t, err)
		if got := c.commitSecret(t, s); !bytes.Equal(got, c.CommitSecret) {
			t.Errorf("case %d, %v: commit secret %x", i, s, got)
		}
		ran[id]++
	}
	if len(ran) != 8 {
		t.Errorf("checked by suite: %v", ran)
	}
}

// commitSecret processes the update path as one who has only two proofs.
func (c *partialPathCase) commitSecret(t *testing.T, s *suite.Suite) []byte {
	path, err := wire.Unmarshal[wire.UpdatePath](c.Path)
	must(t, err)
	sender, err := wire.Unmarshal[tree.MembershipProof](c.Sender)
	must(t, err)
	receiver, err := wire.Unmarshal[tree.MembershipProof](c.Receiver)
	must(t, err)
	must(t, sender.Verify(s, c.TreeHash))
	must(t, receiver.Verify(s, c.TreeHash))
	if !sender.Agrees(&path) {
		t.Fatal("path and proof have other keys")
	}
	place, err := tree.Place(&sender, &receiver)
	must(t, err)
	var key *suite.HPKEPrivateKey
	for _, k := range c.Keys {
		if k.Node == place.Key {
			key, err = s.NewHPKEPrivateKey(k.Private)
			must(t, err)
		}
	}
	if key == nil {
		t.Fatalf("no key of node %d", place.Key)
	}
	ciphertext := path.Nodes[place.Update].EncryptedPathSecret[*c.Index]
	// These vectors encrypt under the tree hash alone, not under a GroupContext.
	secret, err := s.Decrypt(key, "UpdatePathNode", c.TreeHash, ciphertext.KEMOutput, ciphertext.Ciphertext)
	must(t, err)
	p, err := derivePath(s, secret, place.Above)
	must(t, err)
	for i, k := range p.keys {
		if !bytes.Equal(k.PublicKey(), place.PublicKeys[i]) {
			t.Errorf("node %d: another key", place.Above[i])
		}
	}
	return p.commit
}
