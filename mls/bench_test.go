package mls

import (
	"bytes"
	"fmt"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// fullGroup returns the first and the last of n members of a group whose
// parent nodes all have keys: what a room is once its members have committed.
// The members between them exist in the tree only.
func fullGroup(t testing.TB, n int) (*person, *person) {
	t.Helper()
	s := testSuite(t)
	first, last := newPerson(t, s, "first"), newPerson(t, s, "last")
	packages := []*KeyPackage{first.keyPackage(t), last.keyPackage(t)}
	leaf := packages[0].Public.LeafNode
	edit := tree.New(s, leaf).Edit()
	for i := 1; i < n; i++ {
		// A signature costs as much as all else; nobody looks at these.
		leaf.EncryptionKey, leaf.SignatureKey = suite.Random(32), suite.Random(32)
		if i == n-1 {
			leaf = packages[1].Public.LeafNode
		}
		if _, err := edit.Add(leaf); err != nil {
			t.Fatal(err)
		}
	}
	keys := []keyring{{0: packages[0].leaf}, {tree.NodeOf(wire.LeafIndex(n - 1)): packages[1].leaf}}
	setPath := func(i wire.LeafIndex) *path {
		p, err := newPath(s, edit.FilteredDirectPath(i))
		if err == nil {
			_, err = edit.SetPath(i, p.publicKeys())
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for i := 0; i < n; i += 2 {
		random := make([][]byte, len(edit.FilteredDirectPath(wire.LeafIndex(i))))
		for j := range random {
			random[j] = suite.Random(32)
		}
		if _, err := edit.SetPath(wire.LeafIndex(i), random); err != nil {
			t.Fatal(err)
		}
	}
	paths := []*path{setPath(wire.LeafIndex(n - 1)), setPath(0)}
	full, err := edit.Tree()
	if err != nil {
		t.Fatal(err)
	}
	epochSecret := suite.Random(32)
	context := wire.GroupContext{
		CipherSuite: wire.CipherSuite(s.ID()), GroupID: []byte("bench"), Epoch: 7,
		TreeHash: full.Hash(), ConfirmedTranscriptHash: suite.Random(32),
	}
	for i, p := range []*person{first, last} {
		g := &Group{suite: s, credentials: anyone{}, signer: p.signer, keep: DefaultPastEpochs, tag: make([]byte, 32)}
		for _, path := range paths {
			for j, x := range path.nodes {
				if x.Contains(tree.NodeOf(wire.LeafIndex(i * (n - 1)))) {
					keys[i][x] = path.keys[j]
				}
			}
		}
		g.keys = keys[i].next(full, nil)
		g.begin(tree.State{Context: context, Tree: full}, wire.LeafIndex(i*(n-1)), expandEpoch(s, bytes.Clone(epochSecret)))
		p.group = g
		p.shelf.put(g.TakeChanges())
	}
	return first, last
}

// In a full tree a commit grows with the logarithm of the members: its bytes,
// and what is stored.
func TestCommitGrowsWithLog(t *testing.T) {
	sizes := map[int][2]int{}
	for _, n := range []int{128, 2048} {
		first, last := fullGroup(t, n)
		p := commit(t, first.group, CommitOptions{})
		r := handle(t, last.group, p.Commit)
		if !bytes.Equal(r.Next.EpochAuthenticator(), p.Next.EpochAuthenticator()) {
			t.Fatal("no agreement")
		}
		stored := shelf{}.put(r.Next.TakeChanges())
		sizes[n] = [2]int{len(p.Commit), stored}
		t.Logf("%d members: commit of %d bytes, %d bytes stored", n, len(p.Commit), stored)
	}
	first, last := fullGroup(t, 2048)
	unlock([]*person{last}, Policy{})
	joined := external(t, first)
	r := handle(t, last.group, joined.Commit)
	if !bytes.Equal(r.Next.EpochAuthenticator(), joined.Next.EpochAuthenticator()) {
		t.Fatal("no agreement about an external commit")
	}
	if stored := (shelf{}).put(r.Next.TakeChanges()); len(joined.Commit) > 2*sizes[2048][0] || stored > 2*sizes[2048][1] {
		t.Errorf("an external commit of %d bytes, %d bytes stored", len(joined.Commit), stored)
	}
	for i, what := range []string{"commit", "stored"} {
		if small, large := sizes[128][i], sizes[2048][i]; large > 2*small {
			t.Errorf("%s: %d bytes of 128 members, %d of 2048", what, small, large)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	a, _ := fullGroup(b, 100)
	text := make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.group.Seal(nil, text, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	a, z := fullGroup(b, 100)
	text := make([]byte, 300)
	messages := make([][]byte, b.N)
	for i := range messages {
		var err error
		if messages[i], err = a.group.Seal(nil, text, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, m := range messages {
		if _, err := z.group.Open(m); err != nil {
			b.Fatal(err)
		}
	}
}

var benchSizes = []int{100, 1000, 10000}

func BenchmarkCommit(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a, _ := fullGroup(b, n)
			b.ReportAllocs()
			for b.Loop() {
				commit(b, a.group, CommitOptions{})
			}
		})
	}
}

func BenchmarkHandleCommit(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a, z := fullGroup(b, n)
			p := commit(b, a.group, CommitOptions{})
			b.ReportMetric(float64(len(p.Commit)), "commit-bytes")
			b.ReportAllocs()
			for b.Loop() {
				handle(b, z.group, p.Commit)
			}
		})
	}
}

// external makes the external commit of a newcomer to a's group, whose tree is
// not verified: in a fullGroup nobody has signed it.
func external(t testing.TB, a *person) *Pending {
	t.Helper()
	m, err := wire.Unmarshal[wire.MLSMessage](a.info(t))
	must(t, err)
	eve := newPerson(t, a.suite, "eve")
	o := eve.external(nil)
	g := &Group{
		suite: a.suite, credentials: anyone{}, signer: eve.signer, keep: DefaultPastEpochs,
		state: a.group.state, interim: a.group.interim,
		epoch: &epoch{suite: a.suite, context: a.group.state.Context}, keys: make(keyring),
	}
	values, init, err := o.proposals(a.suite, m.GroupInfo)
	must(t, err)
	c, err := o.stage(g, values)
	must(t, err)
	c.init = init
	must(t, c.renew())
	p, err := c.finish()
	must(t, err)
	return p
}

// Following an external commit costs what following another does: only who joins
// verifies the whole tree.
func BenchmarkHandleExternalCommit(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a, z := fullGroup(b, n)
			unlock([]*person{z}, Policy{})
			p := external(b, a)
			b.ReportMetric(float64(len(p.Commit)), "commit-bytes")
			b.ReportAllocs()
			for b.Loop() {
				handle(b, z.group, p.Commit)
			}
		})
	}
}

func BenchmarkTakeChangesOfCommit(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a, z := fullGroup(b, n)
			p := commit(b, a.group, CommitOptions{})
			size := 0
			for b.Loop() {
				size = shelf{}.put(handle(b, z.group, p.Commit).Next.TakeChanges())
			}
			b.ReportMetric(float64(size), "stored-bytes")
		})
	}
}

// BenchmarkAdd adds all the others to a group of one in one commit.
func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			first, packages, _ := crowd(b, n)
			size := 0
			b.ReportAllocs()
			for b.Loop() {
				size = len(commit(b, first.group, CommitOptions{Adds: packages}).Welcome)
			}
			b.ReportMetric(float64(size), "welcome-bytes")
		})
	}
}

// BenchmarkJoin joins a group that was made so.
func BenchmarkJoin(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			first, packages, last := crowd(b, n)
			p := commit(b, first.group, CommitOptions{Adds: append(packages, &last.kp.Public)})
			ratchetTree := wire.Marshal(p.Next.Tree())
			b.ReportMetric(float64(len(ratchetTree)), "tree-bytes")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Join(JoinOptions{
					Welcome: p.Welcome, KeyPackage: last.kp, Signer: last.signer, RatchetTree: ratchetTree, Credentials: anyone{},
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A waiting is a person with a key package.
type waiting struct {
	*person
	kp *KeyPackage
}

// crowd returns somebody with a group, n key packages to add, and one more.
func crowd(b *testing.B, n int) (*person, []*wire.KeyPackage, waiting) {
	b.Helper()
	s := testSuite(b)
	first, last := newPerson(b, s, "first"), newPerson(b, s, "last")
	first.create(b)
	packages := make([]*wire.KeyPackage, n)
	for i := range packages {
		packages[i] = &newPerson(b, s, fmt.Sprint(i)).keyPackage(b).Public
	}
	return first, packages, waiting{last, last.keyPackage(b)}
}
