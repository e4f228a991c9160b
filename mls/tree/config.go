package tree

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"parley/mls/suite"
	"parley/mls/wire"
)

// Config is what an application adds to the rules of the RFC.
type Config struct {
	// Credentials decides about credentials. Nil refuses all of them.
	Credentials CredentialValidator
	// Now is the time at which the lifetimes of KeyPackages are judged. Zero:
	// they are not.
	Now time.Time
	// MaxLifetime bounds the lifetime of a KeyPackage. Zero: any will do.
	MaxLifetime time.Duration
	// Parallel verifies several leaf nodes and proposals at a time: what the
	// application decides here is then asked from several goroutines. Nil: one
	// after the other.
	Parallel Parallel
	// Accept is asked about each proposal before anything else. Nil accepts those
	// of members and refuses all from outside the group: of external senders, of
	// new members, and in external commits.
	Accept func(Sent) error
	// Custom are the application's own proposal types. Those that are not in it
	// are refused with ErrUnsupportedProposal; nil refuses all.
	Custom map[wire.ProposalType]CustomProposal
	// Succession is the usage, beside application, that a resumption PSK may have:
	// reinit or branch where a group is founded that way. Zero: no other.
	Succession wire.ResumptionPSKUsage
}

// A CustomProposal is what an application says about a proposal type of its
// own: "New proposal types MUST state whether they require a path" (RFC 9420,
// Section 12.4), and "MUST define whether they may be sent by external senders"
// (Section 12.1.8). Members must list it in their capabilities (Section 13.2).
type CustomProposal struct {
	PathRequired bool
	External     bool
	// Validate returns an error if the proposal is not valid. Nil: it is opaque,
	// and any is valid.
	Validate func(Sent) error
}

// accept asks the application about a proposal.
func (c *Config) accept(sent Sent) error {
	if c.Accept == nil && sent.outside() {
		return c.VerifySender(sent.Outside)
	}
	if c.Accept == nil {
		return nil
	}
	if err := c.Accept(sent); err != nil {
		return fmt.Errorf("%w: %w", ErrProposalRefused, err)
	}
	return nil
}

// VerifySender refuses with ErrUnsupportedSender what comes from outside the
// group if nothing of that kind is accepted, before any work is done for it.
func (c *Config) VerifySender(sender *wire.Sender) error {
	if c.Accept == nil && sender.SenderType != wire.SenderTypeMember {
		return fmt.Errorf("%w: %v", ErrUnsupportedSender, sender.SenderType)
	}
	return nil
}

// A CredentialValidator is the Authentication Service of an application
// (RFC 9420, Section 5.3.1). It is asked once for each new leaf node and for
// external senders; the signature of the leaf, and for an X.509 credential that the first certificate
// is for the signature key, have been verified then. It must give the same
// answer to all members of a group. An implementation that is used from many
// goroutines is safe for that.
type CredentialValidator interface {
	// Validate returns an error unless the credential says who holds the key.
	Validate(credential wire.Credential, signatureKey []byte) error
	// Succeeds returns an error unless a member may replace the credential old by
	// the valid credential new.
	Succeeds(old, new wire.Credential) error
}

// credential verifies the credential of who signs with key.
func (c *Config) credential(s *suite.Suite, credential wire.Credential, key []byte) error {
	if credential.CredentialType == wire.CredentialTypeX509 {
		if err := certificateKey(s, credential, key); err != nil {
			return err
		}
	}
	if c.Credentials == nil {
		return fmt.Errorf("%w: no validator", ErrCredential)
	}
	if err := c.Credentials.Validate(credential, key); err != nil {
		return fmt.Errorf("%w: %w", ErrCredential, err)
	}
	return nil
}

// certificateKey verifies that "the public key encoded in the
// subjectPublicKeyInfo of the end-entity certificate [is] identical to the
// signature_key" (RFC 9420, Section 5.3).
func certificateKey(s *suite.Suite, credential wire.Credential, key []byte) error {
	if len(credential.Certificates) == 0 {
		return fmt.Errorf("%w: no certificate", ErrCredentialKey)
	}
	certificate, err := x509.ParseCertificate(credential.Certificates[0].CertData)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCredentialKey, err)
	}
	certified, err := s.SignaturePublicKey(certificate.PublicKey)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCredentialKey, err)
	}
	if string(certified) != string(key) {
		return ErrCredentialKey
	}
	return nil
}

// successor verifies that the credential of one leaf node, which is valid, may
// replace that of another.
func (c *Config) successor(old, new *wire.LeafNode) error {
	if err := c.Credentials.Succeeds(old.Credential, new.Credential); err != nil {
		return fmt.Errorf("%w: %w", ErrSuccessor, err)
	}
	return nil
}

// lifetime judges the lifetime of a KeyPackage's leaf node.
func (c *Config) lifetime(l wire.Lifetime) error {
	if l.NotAfter < l.NotBefore {
		return fmt.Errorf("%w: ends before it begins", ErrLifetime)
	}
	if c.MaxLifetime > 0 && l.NotAfter-l.NotBefore > uint64(c.MaxLifetime/time.Second) {
		return fmt.Errorf("%w: longer than %v", ErrLifetime, c.MaxLifetime)
	}
	if c.Now.IsZero() {
		return nil
	}
	now := c.Now.Unix()
	if now < 0 || uint64(now) < l.NotBefore || uint64(now) > l.NotAfter {
		return fmt.Errorf("%w: not at %v", ErrLifetime, c.Now.UTC().Format(time.RFC3339))
	}
	return nil
}

// A place is where a leaf node stands, which its signature covers unless it
// came by a KeyPackage.
type place struct {
	groupID []byte
	index   wire.LeafIndex
}

// leafNode verifies a leaf node by itself: its keys, capabilities, credential
// and signature (RFC 9420, Section 7.3). What the group and the other members
// ask of it is verified for the whole tree.
func (c *Config) leafNode(s *suite.Suite, leaf *wire.LeafNode, at place) error {
	if err := s.CheckHPKEPublicKey(leaf.EncryptionKey); err != nil {
		return fmt.Errorf("%w: %w", ErrEncryptionKey, err)
	}
	if err := s.CheckSignatureKey(leaf.SignatureKey); err != nil {
		return fmt.Errorf("%w: %w", ErrSignatureKey, err)
	}
	for _, e := range leaf.Extensions {
		if !leaf.Capabilities.SupportsExtension(e.ExtensionType) {
			return fmt.Errorf("%w: %v", ErrLeafExtension, e.ExtensionType)
		}
	}
	if t := leaf.Credential.CredentialType; !leaf.Capabilities.SupportsCredential(t) {
		return fmt.Errorf("%w: %v", ErrLeafCredential, t)
	}
	tbs := wire.Marshal(wire.LeafNodeTBS{LeafNode: *leaf, GroupID: at.groupID, LeafIndex: at.index})
	if err := s.Verify(leaf.SignatureKey, "LeafNodeTBS", tbs, leaf.Signature); err != nil {
		return fmt.Errorf("%w: %w", ErrLeafSignature, err)
	}
	return c.credential(s, leaf.Credential, leaf.SignatureKey)
}

// VerifyKeyPackage verifies a KeyPackage (RFC 9420, Section 10.1), all but what
// a group and its members ask of it. It fails with one of the errors above.
func (c *Config) VerifyKeyPackage(s *suite.Suite, k *wire.KeyPackage) error {
	if err := c.keyPackage(s, k); err != nil {
		return fmt.Errorf("verify key package: %w", err)
	}
	return nil
}

func (c *Config) keyPackage(s *suite.Suite, k *wire.KeyPackage) error {
	switch {
	case k.Version != wire.MLS10:
		return fmt.Errorf("%w: %v", ErrKeyPackageVersion, k.Version)
	case k.CipherSuite != wire.CipherSuite(s.ID()):
		return fmt.Errorf("%w: %v", ErrKeyPackageSuite, k.CipherSuite)
	case k.LeafNode.LeafNodeSource != wire.LeafNodeSourceKeyPackage:
		return fmt.Errorf("%w: %v in a key package", ErrLeafSource, k.LeafNode.LeafNodeSource)
	case string(k.InitKey) == string(k.LeafNode.EncryptionKey):
		return fmt.Errorf("%w: it is the encryption key", ErrInitKey)
	}
	if err := s.CheckHPKEPublicKey(k.InitKey); err != nil {
		return fmt.Errorf("%w: %w", ErrInitKey, err)
	}
	if err := c.lifetime(k.LeafNode.Lifetime); err != nil {
		return err
	}
	tbs := wire.Marshal(wire.KeyPackageTBS(*k))
	if err := s.Verify(k.LeafNode.SignatureKey, "KeyPackageTBS", tbs, k.Signature); err != nil {
		if errors.Is(err, suite.ErrBadKey) {
			return fmt.Errorf("%w: %w", ErrSignatureKey, err)
		}
		return fmt.Errorf("%w: %w", ErrKeyPackageSignature, err)
	}
	return c.leafNode(s, &k.LeafNode, place{})
}
