package tree

import (
	"math/rand/v2"
	"slices"
	"testing"

	"parley/mls/suite"
	"parley/mls/wire"
)

// TestDiffIsWhatDiffers compares Diff with a look at every node, over trees
// that grow, shrink, are updated and committed to.
func TestDiffIsWhatDiffers(t *testing.T) {
	trees := diffTrees(t, 80)
	for i, a := range trees {
		for j, b := range trees {
			if j != i+1 && j != i-1 && (i+j)%5 != 0 {
				continue
			}
			var want []NodeIndex
			for x := range 2*NodeIndex(max(a.width, b.width)) - 1 {
				if string(diffContent(a, x)) != string(diffContent(b, x)) {
					want = append(want, x)
				}
			}
			if got := slices.Sorted(a.Diff(b)); !slices.Equal(got, want) {
				t.Fatalf("trees %d and %d: %v, want %v", i, j, got, want)
			}
		}
	}
	last := trees[len(trees)-1]
	for x := range last.Diff(nil) {
		if diffContent(last, x) == nil {
			t.Errorf("blank node %d differs from nothing", x)
		}
	}
}

// diffContent encodes what a node says of itself.
func diffContent(t *Tree, x NodeIndex) []byte {
	n := t.node(x)
	switch {
	case n == nil:
		return nil
	case n.parentNode() != nil:
		return wire.Marshal(*n.parentNode())
	}
	return n.leaf()
}

func diffTrees(t *testing.T, n int) []*Tree {
	s, err := suite.Lookup(suite.X25519AES128SHA256Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func() wire.LeafNode {
		return wire.LeafNode{
			EncryptionKey: suite.Random(32), SignatureKey: suite.Random(32),
			Credential: wire.BasicCredential([]byte("x")), LeafNodeSource: wire.LeafNodeSourceUpdate,
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	trees := []*Tree{New(s, leaf())}
	for len(trees) < n {
		e := trees[len(trees)-1].Edit()
		i := wire.LeafIndex(r.IntN(int(e.width)))
		switch k := r.IntN(5); {
		case k < 2:
			_, err = e.Add(leaf())
		case k == 2 && e.root.members > 1 && e.member(i):
			err = e.Remove(i)
		case k == 3 && e.member(i):
			err = e.Update(i, leaf())
		case k == 4 && e.member(i):
			keys := make([][]byte, len(e.FilteredDirectPath(i)))
			for j := range keys {
				keys[j] = suite.Random(32)
			}
			_, err = e.SetPath(i, keys)
		}
		if err != nil {
			t.Fatal(err)
		}
		next, err := e.Tree()
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, next)
	}
	return trees
}
