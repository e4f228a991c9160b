package tree

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"parley/mls/wire"
)

// TestVerifyGroupRefuses gives a newcomer trees that no honest group has: a
// parent node nobody vouches for, and one whose key is none.
func TestVerifyGroupRefuses(t *testing.T) {
	p := newPair(t)
	for range 3 {
		p = p.add()
	}
	p = p.commit(0)
	context := func(n *naive) (*Tree, *wire.GroupContext) {
		tree, err := Parse(p.tree.suite, n.encode())
		if err != nil {
			t.Fatal(err)
		}
		return tree, &wire.GroupContext{CipherSuite: 1, TreeHash: tree.Hash()}
	}
	tree, c := context(p.naive)
	if err := tree.VerifyGroup(c); err != nil {
		t.Fatal(err)
	}
	other := p.naive.clone()
	other.parent(t, 3).EncryptionKey = key()
	tree, c = context(other)
	if err := tree.VerifyGroup(c); !errors.Is(err, ErrParentHash) {
		t.Errorf("a key that a stranger put into the tree: %v", err)
	}

	leaf := unsigned()
	leaf.LeafNodeSource = wire.LeafNodeSourceCommit
	short := p.naive.clone()
	leaf.ParentHash = short.setPath(0, [][]byte{key(), []byte("short")})
	short.nodes[0] = &wire.Node{NodeType: wire.NodeTypeLeaf, LeafNode: &leaf}
	tree, c = context(short)
	if err := tree.VerifyGroup(c); !errors.Is(err, ErrEncryptionKey) {
		t.Errorf("a parent node with a key that is none: %v", err)
	}
}

// TestParseRefusesMore: a tree ends where its list ends.
func TestParseRefusesMore(t *testing.T) {
	b := wire.Marshal(newPair(t).tree)
	if _, err := Parse(newPair(t).tree.suite, append(b, 0)); !errors.Is(err, wire.ErrTrailing) {
		t.Error(err)
	}
}

// TestVerifyKeyPackage breaks what the observer's refusals do not show.
func TestVerifyKeyPackage(t *testing.T) {
	c := newCast(t, 1)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ofP256, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, p256.Public(), p256)
	if err != nil {
		t.Fatal(err)
	}
	lifetime := func(l wire.Lifetime) func(k *wire.KeyPackage) {
		return func(k *wire.KeyPackage) { k.LeafNode.Lifetime = l }
	}
	week := Config{Credentials: anybody{}, MaxLifetime: 7 * 24 * time.Hour}
	then := Config{Credentials: anybody{}, Now: time.Unix(1000, 0)}
	cases := []struct {
		rule   string
		want   error
		config *Config
		change func(k *wire.KeyPackage)
	}{
		{"a valid one", nil, &c.config, func(*wire.KeyPackage) {}},
		{"encryption_key is a key of the suite (10)", ErrEncryptionKey, &c.config, func(k *wire.KeyPackage) { k.LeafNode.EncryptionKey = key()[:31] }},
		{"a certificate can be read (5.3)", ErrCredentialKey, &c.config, func(k *wire.KeyPackage) { k.LeafNode.Credential = wire.X509Credential([]byte("no DER")) }},
		{"a certificate is for a key of the suite (5.3)", ErrCredentialKey, &c.config, func(k *wire.KeyPackage) { k.LeafNode.Credential = wire.X509Credential(ofP256) }},
		{"a lifetime ends after it begins (7.2)", ErrLifetime, &c.config, lifetime(wire.Lifetime{NotBefore: 2, NotAfter: 1})},
		{"a week and a second (7.2)", ErrLifetime, &week, lifetime(wire.Lifetime{NotAfter: 7*24*3600 + 1})},
		{"a week (7.2)", nil, &week, lifetime(wire.Lifetime{NotBefore: 5, NotAfter: 7*24*3600 + 5})},
		{"the whole of time (7.2)", ErrLifetime, &week, lifetime(wire.Lifetime{NotAfter: 1<<64 - 1})},
		{"its first second (7.2)", nil, &then, lifetime(wire.Lifetime{NotBefore: 1000, NotAfter: 2000})},
		{"its last second (7.2)", nil, &then, lifetime(wire.Lifetime{NotAfter: 1000})},
		{"the second before (7.2)", ErrLifetime, &then, lifetime(wire.Lifetime{NotBefore: 1001, NotAfter: 2000})},
		{"the second after (7.2)", ErrLifetime, &then, lifetime(wire.Lifetime{NotAfter: 999})},
		{"without a validator", ErrCredential, &Config{}, func(*wire.KeyPackage) {}},
	}
	for _, r := range cases {
		p := c.add(r.change)
		if err := r.config.VerifyKeyPackage(c.suite, &p.Add.KeyPackage); !errors.Is(err, r.want) {
			t.Errorf("%s: got %v, want %v", r.rule, err, r.want)
		}
	}

	p := c.add()
	p.Add.KeyPackage.LeafNode.SignatureKey = key()[:31]
	if err := c.config.VerifyKeyPackage(c.suite, &p.Add.KeyPackage); !errors.Is(err, ErrSignatureKey) {
		t.Errorf("signature_key is a key of the suite (10): %v", err)
	}
	p = c.add()
	k := &p.Add.KeyPackage
	signer := c.signers[waiting(k.LeafNode.SignatureKey)]
	k.LeafNode.Signature = bytes.Repeat([]byte{1}, 64)
	c.signKeyPackage(k, signer)
	if err := c.config.VerifyKeyPackage(c.suite, k); !errors.Is(err, ErrLeafSignature) {
		t.Errorf("the leaf node is signed by itself (7.3): %v", err)
	}
}

// TestStageRefuses gives Stage what an Observer does not let through.
func TestStageRefuses(t *testing.T) {
	c := newCast(t, 2)
	if _, err := c.State().Stage(2, nil, &c.config); !errors.Is(err, ErrBlankLeaf) {
		t.Errorf("a committer that is no member: %v", err)
	}
	full := c.State()
	tree := *full.Tree
	root := *tree.top(MaxLeaves)
	root.members = MaxLeaves
	tree.root, tree.width = &root, MaxLeaves
	full.Tree = &tree
	add := c.add()
	if _, err := full.Stage(0, []Sent{{Proposal: &add}}, &c.config); !errors.Is(err, ErrTreeTooLarge) {
		t.Errorf("a member more than MaxLeaves: %v", err)
	}
}

// TestEditRefuses asks an Edit for what can not be done; the draft stays.
func TestEditRefuses(t *testing.T) {
	p := newPair(t).add().add()
	e := p.tree.Edit()
	_, blank := e.SetPath(3, nil)
	_, outside := e.SetPath(1<<31, nil)
	_, short := e.SetPath(0, [][]byte{key()})
	for _, c := range []struct {
		what      string
		got, want error
	}{
		{"path of a blank leaf", blank, ErrBlankLeaf},
		{"path of a leaf outside the tree", outside, ErrBlankLeaf},
		{"path of too few keys", short, ErrPathLength},
		{"leaf node for a blank leaf", e.SetLeaf(3, unsigned()), ErrBlankLeaf},
		{"update of a blank leaf", e.Update(3, unsigned()), ErrBlankLeaf},
		{"remove of a blank leaf", e.Remove(3), ErrBlankLeaf},
		{"remove of a leaf outside the tree", e.Remove(4), ErrBlankLeaf},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
	same, err := e.Tree()
	if err != nil || !bytes.Equal(same.Hash(), p.tree.Hash()) {
		t.Errorf("what was refused changed the draft: %v", err)
	}
	update := wire.Proposal{ProposalType: wire.ProposalTypeUpdate, Update: &wire.Update{LeafNode: unsigned()}}
	if err := (State{Tree: p.tree}).VerifyProposal(Sent{Proposal: &update, Sender: 3}, &Config{}); !errors.Is(err, ErrBlankLeaf) {
		t.Errorf("an update of one who is no member: %v", err)
	}
}
