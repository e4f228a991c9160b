package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// anyone accepts every credential: who people are is not what is measured.
type anyone struct{}

// Validate accepts any credential.
func (anyone) Validate(wire.Credential, []byte) error { return nil }

// Succeeds accepts any change of credential.
func (anyone) Succeeds(_, _ wire.Credential) error { return nil }

// processors is a tree.Parallel on all there are.
func processors(n int, do func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}

// A someone is a client with its published key package. The private keys of it
// are kept only of those who are to join.
type someone struct {
	name   string
	signer *suite.SignaturePrivateKey
	public wire.KeyPackage
}

func (p *someone) identity() mls.Identity {
	return mls.Identity{Credential: wire.BasicCredential([]byte(p.name)), Signer: p.signer}
}

// memberLeaf says what the leaves of members hold, as in rooms of Parley.
func memberLeaf() mls.KeyPackageOptions {
	return mls.KeyPackageOptions{Now: time.Now(), Capabilities: mls.DefaultCapabilities(groups.PolicyExtension)}
}

// A newcomer is someone who is about to join.
type newcomer struct {
	*someone
	kp *mls.KeyPackage
}

// newNewcomer makes somebody.
func newNewcomer(s *suite.Suite, name string) (newcomer, error) {
	signer, err := s.GenerateSignatureKey()
	if err != nil {
		return newcomer{}, err
	}
	p := &someone{name: name, signer: signer}
	kp, err := mls.NewKeyPackage(s, p.identity(), memberLeaf())
	if err != nil {
		return newcomer{}, err
	}
	p.public = kp.Public
	return newcomer{p, kp}, nil
}

// A crowd are the people of all rooms of a suite, and some more who come when
// others have left. It makes keys for their leaves and nodes ahead.
type crowd struct {
	suite  *suite.Suite
	people []*someone
	spare  []*someone
}

// newCrowd makes n people and as many more as churn adds.
func newCrowd(s *suite.Suite, n int) (*crowd, error) {
	list := make([]*someone, n+churn(n))
	err := tree.Parallel(processors).Each(len(list), func(i int) error {
		p, err := newNewcomer(s, fmt.Sprintf("member %d", i))
		list[i] = p.someone
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make people: %w", err)
	}
	return &crowd{s, list[:n], list[n:]}, nil
}

// keyPairs makes n key pairs and returns the public keys.
func (c *crowd) keyPairs(n int) ([][]byte, error) {
	keys := make([][]byte, n)
	err := tree.Parallel(processors).Each(n, func(i int) error {
		key, err := c.suite.GenerateKeyPair()
		if err == nil {
			keys[i] = key.PublicKey()
		}
		return err
	})
	return keys, err
}
