package tree

import (
	"encoding/binary"
	"testing"

	"parley/mls/suite"
	"parley/mls/wire"
)

// bulk returns a tree of n unsigned leaves; populated gives every parent node a
// key, by commits of members far apart.
func bulk(b testing.TB, n int, populated bool) *Tree {
	b.Helper()
	s, err := suite.Lookup(1)
	if err != nil {
		b.Fatal(err)
	}
	e := empty(s).Edit()
	for range n {
		if _, err := e.Add(unsigned()); err != nil {
			b.Fatal(err)
		}
	}
	if populated {
		for i := 0; i < n; i += 2 {
			setPath(b, e, wire.LeafIndex(i))
		}
	}
	t, err := e.Tree()
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// setPath gives leaf i a new path.
func setPath(b testing.TB, e *Edit, i wire.LeafIndex) {
	keys := make([][]byte, len(e.FilteredDirectPath(i)))
	for k := range keys {
		keys[k] = key()
	}
	hash, err := e.SetPath(i, keys)
	if err != nil {
		b.Fatal(err)
	}
	leaf := unsigned()
	leaf.LeafNodeSource, leaf.ParentHash = wire.LeafNodeSourceCommit, hash
	if err := e.SetLeaf(i, leaf); err != nil {
		b.Fatal(err)
	}
}

// sizes are those that the growth of a figure is read from.
var sizes = []struct {
	name string
	n    int
}{{"100", 100}, {"5000", 5_000}, {"50000", 50_000}}

// BenchmarkCommit is the work on the tree of one commit with a path: keys,
// parent hashes, tree hashes and indices, without any asymmetric cryptography.
func BenchmarkCommit(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			t := bulk(b, size.n, true)
			leaf := unsigned()
			leaf.LeafNodeSource = wire.LeafNodeSourceCommit
			keys := make([][]byte, 20)
			for k := range keys {
				keys[k] = key()
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				at := wire.LeafIndex(i * 7919 % size.n)
				leaf.EncryptionKey, leaf.SignatureKey = fresh(leaf.EncryptionKey, i), fresh(leaf.SignatureKey, i)
				for k := range keys {
					keys[k] = fresh(keys[k], i)
				}
				e := t.Edit()
				hash, err := e.SetPath(at, keys[:len(e.FilteredDirectPath(at))])
				if err != nil {
					b.Fatal(err)
				}
				leaf.ParentHash = hash
				if err := e.SetLeaf(at, leaf); err != nil {
					b.Fatal(err)
				}
				if t, err = e.Tree(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fresh makes another key of one, cheaper than rand.
func fresh(old []byte, i int) []byte {
	next := append([]byte(nil), old...)
	binary.BigEndian.PutUint64(next, uint64(i))
	return next
}

// BenchmarkAddRemove is a Remove and an Add in one step.
func BenchmarkAddRemove(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			t := bulk(b, size.n, true)
			leaf := unsigned()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				leaf.EncryptionKey, leaf.SignatureKey = fresh(leaf.EncryptionKey, i), fresh(leaf.SignatureKey, i)
				e := t.Edit()
				if err := e.Remove(wire.LeafIndex(i * 7919 % size.n)); err != nil {
					b.Fatal(err)
				}
				if _, err := e.Add(leaf); err != nil {
					b.Fatal(err)
				}
				var err error
				if t, err = e.Tree(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse reads a whole tree with all hashes and indices.
func BenchmarkParse(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			t := bulk(b, size.n, true)
			encoded := wire.Marshal(t)
			b.SetBytes(int64(len(encoded)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(t.Suite(), encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyParentHashes is that part of a join on the trees that made
// others quadratic: one commit and then members added, and full.
func BenchmarkVerifyParentHashes(b *testing.B) {
	for _, size := range sizes {
		shapes := map[string]func() *Tree{
			"full":  func() *Tree { return bulk(b, size.n, true) },
			"blank": func() *Tree { return afterOneCommit(b, bulk(b, size.n, false)) },
			"grown": func() *Tree { return grown(b, size.n) },
		}
		for name, shape := range shapes {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				t := shape()
				for b.Loop() {
					if err := t.VerifyParentHashes(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// afterOneCommit is t after a commit of member 0.
func afterOneCommit(b testing.TB, t *Tree) *Tree {
	e := t.Edit()
	setPath(b, e, 0)
	t, err := e.Tree()
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// grown is a tree in which the first half have committed and the other half
// were added after: every other leaf is unmerged.
func grown(b testing.TB, n int) *Tree {
	t := bulk(b, n, true)
	e := t.Edit()
	for i := 1; i < n; i += 2 {
		if err := e.Remove(wire.LeafIndex(i)); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; i < n; i += 2 {
		if e.member(wire.LeafIndex(i)) {
			setPath(b, e, wire.LeafIndex(i))
		}
	}
	for range n / 2 {
		if _, err := e.Add(unsigned()); err != nil {
			b.Fatal(err)
		}
	}
	t, err := e.Tree()
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// BenchmarkObserverHandle follows commits with a path, signatures included, in
// a full tree.
func BenchmarkObserverHandle(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			c := newCast(b, 1)
			e := bulk(b, size.n, true).Edit()
			leaf, _ := c.Tree().Leaf(0)
			if err := e.Update(0, leaf); err != nil {
				b.Fatal(err)
			}
			t, err := e.Tree()
			if err != nil {
				b.Fatal(err)
			}
			o := *c.Observer
			o.state.Tree, o.state.Context.TreeHash = t, t.Hash()
			c.Observer = &o
			encoded := wire.Marshal(c.commit(0, true))
			b.SetBytes(int64(len(encoded)))
			b.ReportAllocs()
			for b.Loop() {
				m, err := wire.Unmarshal[wire.PublicMessage](encoded)
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := c.Handle(&m, &c.config); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSnapshot writes and loads an observer.
func BenchmarkSnapshot(b *testing.B) {
	for _, size := range sizes {
		c := newCast(b, 1)
		t := bulk(b, size.n, true)
		o := *c.Observer
		o.state.Tree, o.state.Context.TreeHash = t, t.Hash()
		b.Run(size.name+"/marshal", func(b *testing.B) {
			for b.Loop() {
				b.SetBytes(int64(len(o.Marshal())))
			}
		})
		encoded := o.Marshal()
		b.Run(size.name+"/load", func(b *testing.B) {
			b.SetBytes(int64(len(encoded)))
			for b.Loop() {
				if _, err := LoadObserver(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
