package tree

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"parley/mls/wire"
)

// TestTreeIsSafeForManyGoroutines edits and reads one tree from several
// goroutines; the race detector watches, and the tree is what it was.
func TestTreeIsSafeForManyGoroutines(t *testing.T) {
	tree := afterOneCommit(t, bulk(t, 20, true))
	before := wire.Marshal(tree)
	var all sync.WaitGroup
	for i := range wire.LeafIndex(8) {
		all.Go(func() {
			for range 20 {
				e := tree.Edit()
				_, _ = e.Add(unsigned())
				_ = e.Remove(i)
				setPath(t, e, i+8)
				if next, err := e.Tree(); err != nil || next.VerifyParentHashes() != nil {
					t.Errorf("goroutine %d: %v", i, err)
				}
				_ = tree.VerifyParentHashes()
				_ = tree.Resolution(tree.Root())
				if !bytes.Equal(wire.Marshal(tree), before) {
					t.Error("the tree changed")
				}
			}
		})
	}
	all.Wait()
}

// TestOldTreesLive keeps all trees of a history and looks at them at its end.
func TestOldTreesLive(t *testing.T) {
	type epoch struct {
		tree    *Tree
		encoded []byte
		hash    []byte
	}
	p := newPair(t)
	var history []epoch
	for i := range 40 {
		leaves := p.leaves()
		switch at := leaves[i*7%len(leaves)]; {
		case i%3 != 0 || len(leaves) < 4:
			p = p.add()
		case i%2 == 0:
			p = p.remove(at)
		default:
			p = p.commit(at)
		}
		history = append(history, epoch{p.tree, wire.Marshal(p.tree), slices.Clone(p.tree.Hash())})
	}
	for i, e := range history {
		if !bytes.Equal(wire.Marshal(e.tree), e.encoded) || !bytes.Equal(e.tree.Hash(), e.hash) {
			t.Errorf("tree %d changed", i)
		}
		again, err := Parse(e.tree.suite, e.encoded)
		if err != nil || !bytes.Equal(again.Hash(), e.hash) {
			t.Errorf("tree %d: its cached hash is not what it hashes to: %v", i, err)
		}
	}
}

// TestTwoFuturesOfOneTree adds to the same unmerged leaves in two edits of one
// tree: neither sees the other's.
func TestTwoFuturesOfOneTree(t *testing.T) {
	p := newPair(t)
	for range 5 {
		p = p.add()
	}
	p = p.commit(0).add()
	a, b := p.add(), p.add()
	c := p.add().add()
	a.check()
	b.check()
	c.check()
	p.check()
}
