package tree

import (
	"testing"

	"parley/mls/internal/vectors"
)

// TestVectorTreeMath checks the arithmetic against the official tables.
func TestVectorTreeMath(t *testing.T) {
	type table struct {
		NLeaves uint32       `json:"n_leaves"`
		NNodes  int          `json:"n_nodes"`
		Root    NodeIndex    `json:"root"`
		Left    []*NodeIndex `json:"left"`
		Right   []*NodeIndex `json:"right"`
		Parent  []*NodeIndex `json:"parent"`
		Sibling []*NodeIndex `json:"sibling"`
	}
	for _, c := range vectors.Load[table](t, "tree-math.json") {
		if got := Root(c.NLeaves); got != c.Root {
			t.Errorf("root of %d leaves: %d, want %d", c.NLeaves, got, c.Root)
		}
		check := func(name string, x NodeIndex, want *NodeIndex, got NodeIndex, ok bool) {
			if ok != (want != nil) || ok && got != *want {
				t.Errorf("%d leaves: %s of %d: %d, %v", c.NLeaves, name, x, got, ok)
			}
		}
		if len(c.Left) != c.NNodes {
			t.Fatalf("%d nodes, table of %d", c.NNodes, len(c.Left))
		}
		for i := range c.NNodes {
			x := NodeIndex(i)
			got, ok := x.Left()
			check("left", x, c.Left[i], got, ok)
			got, ok = x.Right()
			check("right", x, c.Right[i], got, ok)
			got, ok = Parent(x, c.NLeaves)
			check("parent", x, c.Parent[i], got, ok)
			got, ok = Sibling(x, c.NLeaves)
			check("sibling", x, c.Sibling[i], got, ok)
		}
	}
}

// TestMathAgrees compares what the vectors do not cover with its definition.
func TestMathAgrees(t *testing.T) {
	const width = 32
	for x := range Root(width) + width {
		path := DirectPath(x, width)
		copath := Copath(x, width)
		if len(path) != len(copath) {
			t.Fatalf("node %d: %d in path, %d in copath", x, len(path), len(copath))
		}
		for i, s := range copath {
			if p, _ := Parent(s, width); p != path[i] {
				t.Errorf("copath of %d: %d is not a child of %d", x, s, path[i])
			}
		}
		for y := range Root(width) + width {
			want := y
			for !contains(want, x, width) {
				want, _ = Parent(want, width)
			}
			if got := CommonAncestor(x, y); got != want {
				t.Errorf("common ancestor of %d and %d: %d, want %d", x, y, got, want)
			}
			if x.Contains(y) != contains(x, y, width) {
				t.Errorf("%d contains %d: %v", x, y, x.Contains(y))
			}
		}
	}
}

// contains looks for x on the way from y to the root.
func contains(x, y NodeIndex, width uint32) bool {
	for ok := true; ok; y, ok = Parent(y, width) {
		if x == y {
			return true
		}
	}
	return false
}
