package mls

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A passiveCase is the life of a client that only listens.
type passiveCase struct {
	Suite        suite.ID       `json:"cipher_suite"`
	ExternalPSKs []any          `json:"external_psks"`
	KeyPackage   vectors.Hex    `json:"key_package"`
	Signature    vectors.Hex    `json:"signature_priv"`
	Encryption   vectors.Hex    `json:"encryption_priv"`
	Init         vectors.Hex    `json:"init_priv"`
	Welcome      vectors.Hex    `json:"welcome"`
	RatchetTree  vectors.Hex    `json:"ratchet_tree"`
	Initial      vectors.Hex    `json:"initial_epoch_authenticator"`
	Epochs       []passiveEpoch `json:"epochs"`
}

type passiveEpoch struct {
	Proposals     []vectors.Hex `json:"proposals"`
	Commit        vectors.Hex   `json:"commit"`
	Authenticator vectors.Hex   `json:"epoch_authenticator"`
}

// TestVectorsPassiveClient follows the lives as far as what is built goes.
// Where one needs more, the feature is counted and said.
func TestVectorsPassiveClient(t *testing.T) {
	for name, least := range map[string]passiveCount{
		"passive-client-welcome.json":         {whole: 20},
		"passive-client-handling-commit.json": {}, // all of them begin with a pre-shared key
		"passive-client-random.json":          {whole: 1, epochs: 200},
	} {
		t.Run(name, func(t *testing.T) {
			count := passiveCount{skipped: map[suite.ID]int{}, features: map[string]int{}}
			for i, c := range vectors.Load[passiveCase](t, name) {
				count.follow(t, i, &c)
			}
			t.Logf("%d lives whole, %d epochs; SKIPPED by suite %v, by feature %v", count.whole, count.epochs, count.skipped, count.features)
			if count.whole < least.whole || count.epochs < least.epochs {
				t.Errorf("want at least %d lives whole, %d epochs", least.whole, least.epochs)
			}
		})
	}
}

// TestOwnVectorsPassiveClient follows the project's own lives, all of them.
func TestOwnVectorsPassiveClient(t *testing.T) {
	count := passiveCount{skipped: map[suite.ID]int{}, features: map[string]int{}}
	vectors.EachOwn(t, "passive-client-random.json", func(t *testing.T, c passiveCase) { count.follow(t, count.whole, &c) })
	if len(count.skipped)+len(count.features) > 0 || count.whole != 5 {
		t.Errorf("%d lives whole, skipped %v, %v", count.whole, count.skipped, count.features)
	}
}

// A passiveCount is how far lives were followed.
type passiveCount struct {
	whole, epochs int
	skipped       map[suite.ID]int
	features      map[string]int
}

func (n *passiveCount) follow(t *testing.T, i int, c *passiveCase) {
	s := suiteOf(t, c.Suite, n.skipped)
	if s == nil {
		return
	}
	epochs, err := c.live(s)
	n.epochs += epochs
	if err == nil {
		n.whole++
	} else if feature := missing(err); feature != "" {
		n.features[feature]++
	} else {
		t.Errorf("case %d, suite %d, after %d epochs: %v", i, c.Suite, epochs, err)
	}
}

// missing names the feature that an error asks for, "" if none.
func missing(err error) string {
	for _, known := range []error{ErrUnsupported, tree.ErrUnsupportedProposal} {
		if errors.Is(err, known) {
			return err.Error()
		}
	}
	return ""
}

// live joins and handles everything; it returns how many epochs were right.
func (c *passiveCase) live(s *suite.Suite) (n int, err error) {
	kp, signer, err := c.keyPackage(s)
	if err != nil {
		return 0, err
	}
	g, err := Join(JoinOptions{
		Welcome: c.Welcome, KeyPackage: kp, Signer: signer, RatchetTree: c.RatchetTree, Credentials: anyone{},
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
