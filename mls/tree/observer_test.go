package tree

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"parley/mls/wire"
)

// TestObserverFollows takes a group through a life and checks at each epoch
// what is said about it, and that the tree is one a newcomer would accept.
func TestObserverFollows(t *testing.T) {
	c := newCast(t, 6)
	valid := func() {
		t.Helper()
		context := c.Context()
		if err := c.Tree().Verify(&context, &c.config); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(context.TreeHash, c.Tree().Hash()) {
			t.Fatal("the GroupContext has another tree hash")
		}
	}
	valid()
	for i := range wire.LeafIndex(6) {
		change := c.mustCommit(i, true)
		if !change.Commit || !change.Path || change.Sender != i || len(change.Updated) != 1 || change.Updated[0].Index != i {
			t.Fatalf("an empty commit: %+v", change)
		}
		valid()
	}

	before := c.Observer
	proposed := c.must(c.proposal(4, c.update(4)))
	if proposed.Commit || proposed.Proposal.ProposalType != wire.ProposalTypeUpdate || c.Epoch() != before.Epoch() {
		t.Fatalf("a proposal: %+v", proposed)
	}
	removed := c.must(c.proposal(2, remove(3)))
	if n := len(slices.Collect(c.Pending())); n != 2 {
		t.Fatalf("%d proposals pending", n)
	}
	if n := len(slices.Collect(before.Pending())); n != 0 {
		t.Fatal("a proposal became pending in the observer before")
	}
	add := c.add()
	change := c.mustCommit(0, true, wire.ByReference(removed.Reference), wire.ByValue(add), wire.ByReference(proposed.Reference))
	switch {
	case len(change.Removed) != 1 || change.Removed[0].Index != 3:
		t.Fatalf("removed: %+v", change.Removed)
	case len(change.Added) != 1 || change.Added[0].Index != 3:
		t.Fatalf("added: %+v", change.Added)
	case !bytes.Equal(change.Added[0].KeyPackageRef, c.suite.KeyPackageRef(wire.Marshal(add.Add.KeyPackage))):
		t.Fatal("a Welcome could not be routed: another KeyPackageRef")
	case len(change.Updated) != 2 || change.Updated[0].Index != 4 || change.Updated[1].Index != 0:
		t.Fatalf("updated: %+v", change.Updated)
	case c.Epoch() != before.Epoch()+1 || len(slices.Collect(c.Pending())) != 0:
		t.Fatal("the epoch did not begin anew")
	}
	valid()

	ext := wire.Extension{ExtensionType: wire.ExtensionTypeExternalSenders, ExtensionData: wire.Marshal(wire.ExternalSenders{})}
	if change = c.mustCommit(5, true, wire.ByValue(extensions(ext))); !change.ExtensionsReplaced || len(c.Context().Extensions) != 1 {
		t.Fatalf("extensions: %+v", change)
	}
	c.mustCommit(1, true, wire.ByValue(remove(5)), wire.ByValue(remove(4)))
	if c.Tree().Width() != 4 || c.Tree().Size() != 4 {
		t.Fatalf("%d members in a tree of %d", c.Tree().Size(), c.Tree().Width())
	}
	valid()
	c.mustCommit(1, false, wire.ByValue(c.add()), wire.ByValue(c.add()))
	valid()
}

// TestTranscriptHashes recomputes both transcript hashes as RFC 9420,
// Section 8.2 writes them.
func TestTranscriptHashes(t *testing.T) {
	c := newCast(t, 2)
	interim := c.InterimTranscriptHash()
	m := c.commit(0, true)
	c.must(m)
	w := wire.NewWriter(slices.Clone(interim))
	w.Uint16(uint16(wire.WireFormatPublicMessage))
	m.Content.Encode(w)
	w.Opaque(m.Auth.Signature)
	confirmed := c.suite.Hash(w.Bytes())
	if !bytes.Equal(c.Context().ConfirmedTranscriptHash, confirmed) {
		t.Error("confirmed_transcript_hash differs")
	}
	w = wire.NewWriter(confirmed)
	w.Opaque(m.Auth.ConfirmationTag)
	if !bytes.Equal(c.InterimTranscriptHash(), c.suite.Hash(w.Bytes())) {
		t.Error("interim_transcript_hash differs")
	}
}

// A refusal is a handshake that a rule forbids.
type refusal struct {
	rule string
	want error
	make func(c *cast) *wire.PublicMessage
}

// content changes a signed message and signs it again.
func content(c *cast, m *wire.PublicMessage, change func(m *wire.PublicMessage)) *wire.PublicMessage {
	change(m)
	c.resign(m)
	return m
}

// leafChange is a commit of member 1 whose path has a changed leaf, signed.
func leafChange(c *cast, change func(l *wire.LeafNode)) *wire.PublicMessage {
	return content(c, c.commit(1, true), func(m *wire.PublicMessage) {
		change(&m.Content.Commit.Path.LeafNode)
		c.signLeaf(&m.Content.Commit.Path.LeafNode, c.signers[1], 1)
	})
}

// byValue is a commit of member 1 with a path and these proposals, of which the
// path knows nothing: proposals that can not be applied.
func byValue(c *cast, list ...wire.Proposal) *wire.PublicMessage {
	return content(c, c.commit(1, true), func(m *wire.PublicMessage) {
		for _, p := range list {
			m.Content.Commit.Proposals = append(m.Content.Commit.Proposals, wire.ByValue(p))
		}
	})
}

// refusals of the group that TestObserverRefuses makes: 5 members, all of whom
// have committed; an Update of member 2 and a Remove of member 4 are pending.
var refusals = []refusal{
	{"the message is of this group (6)", ErrGroupID, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) { m.Content.GroupID = []byte("another") })
	}},
	{"the epoch field is equal to that of the GroupContext (12.4.2)", ErrEpoch, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) { m.Content.Epoch++ })
	}},
	{"a message from outside the group", ErrUnsupportedSender, func(c *cast) *wire.PublicMessage {
		m := c.commit(1, true)
		m.Content.Sender = wire.Sender{SenderType: wire.SenderTypeNewMemberCommit}
		return m
	}},
	{"leaf_index identifies a member (6.1)", ErrBlankLeaf, func(c *cast) *wire.PublicMessage {
		m := c.commit(1, true)
		m.Content.Sender.LeafIndex = 7
		return m
	}},
	{"leaf_index is within the tree (6.1)", ErrBlankLeaf, func(c *cast) *wire.PublicMessage {
		m := c.commit(1, true)
		m.Content.Sender.LeafIndex = 1 << 31
		return m
	}},
	{"verify the signature on the FramedContent (12.4.2)", ErrMessageSignature, func(c *cast) *wire.PublicMessage {
		m := c.commit(1, true)
		m.Auth.Signature[3] ^= 1
		return m
	}},
	{"another member's signature (6.1)", ErrMessageSignature, func(c *cast) *wire.PublicMessage {
		m := c.commit(1, true)
		m.Content.Sender.LeafIndex = 0
		return m
	}},
	{"signatures are specific to a given group and epoch (6.1)", ErrMessageSignature, func(c *cast) *wire.PublicMessage {
		m := c.commit(1, true)
		context := c.Context()
		context.TreeHash = key()
		m.Auth.Signature, _ = c.signers[1].Sign("FramedContentTBS", wire.Marshal(m.Authenticated().TBS(&context)))
		return m
	}},
	{"a tag is a whole MAC (6.2)", ErrMembershipTag, func(c *cast) *wire.PublicMessage {
		m := c.commit(1, true)
		m.MembershipTag = nil
		return m
	}},
	{"a tag is a whole MAC (6.1)", ErrConfirmationTag, func(c *cast) *wire.PublicMessage {
		m := c.commit(1, true)
		m.Auth.ConfirmationTag = m.Auth.ConfirmationTag[:31]
		return m
	}},
	{"applications MUST use PrivateMessage to encrypt application messages (6)", ErrApplicationContent, func(c *cast) *wire.PublicMessage {
		return c.message(1, wire.FramedContent{ContentType: wire.ContentTypeApplication, ApplicationData: []byte("hello")})
	}},
	{"a referenced proposal was sent in this epoch (12.4)", ErrUnknownReference, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) {
			m.Content.Commit.Proposals = []wire.ProposalOrRef{wire.ByReference(key())}
		})
	}},
	{"a commit with no proposals has a path (12.4)", ErrPathRequired, func(c *cast) *wire.PublicMessage {
		return c.commit(1, false)
	}},
	{"a commit with one Remove has a path (12.4)", ErrPathRequired, func(c *cast) *wire.PublicMessage {
		return c.commit(1, false, wire.ByValue(remove(0)))
	}},
	{"a commit with one Update has a path (12.4)", ErrPathRequired, func(c *cast) *wire.PublicMessage {
		return c.commit(1, false, wire.ByReference(c.pending[0].Reference))
	}},
	{"a commit with GroupContextExtensions has a path (12.4)", ErrPathRequired, func(c *cast) *wire.PublicMessage {
		return c.commit(1, false, wire.ByValue(extensions()))
	}},
	{"no Update proposal generated by the committer (12.2)", ErrUpdateByCommitter, func(c *cast) *wire.PublicMessage {
		return byValue(c, c.update(1))
	}},
	{"no Update of the committer by reference (12.2)", ErrUpdateByCommitter, func(c *cast) *wire.PublicMessage {
		return c.commit(2, true, wire.ByReference(c.pending[0].Reference))
	}},
	{"no Remove proposal that removes the committer (12.2)", ErrRemoveCommitter, func(c *cast) *wire.PublicMessage {
		return byValue(c, remove(1))
	}},
	{"the last member can not remove itself (12.2)", ErrRemoveCommitter, func(c *cast) *wire.PublicMessage {
		return c.commit(4, false, wire.ByReference(c.pending[1].Reference))
	}},
	{"a Remove names a non-blank leaf (12.1.3)", ErrBlankLeaf, func(c *cast) *wire.PublicMessage { return byValue(c, remove(6)) }},
	{"a Remove names a leaf of the tree (12.1.3)", ErrBlankLeaf, func(c *cast) *wire.PublicMessage { return byValue(c, remove(1<<31)) }},
	{"no two Removes of one leaf (12.2)", ErrSameLeaf, func(c *cast) *wire.PublicMessage { return byValue(c, remove(0), remove(0)) }},
	{"no Remove and Update of one leaf (12.2)", ErrSameLeaf, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true, wire.ByReference(c.pending[0].Reference)), func(m *wire.PublicMessage) {
			m.Content.Commit.Proposals = append(m.Content.Commit.Proposals, wire.ByValue(remove(2)))
		})
	}},
	{"no proposal twice by reference (12.2)", ErrSameLeaf, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true, wire.ByReference(c.pending[0].Reference)), func(m *wire.PublicMessage) {
			m.Content.Commit.Proposals = append(m.Content.Commit.Proposals, m.Content.Commit.Proposals[0])
		})
	}},
	{"no multiple GroupContextExtensions (12.2)", ErrTwoExtensions, func(c *cast) *wire.PublicMessage {
		return byValue(c, extensions(), extensions())
	}},
	{"no ExternalInit (12.2)", ErrExternalInit, func(c *cast) *wire.PublicMessage {
		return byValue(c, wire.Proposal{ProposalType: wire.ProposalTypeExternalInit, ExternalInit: &wire.ExternalInit{}})
	}},
	{"a Remove that is sent alone names a member (12.1.3)", ErrBlankLeaf, func(c *cast) *wire.PublicMessage { return c.proposal(1, remove(6)) }},
	{"required_capabilities that are sent alone can be read (11.1)", wire.ErrMalformed, func(c *cast) *wire.PublicMessage {
		return c.proposal(1, extensions(wire.Extension{ExtensionType: wire.ExtensionTypeRequiredCapabilities, ExtensionData: []byte{7}}))
	}},
	{"external_senders can be read (12.1.8.1)", wire.ErrMalformed, func(c *cast) *wire.PublicMessage {
		return c.proposal(1, extensions(wire.Extension{ExtensionType: wire.ExtensionTypeExternalSenders, ExtensionData: []byte{7}}))
	}},
	{"a proposal is sent once", ErrKnownProposal, func(c *cast) *wire.PublicMessage {
		f := c.pending[0].Content
		return &wire.PublicMessage{Content: f.Content, Auth: f.Auth, MembershipTag: make([]byte, 32)}
	}},
	{"required_capabilities that some members do not support (12.1.7)", ErrUnsupportedExtension, func(c *cast) *wire.PublicMessage {
		return byValue(c, required(wire.RequiredCapabilities{ExtensionTypes: []wire.ExtensionType{0xf001}}))
	}},
	{"required proposal types that some members do not support (12.1.7)", ErrRequiredProposal, func(c *cast) *wire.PublicMessage {
		return byValue(c, required(wire.RequiredCapabilities{ProposalTypes: []wire.ProposalType{0xf001}}))
	}},
	{"required credential types that some members do not support (12.1.7)", ErrUnsupportedCredential, func(c *cast) *wire.PublicMessage {
		return byValue(c, required(wire.RequiredCapabilities{CredentialTypes: []wire.CredentialType{0xf001}}))
	}},
	{"extensions of the GroupContext are supported by all members (13.4)", ErrUnsupportedExtension, func(c *cast) *wire.PublicMessage {
		return byValue(c, extensions(wire.Extension{ExtensionType: 0xf001}))
	}},
	{"required_capabilities can be read (11.1)", wire.ErrMalformed, func(c *cast) *wire.PublicMessage {
		return byValue(c, extensions(wire.Extension{ExtensionType: wire.ExtensionTypeRequiredCapabilities, ExtensionData: []byte{7}}))
	}},
	{"the credentials of external senders are validated (5.3.1)", ErrCredential, func(c *cast) *wire.PublicMessage {
		return byValue(c, senders(wire.ExternalSender{SignatureKey: key(), Credential: wire.BasicCredential([]byte("forbidden"))}))
	}},
	{"an external sender has a key of the suite (12.1.8.1)", ErrSignatureKey, func(c *cast) *wire.PublicMessage {
		return byValue(c, senders(wire.ExternalSender{Credential: wire.BasicCredential(nil)}))
	}},
	{"a path has one node for each of the filtered direct path (7.6)", ErrPathLength, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) { m.Content.Commit.Path.Nodes = m.Content.Commit.Path.Nodes[1:] })
	}},
	{"one ciphertext for each node of the resolution (7.6)", ErrPathCiphertexts, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) {
			m.Content.Commit.Path.Nodes[0].EncryptedPathSecret = append(m.Content.Commit.Path.Nodes[0].EncryptedPathSecret, wire.HPKECiphertext{})
		})
	}},
	{"no path secret for a leaf that the commit adds (7.6)", ErrPathCiphertexts, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true, wire.ByValue(c.add())), func(m *wire.PublicMessage) {
			n := m.Content.Commit.Path.Nodes
			n[len(n)-1].EncryptedPathSecret = append(n[len(n)-1].EncryptedPathSecret, wire.HPKECiphertext{})
		})
	}},
	{"the parent hash of the leaf is that of the path (7.9.2)", ErrParentHash, func(c *cast) *wire.PublicMessage {
		return leafChange(c, func(l *wire.LeafNode) { l.ParentHash = key() })
	}},
	{"the parent hash of the leaf covers the keys of the path (7.9)", ErrParentHash, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) { m.Content.Commit.Path.Nodes[0].EncryptionKey = key() })
	}},
	{"leaf_node_source MUST be set to commit (12.4.2)", ErrLeafSource, func(c *cast) *wire.PublicMessage {
		return leafChange(c, func(l *wire.LeafNode) { l.LeafNodeSource = wire.LeafNodeSourceUpdate })
	}},
	{"the signature on the LeafNode is valid (7.3)", ErrLeafSignature, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) { m.Content.Commit.Path.LeafNode.Signature[0] ^= 1 })
	}},
	{"a leaf is signed for its place (7.2)", ErrLeafSignature, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) { c.signLeaf(&m.Content.Commit.Path.LeafNode, c.signers[1], 3) })
	}},
	{"the new encryption_key differs from the committer's current one (12.4.2)", ErrPathKeyReused, func(c *cast) *wire.PublicMessage {
		old, _ := c.Tree().EncryptionKey(NodeOf(1))
		return leafChange(c, func(l *wire.LeafNode) { l.EncryptionKey = slices.Clone(old) })
	}},
	{"none of the public keys in the UpdatePath appear in any node (12.4.2)", ErrPathKeyReused, func(c *cast) *wire.PublicMessage {
		old, _ := c.Tree().EncryptionKey(NodeOf(4))
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) { m.Content.Commit.Path.Nodes[1].EncryptionKey = slices.Clone(old) })
	}},
	{"a path does not keep the key of a node it replaces (12.4.2)", ErrPathKeyReused, func(c *cast) *wire.PublicMessage {
		old, _ := c.Tree().EncryptionKey(c.Tree().Root())
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) {
			n := m.Content.Commit.Path.Nodes
			n[len(n)-1].EncryptionKey = slices.Clone(old)
		})
	}},
	{"an encryption key is one of the suite", ErrEncryptionKey, func(c *cast) *wire.PublicMessage {
		return content(c, c.commit(1, true), func(m *wire.PublicMessage) { m.Content.Commit.Path.Nodes[0].EncryptionKey = []byte("short") })
	}},
	{"two nodes of a path have two keys (7.3)", ErrDuplicateEncryptionKey, func(c *cast) *wire.PublicMessage {
		m := c.commit(1, true)
		path := m.Content.Commit.Path
		path.Nodes[1].EncryptionKey = path.Nodes[0].EncryptionKey
		var keys [][]byte
		for _, n := range path.Nodes {
			keys = append(keys, n.EncryptionKey)
		}
		path.LeafNode.ParentHash, _ = c.Tree().Edit().SetPath(1, keys)
		c.signLeaf(&path.LeafNode, c.signers[1], 1)
		c.resign(m)
		return m
	}},
	{"the AS verifies that a new credential is a valid successor (5.3.1)", ErrSuccessor, func(c *cast) *wire.PublicMessage {
		return leafChange(c, func(l *wire.LeafNode) { l.Credential = wire.BasicCredential([]byte("somebody else")) })
	}},
	{"the credential in the LeafNode is valid (7.3)", ErrCredential, func(c *cast) *wire.PublicMessage {
		return leafChange(c, func(l *wire.LeafNode) { l.Credential = wire.BasicCredential([]byte("forbidden")) })
	}},
	{"the credential type is in the leaf's own capabilities (7.2)", ErrLeafCredential, func(c *cast) *wire.PublicMessage {
		return leafChange(c, func(l *wire.LeafNode) { l.Capabilities.Credentials = nil })
	}},
	{"each extension of a leaf is in its capabilities (7.3)", ErrLeafExtension, func(c *cast) *wire.PublicMessage {
		return leafChange(c, func(l *wire.LeafNode) { l.Extensions = wire.Extensions{{ExtensionType: 0xf001}} })
	}},
	{"signature_key is unique among the members (7.3)", ErrDuplicateSignatureKey, func(c *cast) *wire.PublicMessage {
		add := c.add()
		return c.commit(1, true, wire.ByValue(add), wire.ByValue(c.again(add)))
	}},
	{"encryption_key is unique among the members (7.3)", ErrDuplicateEncryptionKey, func(c *cast) *wire.PublicMessage {
		old, _ := c.Tree().EncryptionKey(NodeOf(3))
		return c.commit(1, false, wire.ByValue(c.add(func(k *wire.KeyPackage) { k.LeafNode.EncryptionKey = slices.Clone(old) })))
	}},
	{"an Update has a new encryption_key (7.3)", ErrUpdateKey, func(c *cast) *wire.PublicMessage {
		old, _ := c.Tree().EncryptionKey(NodeOf(3))
		return c.proposal(3, c.update(3, func(l *wire.LeafNode) { l.EncryptionKey = slices.Clone(old) }))
	}},
	{"leaf_node_source of an Update is update (7.3)", ErrLeafSource, func(c *cast) *wire.PublicMessage {
		return c.proposal(3, c.update(3, func(l *wire.LeafNode) { l.LeafNodeSource = wire.LeafNodeSourceKeyPackage }))
	}},
	{"an Update's credential succeeds the old one (5.3.1)", ErrSuccessor, func(c *cast) *wire.PublicMessage {
		return c.proposal(3, c.update(3, func(l *wire.LeafNode) { l.Credential = wire.BasicCredential([]byte("x")) }))
	}},
	{"the signature on an Update's leaf is valid (7.3)", ErrLeafSignature, func(c *cast) *wire.PublicMessage {
		p := c.update(3)
		p.Update.LeafNode.Signature[0] ^= 1
		return c.proposal(3, p)
	}},
	{"the version of a KeyPackage matches (10.1)", ErrKeyPackageVersion, add(func(k *wire.KeyPackage) { k.Version = 2 })},
	{"the cipher suite of a KeyPackage matches (10.1)", ErrKeyPackageSuite, add(func(k *wire.KeyPackage) { k.CipherSuite = 3 })},
	{"leaf_node_source in a KeyPackage is key_package (7.3)", ErrLeafSource, add(func(k *wire.KeyPackage) { k.LeafNode.LeafNodeSource = wire.LeafNodeSourceUpdate })},
	{"encryption_key is different from init_key (10.1)", ErrInitKey, add(func(k *wire.KeyPackage) { k.InitKey = k.LeafNode.EncryptionKey })},
	{"init_key is a key of the suite (10)", ErrInitKey, add(func(k *wire.KeyPackage) { k.InitKey = nil })},
	{"lifetime: the current time is within the range (7.3)", ErrLifetime, add(func(k *wire.KeyPackage) { k.LeafNode.Lifetime.NotAfter = 5 })},
	{"lifetime: not before (7.3)", ErrLifetime, add(func(k *wire.KeyPackage) { k.LeafNode.Lifetime.NotBefore = 1 << 39 })},
	{"lifetime ends after it begins (7.2)", ErrLifetime, add(func(k *wire.KeyPackage) { k.LeafNode.Lifetime = wire.Lifetime{NotBefore: 2, NotAfter: 1} })},
	{"an x509 credential has a certificate (5.3)", ErrCredentialKey, add(func(k *wire.KeyPackage) { k.LeafNode.Credential = wire.X509Credential() })},
	{"the certificate's key is the signature_key (5.3)", ErrCredentialKey, add(func(k *wire.KeyPackage) {
		_, other, _ := ed25519.GenerateKey(nil)
		k.LeafNode.Credential = wire.X509Credential(certificate(other))
	})},
	{"a credential in use is supported by all members (7.3)", ErrUnsupportedCredential, func(c *cast) *wire.PublicMessage {
		return c.commit(1, false, wire.ByValue(c.addX509(func(k *wire.KeyPackage) {
			k.LeafNode.Capabilities.Credentials = []wire.CredentialType{wire.CredentialTypeX509}
		})))
	}},
	{"the signature on the KeyPackage is valid (10.1)", ErrKeyPackageSignature, func(c *cast) *wire.PublicMessage {
		p := c.add()
		p.Add.KeyPackage.Signature[0] ^= 1
		return c.commit(1, false, wire.ByValue(p))
	}},
}

// required proposes required capabilities.
func required(r wire.RequiredCapabilities) wire.Proposal {
	return extensions(wire.Extension{ExtensionType: wire.ExtensionTypeRequiredCapabilities, ExtensionData: wire.Marshal(r)})
}

// senders proposes external senders.
func senders(l ...wire.ExternalSender) wire.Proposal {
	return extensions(wire.Extension{ExtensionType: wire.ExtensionTypeExternalSenders, ExtensionData: wire.Marshal(wire.ExternalSenders(l))})
}

// add is a commit of member 1 that adds a changed KeyPackage.
func add(change func(k *wire.KeyPackage)) func(c *cast) *wire.PublicMessage {
	return func(c *cast) *wire.PublicMessage { return c.commit(1, false, wire.ByValue(c.add(change))) }
}

// again is an Add of the same client with other keys but for its signature key.
func (c *cast) again(p wire.Proposal) wire.Proposal {
	k := p.Add.KeyPackage
	signer := c.signers[waiting(k.LeafNode.SignatureKey)]
	k.InitKey, k.LeafNode.EncryptionKey = key(), key()
	c.signLeaf(&k.LeafNode, signer, 0)
	c.signKeyPackage(&k, signer)
	return wire.Proposal{ProposalType: wire.ProposalTypeAdd, Add: &wire.Add{KeyPackage: k}}
}

// certificate is self-signed by key.
func certificate(key ed25519.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return der
}

// addX509 is an Add of a client with a certificate for its key, after change.
func (c *cast) addX509(change func(k *wire.KeyPackage)) wire.Proposal {
	_, private, _ := ed25519.GenerateKey(nil)
	signer, err := c.suite.SignatureKeyOf(private)
	if err != nil {
		c.t.Fatal(err)
	}
	p := c.add()
	k := &p.Add.KeyPackage
	k.LeafNode.SignatureKey, k.LeafNode.Credential = signer.PublicKey(), wire.X509Credential(certificate(private))
	change(k)
	c.signLeaf(&k.LeafNode, signer, 0)
	c.signKeyPackage(k, signer)
	return p
}

// TestObserverRefuses breaks each rule alone (RFC 9420, Sections 5.3, 5.3.1,
// 6, 6.1, 6.2, 7.2, 7.3, 7.6, 7.9, 7.9.2, 10, 10.1, 11.1, 12.1.3, 12.1.7,
// 12.1.8.1, 12.2, 12.4, 12.4.2 and 13.4); the error names it and the observer
// is what it was, to the byte.
func TestObserverRefuses(t *testing.T) {
	c := newCast(t, 5)
	for i := range wire.LeafIndex(5) {
		c.mustCommit(i, true)
	}
	c.must(c.proposal(2, c.update(2)))
	c.must(c.proposal(3, remove(4)))
	c.config.Now = time.Unix(1<<30, 0)
	for _, r := range refusals {
		t.Run(r.rule, func(t *testing.T) {
			before := c.Marshal()
			m := r.make(c)
			next, change, err := c.follow(m)
			if !errors.Is(err, r.want) {
				t.Fatalf("got %v, want %v", err, r.want)
			}
			if next != nil || change.Commit || change.Proposal != nil {
				t.Error("a refused message had an effect")
			}
			if !bytes.Equal(c.Marshal(), before) {
				t.Error("a refused message changed the observer")
			}
		})
	}
	c.mustCommit(1, true, wire.ByReference(c.pending[0].Reference), wire.ByReference(c.pending[1].Reference))
}

// TestX509Member adds a member whose certificate is for its key.
func TestX509Member(t *testing.T) {
	c := newCast(t, 2)
	c.mustCommit(0, true, wire.ByValue(c.addX509(func(*wire.KeyPackage) {})))
	leaf, _ := c.Tree().Leaf(2)
	if leaf.Credential.CredentialType != wire.CredentialTypeX509 {
		t.Fatal("no such member")
	}
}

// TestRemoveAndAddAgain: a client already in the group may be added if the same
// commit removes it (Section 12.2); only the tree after the commit counts.
func TestRemoveAndAddAgain(t *testing.T) {
	c := newCast(t, 3)
	old, _ := c.Tree().Leaf(2)
	signer := c.signers[2]
	p := c.add(func(k *wire.KeyPackage) {})
	k := &p.Add.KeyPackage
	k.LeafNode.SignatureKey = old.SignatureKey
	c.signLeaf(&k.LeafNode, signer, 0)
	c.signKeyPackage(k, signer)
	if _, _, err := c.follow(c.commit(0, true, wire.ByValue(p))); !errors.Is(err, ErrDuplicateSignatureKey) {
		t.Fatalf("a client that is in the group already: %v", err)
	}
	c.mustCommit(0, true, wire.ByValue(p), wire.ByValue(remove(2)))
}

// TestPendingIsBounded: the proposal after MaxPending is refused.
func TestPendingIsBounded(t *testing.T) {
	c := newCast(t, 2)
	o := *c.Observer
	o.pending = make([]Pending, MaxPending)
	c.Observer = &o
	if _, _, err := c.follow(c.proposal(1, remove(0))); !errors.Is(err, ErrTooManyProposals) {
		t.Fatal(err)
	}
}

// TestNewObserverRefuses breaks what an observer begins with.
func TestNewObserverRefuses(t *testing.T) {
	c := newCast(t, 3)
	c.mustCommit(1, true)
	info := func() wire.GroupInfo {
		return wire.GroupInfo{GroupContext: c.Context(), ConfirmationTag: key(), Signer: 2}
	}
	cases := []struct {
		rule   string
		want   error
		change func(g *wire.GroupInfo)
		after  func(g *wire.GroupInfo)
	}{
		{rule: "a valid GroupInfo"},
		{rule: "the tree hash matches (12.4.3.1)", want: ErrTreeHash, change: func(g *wire.GroupInfo) { g.GroupContext.TreeHash = key() }},
		{rule: "the suite matches", want: ErrCipherSuite, change: func(g *wire.GroupInfo) { g.GroupContext.CipherSuite = 3 }},
		{rule: "leaves are signed for this group (7.2)", want: ErrLeafSignature, change: func(g *wire.GroupInfo) { g.GroupContext.GroupID = []byte("x") }},
		{rule: "the signature verifies (12.4.3)", want: ErrGroupInfoSignature, after: func(g *wire.GroupInfo) { g.Signature[0] ^= 1 }},
		{rule: "the signer's node is not blank (12.4.3.1)", want: ErrBlankLeaf, after: func(g *wire.GroupInfo) { g.Signer = 3 }},
		{rule: "the signer is within the tree", want: ErrBlankLeaf, after: func(g *wire.GroupInfo) { g.Signer = 1 << 30 }},
		{rule: "the tag is a whole MAC", want: ErrConfirmationTag, change: func(g *wire.GroupInfo) { g.ConfirmationTag = nil }},
		{rule: "required_capabilities can be read (11.1)", want: wire.ErrMalformed, change: func(g *wire.GroupInfo) {
			g.GroupContext.Extensions = wire.Extensions{{ExtensionType: wire.ExtensionTypeRequiredCapabilities, ExtensionData: []byte{9}}}
		}},
		{rule: "the credentials of external senders are validated (5.3.1)", want: ErrCredential, change: func(g *wire.GroupInfo) {
			g.GroupContext.Extensions = senders(wire.ExternalSender{
				SignatureKey: key(), Credential: wire.BasicCredential([]byte("forbidden")),
			}).GroupContextExtensions.Extensions
		}},
		{rule: "extensions in GroupInfo.group_context MUST be supported (12.4.3)", want: ErrUnsupportedExtension, change: func(g *wire.GroupInfo) {
			g.GroupContext.Extensions = wire.Extensions{{ExtensionType: 0xf000}}
		}},
	}
	for _, r := range cases {
		g := info()
		if r.change != nil {
			r.change(&g)
		}
		c.sign(&g)
		if r.after != nil {
			r.after(&g)
		}
		if _, err := NewObserver(&g, c.Tree(), &c.config); !errors.Is(err, r.want) {
			t.Errorf("%s: got %v, want %v", r.rule, err, r.want)
		}
	}
	g := info()
	c.sign(&g)
	if _, err := NewObserver(&g, c.Tree(), &Config{}); !errors.Is(err, ErrCredential) {
		t.Errorf("without a validator: %v", err)
	}
}

// TestSnapshot loads what was marshalled and follows the next commit with both.
func TestSnapshot(t *testing.T) {
	c := newCast(t, 5)
	c.mustCommit(3, true)
	c.must(c.proposal(2, remove(4)))
	b := c.Marshal()
	loaded, err := LoadObserver(bytes.Clone(b))
	if err != nil || !bytes.Equal(loaded.Marshal(), b) {
		t.Fatalf("loaded: %v", err)
	}
	m := c.commit(1, true, wire.ByReference(c.pending[0].Reference))
	next, _, err := loaded.Handle(m, &c.config)
	if err != nil {
		t.Fatal(err)
	}
	c.must(m)
	if !bytes.Equal(next.Marshal(), c.Marshal()) {
		t.Fatal("the loaded observer follows differently")
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if o, err := LoadObserver(bad); err == nil && !bytes.Equal(o.Marshal(), bad) {
			t.Fatalf("octet %d changed: loads as something else", i)
		}
	}
}

// TestObserverKeepsNoMemory: the next observer does not use the memory of
// the message.
func TestObserverKeepsNoMemory(t *testing.T) {
	c := newCast(t, 3)
	ext := wire.Extension{ExtensionType: wire.ExtensionTypeExternalSenders, ExtensionData: wire.Marshal(wire.ExternalSenders{})}
	for _, m := range []*wire.PublicMessage{
		c.proposal(1, c.update(1)),
		c.commit(0, true, wire.ByValue(c.add()), wire.ByValue(extensions(ext))),
	} {
		b := wire.Marshal(m)
		again, err := wire.Unmarshal[wire.PublicMessage](b)
		if err != nil {
			t.Fatal(err)
		}
		next, _, err := c.Handle(&again, &c.config)
		if err != nil {
			t.Fatal(err)
		}
		before := next.Marshal()
		clear(b)
		if !bytes.Equal(next.Marshal(), before) {
			t.Errorf("%v: the observer changes with the message", m.Content.ContentType)
		}
	}
}
