package mls

import (
	"fmt"
	"slices"
	"time"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// An Identity is what a member signs as: a credential and the key it speaks
// for. An X.509 credential's first certificate must hold the key.
type Identity struct {
	Credential wire.Credential
	Signer     *suite.SignaturePrivateKey
}

// defaultLifetime is how long a key package is valid when nothing is said, and
// clockSkew how long it is valid already.
const (
	defaultLifetime = 90 * 24 * time.Hour
	clockSkew       = time.Hour
)

// KeyPackageOptions say what a key package holds beside keys.
type KeyPackageOptions struct {
	// Now is the time its lifetime begins, an hour's clock skew before.
	Now time.Time
	// Lifetime is how long it is valid; zero means 90 days.
	Lifetime time.Duration
	// Capabilities of the leaf; the zero value means DefaultCapabilities.
	Capabilities wire.Capabilities
	// LeafExtensions and Extensions go into the leaf node and the key
	// package. Their types are added to the capabilities.
	LeafExtensions, Extensions wire.Extensions
	// LastResort marks a key package that may be used more than once when there is
	// no other (RFC 9420, Section 16.8; draft-ietf-mls-extensions).
	LastResort bool
}

// DefaultCapabilities are what this package supports: the suites of RFC 9420
// that it has (a key package of another suite adds that one: in a large tree,
// bytes of a leaf count), basic and X.509 credentials, and beyond the default types the proposal
// self_remove. Extensions that the application understands are appended.
func DefaultCapabilities(extensions ...wire.ExtensionType) wire.Capabilities {
	c := wire.Capabilities{
		Versions:    []wire.ProtocolVersion{wire.MLS10},
		Extensions:  extensions,
		Proposals:   []wire.ProposalType{wire.ProposalTypeSelfRemove},
		Credentials: []wire.CredentialType{wire.CredentialTypeBasic, wire.CredentialTypeX509},
	}
	for _, id := range suite.IDs() {
		if !id.IsDraft() {
			c.CipherSuites = append(c.CipherSuites, wire.CipherSuite(id))
		}
	}
	return c
}

// A KeyPackage is a published KeyPackage with the private keys that only its
// author has (RFC 9420, Section 10). It is good for one Join.
type KeyPackage struct {
	// Public is what others are given.
	Public wire.KeyPackage

	suite *suite.Suite
	init  *suite.HPKEPrivateKey
	leaf  *suite.HPKEPrivateKey
}

// NewKeyPackage makes a key package of fresh keys for id. It fails with an error
// of mls/tree if others would refuse it, such as tree.ErrCredentialKey if the
// certificate is for another key.
func NewKeyPackage(s *suite.Suite, id Identity, o KeyPackageOptions) (*KeyPackage, error) {
	init, err := s.GenerateKeyPair()
	if err != nil {
		return nil, fmt.Errorf("make key package: %w", err)
	}
	leafKey, err := s.GenerateKeyPair()
	if err != nil {
		return nil, fmt.Errorf("make key package: %w", err)
	}
	if o.LastResort {
		o.Extensions = append(slices.Clip(o.Extensions), wire.Extension{ExtensionType: wire.ExtensionTypeLastResort})
	}
	g := newGrease()
	leaf, err := newLeaf(s, id, leafKey, o, g)
	if err != nil {
		return nil, fmt.Errorf("make key package: %w", err)
	}
	k := wire.KeyPackage{
		Version:     wire.MLS10,
		CipherSuite: wire.CipherSuite(s.ID()),
		InitKey:     init.PublicKey(),
		LeafNode:    leaf,
		Extensions:  o.Extensions,
	}
	k.Signature, err = id.Signer.Sign("KeyPackageTBS", wire.Marshal(wire.KeyPackageTBS(k)))
	if err != nil {
		return nil, fmt.Errorf("sign key package: %w", err)
	}
	if err := (&tree.Config{Credentials: unjudged{}}).VerifyKeyPackage(s, &k); err != nil {
		return nil, fmt.Errorf("make key package: %w", err)
	}
	return &KeyPackage{k, s, init, leafKey}, nil
}

// unjudged leaves it to others what our own credential means.
type unjudged struct{}

// Validate accepts any credential.
func (unjudged) Validate(wire.Credential, []byte) error { return nil }

// Succeeds accepts any credential.
func (unjudged) Succeeds(_, _ wire.Credential) error { return nil }

// newLeaf makes the signed leaf node of a key package.
func newLeaf(s *suite.Suite, id Identity, key *suite.HPKEPrivateKey, o KeyPackageOptions, g grease) (wire.LeafNode, error) {
	lifetime := o.Lifetime
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	leaf := wire.LeafNode{
		EncryptionKey:  key.PublicKey(),
		SignatureKey:   id.Signer.PublicKey(),
		Credential:     id.Credential,
		Capabilities:   capabilities(s, o),
		LeafNodeSource: wire.LeafNodeSourceKeyPackage,
		Lifetime: wire.Lifetime{
			NotBefore: seconds(o.Now.Add(-clockSkew)),
			NotAfter:  seconds(o.Now.Add(lifetime)),
		},
		Extensions: o.LeafExtensions,
	}
	g.leaf(&leaf)
	return leaf, signLeaf(&leaf, id.Signer, nil, 0)
}

// capabilities returns the capabilities o asks for, with the suite of the group
// and the types of its extensions.
func capabilities(s *suite.Suite, o KeyPackageOptions) wire.Capabilities {
	c := o.Capabilities
	if len(c.Versions) == 0 {
		c = DefaultCapabilities()
		if s.ID().IsDraft() {
			c.CipherSuites = append(c.CipherSuites, wire.CipherSuite(s.ID()))
		}
	}
	c.Extensions = append([]wire.ExtensionType(nil), c.Extensions...)
	for _, list := range []wire.Extensions{o.LeafExtensions, o.Extensions} {
		for _, e := range list {
			if !c.SupportsExtension(e.ExtensionType) {
				c.Extensions = append(c.Extensions, e.ExtensionType)
			}
		}
	}
	return c
}

// signLeaf signs a leaf node, bound to its place unless it is a key package's.
func signLeaf(leaf *wire.LeafNode, key *suite.SignaturePrivateKey, groupID []byte, i wire.LeafIndex) (err error) {
	tbs := wire.Marshal(wire.LeafNodeTBS{LeafNode: *leaf, GroupID: groupID, LeafIndex: i})
	if leaf.Signature, err = key.Sign("LeafNodeTBS", tbs); err != nil {
		return fmt.Errorf("sign leaf node: %w", err)
	}
	return nil
}

// seconds is a time as RFC 9420 writes it.
func seconds(t time.Time) uint64 { return uint64(max(t.Unix(), 0)) }

// Ref returns the key package's reference, by which a Welcome names it.
func (k *KeyPackage) Ref() []byte { return k.suite.KeyPackageRef(wire.Marshal(k.Public)) }

// LastResort reports whether the key package may be used more than once.
func (k *KeyPackage) LastResort() bool {
	_, found := k.Public.Extensions.Find(wire.ExtensionTypeLastResort)
	return found
}

// Message returns the MLSMessage to publish.
func (k *KeyPackage) Message() []byte {
	return wire.Marshal(wire.MLSMessage{WireFormat: wire.WireFormatKeyPackage, KeyPackage: &k.Public})
}

// PrivateKeys returns the private keys of InitKey and of the leaf's
// EncryptionKey, as test vectors hold them.
func (k *KeyPackage) PrivateKeys() (init, encryption []byte, err error) {
	if init, err = k.init.Bytes(); err != nil {
		return nil, nil, fmt.Errorf("encode init key: %w", err)
	}
	if encryption, err = k.leaf.Bytes(); err != nil {
		return nil, nil, fmt.Errorf("encode leaf key: %w", err)
	}
	return init, encryption, nil
}

// Marshal encodes the key package with its private keys, for LoadKeyPackage.
// The bytes are secret.
func (k *KeyPackage) Marshal() ([]byte, error) {
	init, leaf, err := k.PrivateKeys()
	if err != nil {
		return nil, fmt.Errorf("encode key package: %w", err)
	}
	w := wire.NewWriter(nil)
	w.Uint8(recordVersion)
	w.Opaque(init)
	w.Opaque(leaf)
	k.Public.Encode(w)
	return w.Bytes(), nil
}

// LoadKeyPackage decodes what Marshal wrote. It keeps b. It fails with ErrRecord
// if b is of another version or its keys are not a pair, or with an error of
// mls/wire or mls/suite.
func LoadKeyPackage(b []byte) (*KeyPackage, error) {
	r := wire.NewReader(b)
	version, init, leaf := r.Uint8(), r.Opaque(), r.Opaque()
	k := new(KeyPackage)
	k.Public.Decode(r)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("load key package: %w", err)
	}
	if version != recordVersion {
		return nil, fmt.Errorf("load key package: version %d: %w", version, ErrRecord)
	}
	var err error
	if k.suite, err = suite.Lookup(suite.ID(k.Public.CipherSuite)); err != nil {
		return nil, fmt.Errorf("load key package: %w", err)
	}
	if k.init, err = privateKeyOf(k.suite, init, k.Public.InitKey); err != nil {
		return nil, fmt.Errorf("load key package: init key: %w", err)
	}
	if k.leaf, err = privateKeyOf(k.suite, leaf, k.Public.LeafNode.EncryptionKey); err != nil {
		return nil, fmt.Errorf("load key package: leaf key: %w", err)
	}
	return k, nil
}
