package tree

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"testing"

	"parley/mls/suite"
	"parley/mls/wire"
)

// A cast is a group whose members are played by the test: it has their
// signature keys and makes well-formed handshakes, but the keys of the tree
// are random bytes and tags authenticate nothing, since nobody here has the
// secrets.
type cast struct {
	t       testing.TB
	suite   *suite.Suite
	signers map[wire.LeafIndex]*suite.SignaturePrivateKey
	config  Config
	*Observer
}

// anybody accepts every credential and every successor but "forbidden".
type anybody struct{}

var errForbidden = errors.New("forbidden")

func (anybody) Validate(c wire.Credential, _ []byte) error {
	if string(c.Identity) == "forbidden" {
		return errForbidden
	}
	return nil
}

func (anybody) Succeeds(old, new wire.Credential) error {
	if string(old.Identity) != string(new.Identity) {
		return errForbidden
	}
	return nil
}

// key returns a new X25519 public key, or what passes for one.
func key() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return b
}

// capabilities are those of all members unless a test wants others.
func capabilities() wire.Capabilities {
	return wire.Capabilities{
		Versions: []wire.ProtocolVersion{wire.MLS10}, CipherSuites: []wire.CipherSuite{1, 2, 3, 5, 7},
		Credentials: []wire.CredentialType{wire.CredentialTypeBasic, wire.CredentialTypeX509},
	}
}

// newCast returns a group of n members; member i is leaf i.
func newCast(t testing.TB, n int) *cast {
	t.Helper()
	s, err := suite.Lookup(1)
	if err != nil {
		t.Fatal(err)
	}
	c := &cast{t: t, suite: s, signers: make(map[wire.LeafIndex]*suite.SignaturePrivateKey), config: Config{Credentials: anybody{}}}
	leaf, signer := c.leaf(0, nil)
	tree := New(s, leaf)
	c.signers[0] = signer
	info := wire.GroupInfo{
		GroupContext:    wire.GroupContext{CipherSuite: 1, GroupID: []byte("group"), TreeHash: tree.Hash()},
		ConfirmationTag: make([]byte, 32),
	}
	c.sign(&info)
	if c.Observer, err = NewObserver(&info, tree, &c.config); err != nil {
		t.Fatal(err)
	}
	if n > 1 {
		var adds []wire.ProposalOrRef
		for range n - 1 {
			adds = append(adds, wire.ByValue(c.add()))
		}
		c.mustCommit(0, false, adds...)
	}
	return c
}

// sign signs a GroupInfo as its signer.
func (c *cast) sign(info *wire.GroupInfo) {
	var err error
	if info.Signature, err = c.signers[info.Signer].Sign("GroupInfoTBS", wire.Marshal(wire.GroupInfoTBS(*info))); err != nil {
		c.t.Fatal(err)
	}
}

// leaf returns a signed leaf node of a new client, after change.
func (c *cast) leaf(lifetime uint64, change func(*wire.LeafNode)) (wire.LeafNode, *suite.SignaturePrivateKey) {
	signer, err := c.suite.GenerateSignatureKey()
	if err != nil {
		c.t.Fatal(err)
	}
	leaf := wire.LeafNode{
		EncryptionKey: key(), SignatureKey: signer.PublicKey(), Credential: wire.BasicCredential([]byte("member")),
		Capabilities: capabilities(), LeafNodeSource: wire.LeafNodeSourceKeyPackage,
		Lifetime: wire.Lifetime{NotAfter: lifetime},
	}
	if change != nil {
		change(&leaf)
	}
	c.signLeaf(&leaf, signer, 0)
	return leaf, signer
}

// signLeaf signs a leaf node at i.
func (c *cast) signLeaf(leaf *wire.LeafNode, signer *suite.SignaturePrivateKey, i wire.LeafIndex) {
	var err error
	tbs := wire.LeafNodeTBS{LeafNode: *leaf, GroupID: []byte("group"), LeafIndex: i}
	if leaf.Signature, err = signer.Sign("LeafNodeTBS", wire.Marshal(tbs)); err != nil {
		c.t.Fatal(err)
	}
}

// add returns an Add of a new client. The cast learns where it is when the
// commit has been followed.
func (c *cast) add(change ...func(*wire.KeyPackage)) wire.Proposal {
	leaf, signer := c.leaf(1<<40, nil)
	k := wire.KeyPackage{Version: wire.MLS10, CipherSuite: 1, InitKey: key(), LeafNode: leaf}
	for _, f := range change {
		f(&k)
	}
	c.signLeaf(&k.LeafNode, signer, 0)
	c.signKeyPackage(&k, signer)
	c.signers[waiting(k.LeafNode.SignatureKey)] = signer
	return wire.Proposal{ProposalType: wire.ProposalTypeAdd, Add: &wire.Add{KeyPackage: k}}
}

func (c *cast) signKeyPackage(k *wire.KeyPackage, signer *suite.SignaturePrivateKey) {
	var err error
	if k.Signature, err = signer.Sign("KeyPackageTBS", wire.Marshal(wire.KeyPackageTBS(*k))); err != nil {
		c.t.Fatal(err)
	}
}

// waiting is where the signer of a client stands that is no member yet.
func waiting(signatureKey []byte) wire.LeafIndex {
	return wire.LeafIndex(binary.BigEndian.Uint32(signatureKey) | 1<<31)
}

// remove returns a Remove.
func remove(i wire.LeafIndex) wire.Proposal {
	return wire.Proposal{ProposalType: wire.ProposalTypeRemove, Remove: &wire.Remove{Removed: i}}
}

// extensions returns a GroupContextExtensions.
func extensions(l ...wire.Extension) wire.Proposal {
	return wire.Proposal{
		ProposalType:           wire.ProposalTypeGroupContextExtensions,
		GroupContextExtensions: &wire.GroupContextExtensions{Extensions: l},
	}
}

// update returns an Update of member i, after change.
func (c *cast) update(i wire.LeafIndex, change ...func(*wire.LeafNode)) wire.Proposal {
	leaf, ok := c.Tree().Leaf(i)
	if !ok {
		c.t.Fatalf("update: leaf %d is blank", i)
	}
	leaf.LeafNodeSource, leaf.EncryptionKey = wire.LeafNodeSourceUpdate, key()
	for _, f := range change {
		f(&leaf)
	}
	c.signLeaf(&leaf, c.signers[i], i)
	return wire.Proposal{ProposalType: wire.ProposalTypeUpdate, Update: &wire.Update{LeafNode: leaf}}
}

// message frames content of member i and signs it.
func (c *cast) message(i wire.LeafIndex, content wire.FramedContent) *wire.PublicMessage {
	context := c.Context()
	content.GroupID, content.Epoch, content.Sender = context.GroupID, context.Epoch, wire.Member(i)
	m := &wire.PublicMessage{Content: content, MembershipTag: make([]byte, 32)}
	c.resign(m)
	return m
}

// resign signs a message that was changed.
func (c *cast) resign(m *wire.PublicMessage) {
	context := c.Context()
	signature, err := c.signers[m.Content.Sender.LeafIndex].Sign("FramedContentTBS", wire.Marshal(m.Authenticated().TBS(&context)))
	if err != nil {
		c.t.Fatal(err)
	}
	m.Auth.Signature = signature
	if m.Content.ContentType == wire.ContentTypeCommit && m.Auth.ConfirmationTag == nil {
		m.Auth.ConfirmationTag = key()
	}
}

// proposal frames a proposal of member i.
func (c *cast) proposal(i wire.LeafIndex, p wire.Proposal) *wire.PublicMessage {
	return c.message(i, wire.FramedContent{ContentType: wire.ContentTypeProposal, Proposal: &p})
}

// commit frames a commit of member i; the path is made for the proposals that
// can be applied and is valid if they are.
func (c *cast) commit(i wire.LeafIndex, path bool, list ...wire.ProposalOrRef) *wire.PublicMessage {
	commit := &wire.Commit{Proposals: list}
	if path {
		commit.Path = c.path(i, list)
	}
	return c.message(i, wire.FramedContent{ContentType: wire.ContentTypeCommit, Commit: commit})
}

// path makes the update path of a commit of member i.
func (c *cast) path(i wire.LeafIndex, list []wire.ProposalOrRef) *wire.UpdatePath {
	e := c.Tree().Edit()
	sender := wire.Member(i)
	sent, err := c.resolve(&sender, list)
	if err != nil {
		c.t.Fatal(err)
	}
	st := Staged{Draft: e, state: c.State(), committer: i, config: &c.config}
	if err := st.apply(sent); err != nil {
		c.t.Fatal(err)
	}
	path := new(wire.UpdatePath)
	var keys [][]byte
	for _, step := range e.FilteredDirectPath(i) {
		n := wire.UpdatePathNode{EncryptionKey: key()}
		n.EncryptedPathSecret = make([]wire.HPKECiphertext, e.resolutionSize(step.Copath, st.Added))
		path.Nodes = append(path.Nodes, n)
		keys = append(keys, n.EncryptionKey)
	}
	leaf, _ := c.Tree().Leaf(i)
	leaf.LeafNodeSource, leaf.EncryptionKey = wire.LeafNodeSourceCommit, key()
	if leaf.ParentHash, err = e.SetPath(i, keys); err != nil {
		c.t.Fatal(err)
	}
	c.signLeaf(&leaf, c.signers[i], i)
	path.LeafNode = leaf
	return path
}

// follow gives the observer a message, as it comes from the wire.
func (c *cast) follow(m *wire.PublicMessage) (*Observer, Change, error) {
	c.t.Helper()
	again, err := wire.Unmarshal[wire.PublicMessage](wire.Marshal(m))
	if err != nil {
		c.t.Fatal(err)
	}
	return c.Handle(&again, &c.config)
}

// must follows a message that must be valid.
func (c *cast) must(m *wire.PublicMessage) Change {
	c.t.Helper()
	next, change, err := c.follow(m)
	if err != nil {
		c.t.Fatal(err)
	}
	c.Observer = next
	for _, r := range change.Removed {
		delete(c.signers, r.Index)
	}
	for _, a := range change.Added {
		at := waiting(a.LeafNode.SignatureKey)
		c.signers[a.Index] = c.signers[at]
		delete(c.signers, at)
	}
	return change
}

// mustCommit follows a valid commit.
func (c *cast) mustCommit(i wire.LeafIndex, path bool, list ...wire.ProposalOrRef) Change {
	c.t.Helper()
	return c.must(c.commit(i, path, list...))
}
