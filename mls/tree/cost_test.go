package tree

import (
	"math/rand/v2"
	"testing"

	"parley/mls/wire"
)

// seals counts the secrets of a commit by the definition: "one for each node in
// the resolution of the copath node" (RFC 9420, Section 7.6).
func seals(t *Tree, i wire.LeafIndex) (n int) {
	for _, step := range t.FilteredDirectPath(i) {
		n += len(t.Resolution(step.Copath))
	}
	return n
}

func TestCostsAreTheSizesOfUpdatePaths(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	e := bulk(t, 40, false).Edit()
	for range 150 {
		i := wire.LeafIndex(random.IntN(40))
		switch there := e.member(i); {
		case there && random.IntN(2) == 0:
			setPath(t, e, i)
		case there && random.IntN(3) == 0:
			if err := e.Remove(i); err != nil {
				t.Fatal(err)
			}
		case !there:
			if _, err := e.Add(unsigned()); err != nil {
				t.Fatal(err)
			}
		}
		tree, err := e.Tree()
		if err != nil {
			t.Fatal(err)
		}
		members, least := 0, 1<<30
		for i, cost := range tree.Costs() {
			if want := seals(tree, i); cost != want {
				t.Fatalf("a commit of member %d seals %d secrets, not %d", i, want, cost)
			}
			members, least = members+1, min(least, cost)
		}
		cheapest, cost := tree.CheapestCommitter()
		if members != tree.Size() || cost != least || seals(tree, cheapest) != cost {
			t.Fatalf("of %d members %d, the cheapest is %d at %d, not %d", tree.Size(), members, cheapest, cost, least)
		}
	}
}

// Commits of whoever is cheapest warm a tree after a bulk add: the first seals
// to everybody, the next to half of them, and so on.
func TestTheCheapestCommitterWarmsATree(t *testing.T) {
	tree := bulk(t, 64, false)
	for commit, want := range []int{63, 32, 17, 10, 7, 6} {
		cheapest, cost := tree.CheapestCommitter()
		if cost != want {
			t.Errorf("commit %d, of member %d, seals %d secrets, want %d", commit, cheapest, cost, want)
		}
		e := tree.Edit()
		setPath(t, e, cheapest)
		var err error
		if tree, err = e.Tree(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCostsOfALoneMember(t *testing.T) {
	if i, cost := New(bulk(t, 1, false).Suite(), unsigned()).CheapestCommitter(); i != 0 || cost != 0 {
		t.Errorf("member %d, %d secrets", i, cost)
	}
}
