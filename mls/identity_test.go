package mls

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// certify returns a certificate for public.
func certify(t *testing.T, public crypto.PublicKey, issuer crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: start, NotAfter: start}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, issuer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A key in hardware signs through crypto.Signer; its X.509 credential must be
// for it (CVE-2026-71885).
func TestX509CredentialIsBoundToTheKey(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		mine, other := newSigner(t, s), newSigner(t, s)
		key, err := s.SignatureKeyOf(opaqueSigner{mine})
		if err != nil {
			t.Fatal(err)
		}
		good := Identity{wire.X509Credential(certify(t, mine.Public(), mine)), key}
		bad := Identity{wire.X509Credential(certify(t, other.Public(), mine)), key}
		none := Identity{wire.X509Credential(), key}
		junk := Identity{wire.X509Credential([]byte("junk")), key}
		for _, id := range []Identity{bad, none, junk} {
			if _, err := NewKeyPackage(s, id, KeyPackageOptions{Now: start}); !errors.Is(err, tree.ErrCredentialKey) {
				t.Errorf("key package: %v", err)
			}
			_, err := Create(CreateOptions{Suite: s, Identity: id, Leaf: KeyPackageOptions{Now: start}, Credentials: anyone{}})
			if !errors.Is(err, tree.ErrCredentialKey) {
				t.Errorf("create: %v", err)
			}
		}
		kp, err := NewKeyPackage(s, good, KeyPackageOptions{Now: start})
		if err != nil {
			t.Fatal(err)
		}
		list := people(t, s, 2)
		p := everybody(t, list, 0, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
		g, err := Join(JoinOptions{
			Welcome: p.Welcome, KeyPackage: kp, Signer: key, RatchetTree: wire.Marshal(p.Next.Tree()), Credentials: anyone{},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := list[1].group.Open(seal(t, g, "from hardware")); err != nil {
			t.Error(err)
		}
		o := CommitOptions{MessageOptions: MessageOptions{Now: start}, Leaf: LeafOptions{Identity: &bad}}
		if _, err := g.Commit(o); !errors.Is(err, tree.ErrCredentialKey) {
			t.Errorf("commit: %v", err)
		}
		if _, err := g.ProposeUpdate(o.Leaf, o.MessageOptions); !errors.Is(err, tree.ErrCredentialKey) {
			t.Errorf("propose: %v", err)
		}
	})
}

// newSigner makes a key as the standard library has it.
func newSigner(t *testing.T, s *suite.Suite) crypto.Signer {
	t.Helper()
	key, err := s.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	return key.Signer()
}

// An opaqueSigner hides the type of its key.
type opaqueSigner struct{ crypto.Signer }

// A member may take a new credential and key, by its own commit or by a
// proposal, if the application accepts it as a successor.
func TestIdentityChanges(t *testing.T) {
	s := testSuite(t)
	list := people(t, s, 3)
	signer, err := s.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	renewed := Identity{list[0].identity().Credential, signer}
	stolen := Identity{list[1].identity().Credential, signer}
	o := CommitOptions{MessageOptions: MessageOptions{Now: start}, Leaf: LeafOptions{Identity: &stolen}}
	if _, err := list[0].group.Commit(o); !errors.Is(err, tree.ErrSuccessor) {
		t.Errorf("another name: %v", err)
	}
	everybody(t, list, 0, CommitOptions{Leaf: LeafOptions{Identity: &renewed}})
	list[0].signer = signer
	talk(t, list)
	list[0].reload(t)
	everybody(t, list, 0, CommitOptions{})

	if signer, err = s.GenerateSignatureKey(); err != nil {
		t.Fatal(err)
	}
	renewed.Signer = signer
	m, err := list[0].group.ProposeUpdate(LeafOptions{Identity: &renewed, Extensions: &wire.Extensions{}}, MessageOptions{Now: start})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list[1:] {
		handle(t, p.group, m)
	}
	everybody(t, list, 2, CommitOptions{})
	list[0].signer = signer
	leaf, _ := list[1].group.Tree().Leaf(0)
	if !bytes.Equal(leaf.SignatureKey, signer.PublicKey()) {
		t.Error("the leaf has not changed")
	}
	list[0].reload(t)
	talk(t, list)
	everybody(t, list, 0, CommitOptions{})
}

func TestKeyPackageStored(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		list, eve := people(t, s, 2), newPerson(t, s, "eve")
		kp := eve.keyPackage(t)
		b, err := kp.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := LoadKeyPackage(b)
		if err != nil || !bytes.Equal(again.Message(), kp.Message()) || !bytes.Equal(again.Ref(), kp.Ref()) {
			t.Fatal(err)
		}
		p := everybody(t, list, 0, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
		eve.join(t, again, p.Welcome, p.Next.Tree())
		talk(t, append(list, eve))
		b[0]++
		if _, err := LoadKeyPackage(b); !errors.Is(err, ErrRecord) {
			t.Errorf("another version: %v", err)
		}
		b[0]--
		b[5] ^= 0x10 // a private key that is not that of the public one
		if _, err := LoadKeyPackage(b); err == nil {
			t.Error("loaded another private key")
		}
	})
}

// Extensions of the GroupContext must be supported by all: a newcomer that does
// not is refused, one that does is added.
func TestGroupExtensions(t *testing.T) {
	s := testSuite(t)
	policy := wire.Extension{ExtensionType: 0xf0a1, ExtensionData: []byte("policy")}
	with := KeyPackageOptions{Now: start, Capabilities: DefaultCapabilities(policy.ExtensionType)}
	a, b, c := newPerson(t, s, "a"), newPerson(t, s, "b"), newPerson(t, s, "c")
	var err error
	a.group, err = Create(CreateOptions{
		Suite: s, GroupID: []byte("mimi://alpha.example/r/ops"), Identity: a.identity(), Leaf: with,
		Extensions: wire.Extensions{policy}, Credentials: anyone{},
	})
	if err != nil {
		t.Fatal(err)
	}
	unable := b.keyPackage(t)
	if _, err := a.group.Commit(CommitOptions{MessageOptions: MessageOptions{Now: start}, Adds: []*wire.KeyPackage{&unable.Public}}); !errors.Is(err, tree.ErrUnsupportedExtension) {
		t.Errorf("newcomer without the extension: %v", err)
	}
	kp, err := NewKeyPackage(s, c.identity(), with)
	if err != nil {
		t.Fatal(err)
	}
	p := commit(t, a.group, CommitOptions{Adds: []*wire.KeyPackage{&kp.Public}})
	a.follow(p)
	c.join(t, kp, p.Welcome, p.Next.Tree())
	changed := wire.Extensions{{ExtensionType: 0xf0a1, ExtensionData: []byte("other policy")}}
	p = everybody(t, []*person{a, c}, 1, CommitOptions{Extensions: &changed})
	if got, _ := a.group.GroupContext().Extensions.Find(0xf0a1); string(got) != "other policy" || !p.Change.ExtensionsReplaced {
		t.Errorf("extension is %q", got)
	}
	if _, err := Create(CreateOptions{
		Suite: s, Identity: a.identity(), Leaf: KeyPackageOptions{Now: start}, Extensions: changed, Credentials: anyone{},
	}); !errors.Is(err, tree.ErrUnsupportedExtension) {
		t.Errorf("creator without the extension: %v", err)
	}
}

func TestExport(t *testing.T) {
	list := people(t, testSuite(t), 2)
	a, err := list[0].group.Export("label", []byte("context"), 48)
	if err != nil {
		t.Fatal(err)
	}
	b, err := list[1].group.Export("label", []byte("context"), 48)
	if err != nil || !bytes.Equal(a, b) || len(a) != 48 {
		t.Errorf("members export %x and %x, %v", a, b, err)
	}
	if c, _ := list[1].group.Export("label", []byte("contex"), 48); bytes.Equal(a, c) {
		t.Error("the context does not count")
	}
	for _, n := range []int{-1, 255*32 + 1} {
		if _, err := list[0].group.Export("label", nil, n); !errors.Is(err, suite.ErrLength) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	everybody(t, list, 0, CommitOptions{})
	if c, _ := list[0].group.Export("label", []byte("context"), 48); bytes.Equal(a, c) {
		t.Error("the epoch does not count")
	}
}
