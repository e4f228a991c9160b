package tree

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
	"parley/mls/wire"
)

// partialSuites are the post-quantum suites of the vectors of mls-partial,
// which number them 8, 9 and 10.
var partialSuites = map[suite.ID]suite.ID{
	8:  suite.MLKEM768X25519AES256SHA384Ed25519,
	9:  suite.MLKEM768P256AES256SHA384P256,
	10: suite.MLKEM1024P384AES256SHA384P384,
}

// TestVectorsMembershipProofs: "Given membership_proof and tree_hash, the
// client reconstructs the same tree hash. If multiple proofs are present, the
// client also verifies whether each proof references the same tree as the
// previous proof."
func TestVectorsMembershipProofs(t *testing.T) {
	type proofCase struct {
		Suite    suite.ID      `json:"cipher_suite"`
		TreeHash vectors.Hex   `json:"tree_hash"`
		Proofs   []vectors.Hex `json:"proofs"`
	}
	ran, skipped := 0, 0
	for i, c := range vectors.Load[proofCase](t, "../mls-partial/test-vector-partial-membership-proofs.json") {
		if id, ok := partialSuites[c.Suite]; ok {
			c.Suite = id
		}
		s, err := suite.Lookup(c.Suite)
		if c.Suite == 4 || c.Suite == 6 {
			skipped++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		ran++
		var width uint32
		for _, b := range c.Proofs {
			p, err := wire.Unmarshal[MembershipProof](b)
			if err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			if !bytes.Equal(wire.Marshal(p), b) {
				t.Errorf("case %d: written as something else", i)
			}
			if err := p.Verify(s, c.TreeHash); err != nil {
				t.Errorf("case %d: %v", i, err)
			}
			if width == 0 {
				width = p.NLeaves
			}
			if p.NLeaves != width {
				t.Errorf("case %d: proofs of two trees", i)
			}
		}
	}
	if ran < 64 || skipped > 16 {
		t.Errorf("%d cases ran, %d are of suites 4 and 6", ran, skipped)
	}
}

// proofTrees are trees of all shapes: of one leaf, full, blank, with unmerged
// leaves, and edited at random.
func proofTrees(t *testing.T) []*Tree {
	trees := diffTrees(t, 120)
	for _, n := range []int{1, 2, 3, 8, 13, 33} {
		trees = append(trees, bulk(t, n, false), bulk(t, n, true))
		if n > 2 {
			trees = append(trees, grown(t, n), afterOneCommit(t, bulk(t, n, false)))
		}
	}
	return trees
}

// The proof of every member of every tree is valid there, is encoded as it is
// decoded, and says the member's leaf node; nobody else has one.
func TestProofOfEveryMember(t *testing.T) {
	for _, tree := range proofTrees(t) {
		for i := range wire.LeafIndex(tree.Width() + 3) {
			leaf, member := tree.LeafBytes(i)
			p, err := tree.Proof(i)
			if !member {
				if !errors.Is(err, ErrBlankLeaf) {
					t.Fatalf("proof of blank leaf %d: %v", i, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			b := wire.Marshal(p)
			again, err := wire.Unmarshal[MembershipProof](b)
			if err != nil || !bytes.Equal(wire.Marshal(again), b) {
				t.Fatalf("leaf %d: decoded again: %v", i, err)
			}
			if err := again.Verify(tree.Suite(), tree.Hash()); err != nil {
				t.Fatalf("leaf %d: %v", i, err)
			}
			if !bytes.Equal(wire.Marshal(again.LeafNode()), leaf) || again.LeafIndex != i || again.NLeaves != tree.Width() {
				t.Fatalf("leaf %d: proof of another leaf", i)
			}
		}
	}
}

// What is changed in a proof makes it a proof of nothing.
func TestProofRefuses(t *testing.T) {
	tree := grown(t, 13)
	const own = 6
	parse := func(p *MembershipProof) MembershipProof {
		again, err := wire.Unmarshal[MembershipProof](wire.Marshal(p))
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	good, err := tree.Proof(own)
	if err != nil {
		t.Fatal(err)
	}
	other, err := tree.Proof(own + 1)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}
	top := len(good.CopathHashes)
	for what, change := range map[string]func(p *MembershipProof){
		"another index":           func(p *MembershipProof) { p.LeafIndex++ },
		"index beyond the tree":   func(p *MembershipProof) { p.LeafIndex = wire.LeafIndex(p.NLeaves) },
		"no leaves":               func(p *MembershipProof) { p.NLeaves = 0 },
		"a tree that is not full": func(p *MembershipProof) { p.NLeaves-- },
		"half the tree":           func(p *MembershipProof) { p.NLeaves /= 2 },
		"twice the tree":          func(p *MembershipProof) { p.NLeaves *= 2 },
		"2^31 leaves":             func(p *MembershipProof) { p.NLeaves = 1 << 31 },
		"short path":              func(p *MembershipProof) { p.DirectPathNodes = p.DirectPathNodes[:top] },
		"long path":               func(p *MembershipProof) { p.DirectPathNodes = append(p.DirectPathNodes, nil) },
		"no path":                 func(p *MembershipProof) { p.DirectPathNodes = nil },
		"no hashes":               func(p *MembershipProof) { p.CopathHashes = nil },
		"one hash less":           func(p *MembershipProof) { p.CopathHashes = p.CopathHashes[1:] },
		"another leaf":            func(p *MembershipProof) { p.DirectPathNodes[0] = other.DirectPathNodes[0] },
		"blank leaf":              func(p *MembershipProof) { p.DirectPathNodes[0] = nil },
		"parent as leaf":          func(p *MembershipProof) { p.DirectPathNodes[0] = p.DirectPathNodes[top] },
		"leaf as parent":          func(p *MembershipProof) { p.DirectPathNodes[top] = p.DirectPathNodes[0] },
		"blank root":              func(p *MembershipProof) { p.DirectPathNodes[top] = nil },
		"other root": func(p *MembershipProof) {
			k := p.DirectPathNodes[top].ParentNode
			k.EncryptionKey = flip(k.EncryptionKey)
		},
		"merged leaves":           func(p *MembershipProof) { p.DirectPathNodes[top].ParentNode.UnmergedLeaves = nil },
		"other signature":         func(p *MembershipProof) { p.LeafNode().Signature = append(p.LeafNode().Signature, 1) },
		"other hash":              func(p *MembershipProof) { p.CopathHashes[1].HashValue = flip(p.CopathHashes[1].HashValue) },
		"hash cut":                func(p *MembershipProof) { h := &p.CopathHashes[0].HashValue; *h = (*h)[:31] },
		"hash longer":             func(p *MembershipProof) { h := &p.CopathHashes[0].HashValue; *h = append(bytes.Clone(*h), 0) },
		"hash missing":            func(p *MembershipProof) { p.CopathHashes[0].HashValue = nil },
		"hashes in another order": func(p *MembershipProof) { slices.Reverse(p.CopathHashes) },
	} {
		p := parse(good)
		if err := p.Verify(tree.Suite(), tree.Hash()); err != nil {
			t.Fatal(err)
		}
		change(&p)
		err := p.Verify(tree.Suite(), tree.Hash())
		if !errors.Is(err, ErrProof) && !errors.Is(err, ErrTreeTooLarge) {
			t.Errorf("%s: %v", what, err)
		}
		// It is refused when it is read, or reads as what it is and fails again.
		again, err := wire.Unmarshal[MembershipProof](wire.Marshal(p))
		if err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: decoded: %v", what, err)
		}
		if err == nil && again.Verify(tree.Suite(), tree.Hash()) == nil {
			t.Errorf("%s: accepted once it is decoded", what)
		}
	}
	for what, hash := range map[string][]byte{"none": nil, "cut": tree.Hash()[:31], "other": flip(tree.Hash())} {
		if err := good.Verify(tree.Suite(), hash); !errors.Is(err, ErrTreeHash) {
			t.Errorf("tree hash %s: %v", what, err)
		}
	}
}

// Where a path of any member concerns any other is what the whole tree says:
// the step of the filtered direct path, and the node of the resolution.
func TestPlaceAgreesWithTree(t *testing.T) {
	pairs := 0
	for _, base := range []*Tree{bulk(t, 13, false), bulk(t, 16, true), grown(t, 14), grown(t, 31), bulk(t, 2, false)} {
		for sender := range wire.LeafIndex(base.Width()) {
			if _, member := base.LeafBytes(sender); !member {
				continue
			}
			e := base.Edit()
			setPath(t, e, sender)
			tree, err := e.Tree()
			if err != nil {
				t.Fatal(err)
			}
			from, _ := tree.Proof(sender)
			for receiver := range tree.Members() {
				to, _ := tree.Proof(receiver)
				place, err := Place(from, to)
				if receiver == sender {
					if !errors.Is(err, ErrProof) {
						t.Fatalf("place of the sender: %v", err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				pairs++
				steps := tree.FilteredDirectPath(sender)
				at := slices.IndexFunc(steps, func(s Step) bool { return s.Copath.Contains(NodeOf(receiver)) })
				if place.Update != at || len(place.Above) != len(steps)-at {
					t.Fatalf("%d to %d: node %d of the path, want %d", sender, receiver, place.Update, at)
				}
				for i, step := range steps[at:] {
					key, _ := tree.EncryptionKey(step.Parent)
					if place.Above[i] != step.Parent || !bytes.Equal(place.PublicKeys[i], key) {
						t.Fatalf("%d to %d: above it is %v", sender, receiver, place.Above)
					}
				}
				if want := keyOf(tree, steps[at].Copath, receiver); place.Key != want {
					t.Fatalf("%d to %d: key of node %d, want %d", sender, receiver, place.Key, want)
				}
			}
		}
	}
	if pairs < 500 {
		t.Errorf("%d pairs", pairs)
	}
}

// keyOf returns the node of the resolution of x whose key leaf i knows: its own
// leaf if it is there, else the one above it.
func keyOf(t *Tree, x NodeIndex, i wire.LeafIndex) NodeIndex {
	resolution := t.Resolution(x)
	if slices.Contains(resolution, NodeOf(i)) {
		return NodeOf(i)
	}
	return resolution[slices.IndexFunc(resolution, func(y NodeIndex) bool { return y.Contains(NodeOf(i)) })]
}

func TestPlaceRefuses(t *testing.T) {
	small, large := bulk(t, 3, true), bulk(t, 5, true)
	a, _ := small.Proof(0)
	b, _ := large.Proof(1)
	if _, err := Place(a, b); !errors.Is(err, ErrProof) {
		t.Errorf("proofs of two trees: %v", err)
	}
	blank := bulk(t, 4, false)
	a, _ = blank.Proof(0)
	b, _ = blank.Proof(3)
	if _, err := Place(a, b); !errors.Is(err, ErrProof) {
		t.Errorf("no key above both: %v", err)
	}
}

// A proof grows with the logarithm of the members.
func TestProofGrowsWithLog(t *testing.T) {
	for _, n := range []int{128, 2048} {
		p, err := bulk(t, n, true).Proof(5)
		if err != nil {
			t.Fatal(err)
		}
		if size, limit := len(wire.Marshal(p)), 300+120*bits.Len(uint(n)); size > limit {
			t.Errorf("%d members: %d bytes", n, size)
		}
	}
}

// FuzzMembershipProof reads any bytes as a proof: no panic, bounded allocation,
// what is accepted is written as it was read, and has a tree hash.
func FuzzMembershipProof(f *testing.F) {
	s, err := suite.Lookup(1)
	if err != nil {
		f.Fatal(err)
	}
	for _, tree := range []*Tree{bulk(f, 1, false), bulk(f, 5, false), bulk(f, 9, true), grown(f, 8)} {
		p, err := tree.Proof(0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire.Marshal(p))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		if len(b) >= 512 {
			runtime.ReadMemStats(&before)
		}
		p, err := wire.Unmarshal[MembershipProof](b)
		if len(b) >= 512 {
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(wire.MaxGrowth*len(b)+1<<16) {
				t.Fatalf("%d bytes allocate %d", len(b), grown)
			}
		}
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		if !bytes.Equal(wire.Marshal(p), b) {
			t.Fatal("a proof is written as something else")
		}
		hash, err := p.TreeHash(s)
		if err == nil && p.Verify(s, hash) != nil || err != nil && !errors.Is(err, ErrProof) {
			t.Fatalf("tree hash: %v", err)
		}
		if place, err := Place(&p, &p); err == nil {
			t.Fatalf("place %v in its own path", place)
		}
	})
}

func BenchmarkProof(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		tree := bulk(b, n, true)
		p, err := tree.Proof(7)
		if err != nil {
			b.Fatal(err)
		}
		size := len(wire.Marshal(p))
		b.Run(fmt.Sprintf("make/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tree.Proof(7)
			}
			b.ReportMetric(float64(size), "proof-bytes")
		})
		b.Run(fmt.Sprintf("verify/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Verify(tree.Suite(), tree.Hash()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
