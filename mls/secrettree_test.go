package mls

import (
	"bytes"
	"errors"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
)

type secretTreeCase struct {
	Suite      suite.ID    `json:"cipher_suite"`
	Encryption vectors.Hex `json:"encryption_secret"`
	SenderData struct {
		Secret     vectors.Hex `json:"sender_data_secret"`
		Ciphertext vectors.Hex `json:"ciphertext"`
		Key        vectors.Hex `json:"key"`
		Nonce      vectors.Hex `json:"nonce"`
	} `json:"sender_data"`
	Leaves [][]secretTreeKeys `json:"leaves"`
}

type secretTreeKeys struct {
	Generation       uint32      `json:"generation"`
	ApplicationKey   vectors.Hex `json:"application_key"`
	ApplicationNonce vectors.Hex `json:"application_nonce"`
	HandshakeKey     vectors.Hex `json:"handshake_key"`
	HandshakeNonce   vectors.Hex `json:"handshake_nonce"`
}

func TestVectorsSecretTree(t *testing.T) {
	skipped := map[suite.ID]int{}
	vectors.Each(t, "secret-tree.json", func(t *testing.T, c secretTreeCase) {
		if s := suiteOf(t, c.Suite, skipped); s != nil {
			checkSecretTree(t, s, c)
		}
	})
	t.Logf("skipped by suite: %v", skipped)
}

func checkSecretTree(t *testing.T, s *suite.Suite, c secretTreeCase) {
	key, nonce := senderDataKey(s, c.SenderData.Secret, c.SenderData.Ciphertext)
	if !bytes.Equal(key, c.SenderData.Key) || !bytes.Equal(nonce, c.SenderData.Nonce) {
		t.Errorf("suite %d: sender data key and nonce differ", s.ID())
	}
	height := bits.Len(uint(len(c.Leaves) - 1))
	tree := newSecretTree(s, bytes.Clone(c.Encryption), height)
	for _, i := range rand.Perm(len(c.Leaves)) {
		sender, grown := tree.seek(uint32(i))
		if grown != nil {
			tree.apply(grown)
		}
		for _, want := range c.Leaves[i] {
			check := func(what string, r *ratchet, key, nonce []byte) {
				t.Helper()
				st, err := r.seek(s, want.Generation)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(st.key[:s.KeySize()], key) || !bytes.Equal(st.nonce[:], nonce) {
					t.Errorf("suite %d: %s key of leaf %d generation %d differs", s.ID(), what, i, want.Generation)
				}
				r.apply(&st)
			}
			check("application", &sender.application, want.ApplicationKey, want.ApplicationNonce)
			check("handshake", &sender.handshake, want.HandshakeKey, want.HandshakeNonce)
		}
	}
	if len(tree.nodes) != 0 {
		t.Errorf("%d secrets left over when every leaf has spoken", len(tree.nodes))
	}
}

func testSuite(t testing.TB) *suite.Suite {
	t.Helper()
	s, err := suite.Lookup(suite.X25519AES128SHA256Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// "As soon as a group member consumes a value, they MUST immediately delete
// (all representations of) that value." (RFC 9420, Section 9.2)
func TestSecretsAreErasedWhenConsumed(t *testing.T) {
	s := testSuite(t)
	tree := newSecretTree(s, suite.Random(32), 3)
	_, grown := tree.seek(5)
	tree.apply(grown)
	for level := range 4 {
		if _, ok := tree.nodes[treeNode{level, 5 >> level}]; ok {
			t.Errorf("secret of the leaf's ancestor at level %d is still there", level)
		}
	}
	if len(tree.nodes) != 3 || len(tree.home(5)) != 3 || len(tree.home(noHome)) != 0 {
		t.Errorf("%d subtree secrets, %d at home", len(tree.nodes), len(tree.home(5)))
	}
	r := &tree.senders[5].application
	before := r.secret
	st, err := r.seek(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	used := st.key
	r.apply(&st)
	if r.secret == before || st.key == used {
		t.Error("used secrets are still there")
	}
	for _, k := range r.skipped {
		if k.key == used {
			t.Error("used key is still there")
		}
	}
}

func TestSeekChangesNothing(t *testing.T) {
	s := testSuite(t)
	tree := newSecretTree(s, suite.Random(32), 4)
	first, grown := tree.seek(3)
	tree.apply(grown)
	st, _ := first.application.seek(s, 2)
	first.application.apply(&st)
	before := first.application
	before.skipped = append([]messageKey(nil), before.skipped...)
	nodes := len(tree.nodes)
	for _, g := range []uint32{0, 1, 2, 3, 500, 1 << 31} {
		_, _ = first.application.seek(s, g)
		tree.seek(9)
	}
	if !reflect.DeepEqual(before, first.application) || len(tree.nodes) != nodes || len(tree.senders) != 1 {
		t.Error("seek has changed something")
	}
}

// CVE-2026-59644: an unbounded generation is a denial of service.
func TestRatchetForwardIsBounded(t *testing.T) {
	s := testSuite(t)
	var r ratchet
	for _, g := range []uint32{MaxForward + 1, 1 << 20, 1 << 31, 1<<32 - 1} {
		if _, err := r.seek(s, g); !errors.Is(err, ErrGeneration) {
			t.Errorf("generation %d: %v", g, err)
		}
	}
	st, err := r.seek(s, MaxForward)
	if err != nil {
		t.Fatal(err)
	}
	r.apply(&st)
	if len(r.skipped) != maxSkipped {
		t.Errorf("%d keys kept, want %d", len(r.skipped), maxSkipped)
	}
	st, err = r.seek(s, 2*MaxForward)
	if err != nil {
		t.Fatal(err)
	}
	r.apply(&st)
	if len(r.skipped) != maxSkipped {
		t.Errorf("%d keys kept, want %d", len(r.skipped), maxSkipped)
	}
	if _, err := r.seek(s, 5); !errors.Is(err, ErrReplay) {
		t.Errorf("generation that fell out of the window: %v", err)
	}
	r.generation = 1<<32 - 1
	if _, err := r.seek(s, 1<<32-1); !errors.Is(err, ErrGeneration) {
		t.Errorf("last generation: %v", err)
	}
}

func TestRatchetOutOfOrderOnce(t *testing.T) {
	s := testSuite(t)
	var sending, receiving ratchet
	copy(sending.secret[:], suite.Random(32))
	receiving.secret = sending.secret
	keys := make([][maxKey]byte, 200)
	for g := range keys {
		st, err := sending.seek(s, uint32(g))
		if err != nil {
			t.Fatal(err)
		}
		keys[g] = st.key
		sending.apply(&st)
	}
	for _, g := range rand.Perm(len(keys)) {
		st, err := receiving.seek(s, uint32(g))
		if err != nil {
			t.Fatal(err)
		}
		if st.key != keys[g] {
			t.Fatalf("generation %d: other key", g)
		}
		receiving.apply(&st)
		if _, err := receiving.seek(s, uint32(g)); !errors.Is(err, ErrReplay) {
			t.Fatalf("generation %d twice: %v", g, err)
		}
	}
	if len(receiving.skipped) != 0 {
		t.Errorf("%d keys left", len(receiving.skipped))
	}
}
