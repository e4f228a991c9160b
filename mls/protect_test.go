package mls

import (
	"bytes"
	"errors"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/wire"
)

type protectionCase struct {
	Suite           suite.ID    `json:"cipher_suite"`
	GroupID         vectors.Hex `json:"group_id"`
	Epoch           uint64      `json:"epoch"`
	TreeHash        vectors.Hex `json:"tree_hash"`
	Confirmed       vectors.Hex `json:"confirmed_transcript_hash"`
	SignaturePriv   vectors.Hex `json:"signature_priv"`
	SignaturePub    vectors.Hex `json:"signature_pub"`
	Encryption      vectors.Hex `json:"encryption_secret"`
	SenderData      vectors.Hex `json:"sender_data_secret"`
	Membership      vectors.Hex `json:"membership_key"`
	Proposal        vectors.Hex `json:"proposal"`
	ProposalPriv    vectors.Hex `json:"proposal_priv"`
	ProposalPub     vectors.Hex `json:"proposal_pub"`
	Commit          vectors.Hex `json:"commit"`
	CommitPriv      vectors.Hex `json:"commit_priv"`
	CommitPub       vectors.Hex `json:"commit_pub"`
	Application     vectors.Hex `json:"application"`
	ApplicationPriv vectors.Hex `json:"application_priv"`
}

const noLeaf = wire.LeafIndex(1<<32 - 1)

// epoch returns the epoch of the vector, for a member at leaf own.
func (c *protectionCase) epoch(s *suite.Suite, own wire.LeafIndex) *epoch {
	return &epoch{
		suite: s,
		own:   own,
		context: wire.GroupContext{
			CipherSuite: wire.CipherSuite(c.Suite), GroupID: c.GroupID, Epoch: c.Epoch,
			TreeHash: c.TreeHash, ConfirmedTranscriptHash: c.Confirmed,
		},
		senderData: c.SenderData,
		membership: c.Membership,
		tree:       newSecretTree(s, bytes.Clone(c.Encryption), 1),
	}
}

// leaf finds the sender of the vectors, at leaf 1.
func (c *protectionCase) leaf(i wire.LeafIndex) ([]byte, bool) {
	return wire.Marshal(wire.LeafNode{
		SignatureKey: c.SignaturePub, LeafNodeSource: wire.LeafNodeSourceUpdate,
		Credential: wire.BasicCredential(nil),
	}), i == 1
}

// open unprotects an MLSMessage of either kind.
func (c *protectionCase) open(t *testing.T, e *epoch, message []byte) (wire.AuthenticatedContent, error) {
	t.Helper()
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	if err != nil {
		t.Fatal(err)
	}
	if m.PublicMessage != nil {
		return e.unprotectPublic(m.PublicMessage, c.leaf)
	}
	ac, u, err := e.unprotectPrivate(m.PrivateMessage, c.leaf)
	if err == nil {
		e.use(&u)
	}
	return ac, err
}

func TestVectorsMessageProtection(t *testing.T) {
	skipped := map[suite.ID]int{}
	vectors.Each(t, "message-protection.json", func(t *testing.T, c protectionCase) {
		if s := suiteOf(t, c.Suite, skipped); s != nil {
			t.Run(s.String(), func(t *testing.T) { c.check(t, s) })
		}
	})
	t.Logf("skipped by suite: %v", skipped)
}

func (c *protectionCase) check(t *testing.T, s *suite.Suite) {
	key, err := s.NewSignaturePrivateKey(c.SignaturePriv)
	if err != nil {
		t.Fatal(err)
	}
	content := func(ac wire.AuthenticatedContent) []byte {
		switch ac.Content.ContentType {
		case wire.ContentTypeProposal:
			return wire.Marshal(ac.Content.Proposal)
		case wire.ContentTypeCommit:
			return wire.Marshal(ac.Content.Commit)
		}
		return ac.Content.ApplicationData
	}
	for _, m := range []struct {
		what          string
		message, want []byte
	}{
		{"proposal_pub", c.ProposalPub, c.Proposal}, {"proposal_priv", c.ProposalPriv, c.Proposal},
		{"commit_pub", c.CommitPub, c.Commit}, {"commit_priv", c.CommitPriv, c.Commit},
		{"application_priv", c.ApplicationPriv, c.Application},
	} {
		ac, err := c.open(t, c.epoch(s, noLeaf), m.message)
		if err != nil {
			t.Errorf("%s: %v", m.what, err)
			continue
		}
		if !bytes.Equal(content(ac), m.want) {
			t.Errorf("%s: %x, want %x", m.what, content(ac), m.want)
		}
		for _, format := range []wire.WireFormat{wire.WireFormatPublicMessage, wire.WireFormatPrivateMessage} {
			if ac.Content.ContentType == wire.ContentTypeApplication && format == wire.WireFormatPublicMessage {
				continue
			}
			again, err := c.open(t, c.epoch(s, noLeaf), c.protect(t, c.epoch(s, 1), key, format, ac))
			if err != nil || !bytes.Equal(content(again), m.want) {
				t.Errorf("%s: our own as %v: %x, %v", m.what, format, content(again), err)
			}
		}
	}
}

// protect seals ac's content anew.
func (c *protectionCase) protect(t *testing.T, e *epoch, key *suite.SignaturePrivateKey, format wire.WireFormat, ac wire.AuthenticatedContent) []byte {
	t.Helper()
	tag := ac.Auth.ConfirmationTag
	ac, err := e.sign(key, format, ac.Content)
	if err != nil {
		t.Fatal(err)
	}
	ac.Auth.ConfirmationTag = tag
	if format == wire.WireFormatPublicMessage {
		return e.protectPublic(&ac)
	}
	message, u, err := e.protectPrivate(&ac, 37)
	if err != nil {
		t.Fatal(err)
	}
	e.use(&u)
	return message
}

// GHSA-8x3w-qj7j-gqhf: an empty or short membership tag was accepted.
func TestMembershipTagIsComparedWhole(t *testing.T) {
	c, e := anyProtectionCase(t)
	m, err := wire.Unmarshal[wire.MLSMessage](c.ProposalPub)
	if err != nil {
		t.Fatal(err)
	}
	tag := m.PublicMessage.MembershipTag
	for n := range tag {
		m.PublicMessage.MembershipTag = tag[:n]
		if _, err := e.unprotectPublic(m.PublicMessage, c.leaf); !errors.Is(err, ErrInvalid) {
			t.Errorf("tag cut to %d bytes: %v", n, err)
		}
	}
	m.PublicMessage.MembershipTag = append(bytes.Clone(tag), 0)
	if _, err := e.unprotectPublic(m.PublicMessage, c.leaf); !errors.Is(err, ErrInvalid) {
		t.Errorf("tag with a byte more: %v", err)
	}
}

// A forged ciphertext must not use up the key of the message it imitates.
func TestForgedMessageBurnsNoKey(t *testing.T) {
	c, e := anyProtectionCase(t)
	for i := range c.ApplicationPriv {
		forged := bytes.Clone(c.ApplicationPriv)
		forged[i] ^= 0x40
		m, err := wire.Unmarshal[wire.MLSMessage](forged)
		if err != nil || m.PrivateMessage == nil {
			continue
		}
		if _, _, err := e.unprotectPrivate(m.PrivateMessage, c.leaf); err == nil && i > 4+len(c.GroupID)+9 {
			t.Errorf("byte %d changed: accepted", i)
		}
		if len(e.tree.senders) != 0 {
			t.Fatalf("byte %d changed: a ratchet has moved", i)
		}
	}
	ac, err := c.open(t, e, c.ApplicationPriv)
	if err != nil || !bytes.Equal(ac.Content.ApplicationData, c.Application) {
		t.Fatalf("the genuine message: %v", err)
	}
	if _, err := c.open(t, e, c.ApplicationPriv); !errors.Is(err, ErrReplay) {
		t.Errorf("the genuine message twice: %v", err)
	}
}

func TestPublicApplicationDataRefused(t *testing.T) {
	c, e := anyProtectionCase(t)
	key, err := e.suite.NewSignaturePrivateKey(c.SignaturePriv)
	if err != nil {
		t.Fatal(err)
	}
	ac := wire.AuthenticatedContent{Content: wire.FramedContent{
		GroupID: c.GroupID, Epoch: c.Epoch, Sender: wire.Member(1),
		ContentType: wire.ContentTypeApplication, ApplicationData: []byte("in clear"),
	}}
	message := c.protect(t, e, key, wire.WireFormatPublicMessage, ac)
	if _, err := c.open(t, e, message); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func anyProtectionCase(t *testing.T) (*protectionCase, *epoch) {
	t.Helper()
	c := vectors.Load[protectionCase](t, "message-protection.json")[0]
	return &c, c.epoch(testSuite(t), noLeaf)
}

type transcriptCase struct {
	Suite        suite.ID    `json:"cipher_suite"`
	Confirmation vectors.Hex `json:"confirmation_key"`
	Content      vectors.Hex `json:"authenticated_content"`
	Before       vectors.Hex `json:"interim_transcript_hash_before"`
	Confirmed    vectors.Hex `json:"confirmed_transcript_hash_after"`
	Interim      vectors.Hex `json:"interim_transcript_hash_after"`
}

func TestVectorsTranscriptHashes(t *testing.T) {
	skipped := map[suite.ID]int{}
	vectors.Each(t, "transcript-hashes.json", func(t *testing.T, c transcriptCase) {
		s := suiteOf(t, c.Suite, skipped)
		if s == nil {
			return
		}
		ac, err := wire.Unmarshal[wire.AuthenticatedContent](c.Content)
		if err != nil {
			t.Fatal(err)
		}
		confirmed := confirmedHash(s, c.Before, &ac)
		if !bytes.Equal(confirmed, c.Confirmed) {
			t.Errorf("suite %d: confirmed transcript hash differs", c.Suite)
		}
		if !s.VerifyMAC(c.Confirmation, confirmed, ac.Auth.ConfirmationTag) {
			t.Errorf("suite %d: confirmation tag differs", c.Suite)
		}
		if !bytes.Equal(interimHash(s, confirmed, ac.Auth.ConfirmationTag), c.Interim) {
			t.Errorf("suite %d: interim transcript hash differs", c.Suite)
		}
	})
	t.Logf("skipped by suite: %v", skipped)
}
