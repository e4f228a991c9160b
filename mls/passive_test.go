package mls

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/wire"
)

// A passiveCase is the life of a client that only listens.
type passiveCase struct {
	Suite        suite.ID       `json:"cipher_suite"`
	ExternalPSKs []passivePSK   `json:"external_psks"`
	KeyPackage   vectors.Hex    `json:"key_package"`
	Signature    vectors.Hex    `json:"signature_priv"`
	Encryption   vectors.Hex    `json:"encryption_priv"`
	Init         vectors.Hex    `json:"init_priv"`
	Welcome      vectors.Hex    `json:"welcome"`
	RatchetTree  vectors.Hex    `json:"ratchet_tree"`
	Initial      vectors.Hex    `json:"initial_epoch_authenticator"`
	Epochs       []passiveEpoch `json:"epochs"`
}

type passivePSK struct {
	ID  vectors.Hex `json:"psk_id"`
	PSK vectors.Hex `json:"psk"`
}

type passiveEpoch struct {
	Proposals     []vectors.Hex `json:"proposals"`
	Commit        vectors.Hex   `json:"commit"`
	Authenticator vectors.Hex   `json:"epoch_authenticator"`
}

// TestVectorsPassiveClient follows the lives of all suites that we have.
func TestVectorsPassiveClient(t *testing.T) {
	for name, least := range map[string]passiveCount{
		"passive-client-welcome.json":         {whole: 20},
		"passive-client-handling-commit.json": {whole: 65, epochs: 65},
		"passive-client-random.json":          {whole: 1, epochs: 200},
	} {
		t.Run(name, func(t *testing.T) {
			count := passiveCount{skipped: map[suite.ID]int{}}
			for i, c := range vectors.Load[passiveCase](t, name) {
				count.follow(t, i, &c)
			}
			t.Logf("%d lives whole, %d epochs; SKIPPED by suite %v", count.whole, count.epochs, count.skipped)
			if count.whole < least.whole || count.epochs < least.epochs {
				t.Errorf("want at least %d lives whole, %d epochs", least.whole, least.epochs)
			}
		})
	}
}

// TestOwnVectorsPassiveClient follows the project's own lives, all of them.
func TestOwnVectorsPassiveClient(t *testing.T) {
	count := passiveCount{skipped: map[suite.ID]int{}}
	vectors.EachOwn(t, "passive-client-random.json", func(t *testing.T, c passiveCase) { count.follow(t, count.whole, &c) })
	if len(count.skipped) > 0 || count.whole != 5 {
		t.Errorf("%d lives whole, skipped %v", count.whole, count.skipped)
	}
}

// A passiveCount is how far lives were followed.
type passiveCount struct {
	whole, epochs int
	skipped       map[suite.ID]int
}

func (n *passiveCount) follow(t *testing.T, i int, c *passiveCase) {
	s := suiteOf(t, c.Suite, n.skipped)
	if s == nil {
		return
	}
	epochs, err := c.live(s)
	n.epochs += epochs
	if err != nil {
		t.Errorf("case %d, suite %d, after %d epochs: %v", i, c.Suite, epochs, err)
		return
	}
	n.whole++
}

// live joins and handles everything; it returns how many epochs were right.
func (c *passiveCase) live(s *suite.Suite) (n int, err error) {
	kp, signer, err := c.keyPackage(s)
	if err != nil {
		return 0, err
	}
	g, err := Join(JoinOptions{
		Welcome: c.Welcome, KeyPackage: kp, Signer: signer, RatchetTree: c.RatchetTree, Credentials: anyone{}, Policy: c.policy(),
	})
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(g.EpochAuthenticator(), c.Initial) {
		return 0, errors.New("initial epoch authenticator differs")
	}
	for _, e := range c.Epochs {
		for _, p := range e.Proposals {
			if _, err := g.Handle(p, time.Time{}); err != nil {
				return n, err
			}
		}
		r, err := g.Handle(e.Commit, time.Time{})
		if err != nil {
			return n, err
		}
		if r.Next == nil || !bytes.Equal(r.Next.EpochAuthenticator(), e.Authenticator) {
			return n, fmt.Errorf("epoch authenticator differs, removed: %v", r.Removed)
		}
		g = r.Next
		n++
	}
	return n, nil
}

// policy gives the life its pre-shared keys, and accepts whoever joins.
func (c *passiveCase) policy() Policy {
	psks := make(purse)
	for _, p := range c.ExternalPSKs {
		psks[string(p.ID)] = p.PSK
	}
	return Policy{PSKs: psks, Accept: everything}
}

func (c *passiveCase) keyPackage(s *suite.Suite) (*KeyPackage, *suite.SignaturePrivateKey, error) {
	m, err := wire.Unmarshal[wire.MLSMessage](c.KeyPackage)
	if err != nil {
		return nil, nil, err
	}
	kp := &KeyPackage{Public: *m.KeyPackage, suite: s}
	if kp.init, err = privateKeyOf(s, c.Init, kp.Public.InitKey); err != nil {
		return nil, nil, err
	}
	if kp.leaf, err = privateKeyOf(s, c.Encryption, kp.Public.LeafNode.EncryptionKey); err != nil {
		return nil, nil, err
	}
	signer, err := s.NewSignaturePrivateKey(c.Signature)
	return kp, signer, err
}
