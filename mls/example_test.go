package mls_test

import (
	"fmt"
	"log"
	"time"

	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// friends are the people whose word is taken for who they are.
type friends struct{}

func (friends) Validate(wire.Credential, []byte) error { return nil }
func (friends) Succeeds(_, _ wire.Credential) error    { return nil }

// Alice makes a group and adds Bob; what she seals, he opens.
func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s, err := suite.Lookup(suite.X25519AES128SHA256Ed25519)
	must(err)
	identity := func(name string) mls.Identity {
		signer, err := s.GenerateSignatureKey()
		must(err)
		return mls.Identity{Credential: wire.BasicCredential([]byte(name)), Signer: signer}
	}

	// Bob publishes a key package.
	bob := identity("bob")
	kp, err := mls.NewKeyPackage(s, bob, mls.KeyPackageOptions{Now: now})
	must(err)

	// Alice creates a group and commits to adding him.
	a, err := mls.Create(mls.CreateOptions{
		Suite: s, Identity: identity("alice"), Leaf: mls.KeyPackageOptions{Now: now}, Credentials: friends{},
	})
	must(err)
	p, err := a.Commit(mls.CommitOptions{
		MessageOptions: mls.MessageOptions{Now: now},
		Adds:           []*wire.KeyPackage{&kp.Public},
	})
	must(err)
	a = p.Next // once the commit is accepted

	// Bob gets the Welcome, and the tree apart from it.
	b, err := mls.Join(mls.JoinOptions{
		Welcome: p.Welcome, KeyPackage: kp, Signer: bob.Signer,
		RatchetTree: wire.Marshal(a.Tree()), Credentials: friends{},
	})
	must(err)

	message, err := a.Seal(nil, []byte("hello Bob"), 0)
	must(err)
	opened, err := b.Open(message)
	must(err)
	fmt.Printf("epoch %d, leaf %d: %s\n", opened.Epoch, opened.Sender, opened.Plaintext)

	// Bob renews his keys; Alice follows.
	p, err = b.Commit(mls.CommitOptions{MessageOptions: mls.MessageOptions{Now: now}})
	must(err)
	r, err := a.Handle(p.Commit, now)
	must(err)
	same := string(r.Next.EpochAuthenticator()) == string(p.Next.EpochAuthenticator())
	fmt.Printf("epoch %d, same keys: %v\n", r.Next.Epoch(), same)
	// Output:
	// epoch 1, leaf 0: hello Bob
	// epoch 2, same keys: true
}
