package mls

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// processors is a Parallel on all there are: what an application gives.
func processors(n int, do func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}

// counting is a Parallel that counts what it is given to do.
func counting(count *atomic.Int64) tree.Parallel {
	return func(n int, do func(i int)) {
		count.Add(int64(n))
		processors(n, do)
	}
}

// A group that uses all processors is the group it would be without them.
func TestParallelStepsAgree(t *testing.T) {
	s := testSuite(t)
	first := newPerson(t, s, "first")
	var count atomic.Int64
	var err error
	first.group, err = Create(CreateOptions{
		Suite: s, Identity: first.identity(), Leaf: KeyPackageOptions{Now: start}, Credentials: anyone{},
		Parallel: counting(&count),
	})
	must(t, err)
	const n = 70
	list := []*person{first}
	packages := []*KeyPackage{nil}
	var adds []*wire.KeyPackage
	for i := 1; i < n; i++ {
		p := newPerson(t, s, fmt.Sprint(i))
		list, packages = append(list, p), append(packages, p.keyPackage(t))
		adds = append(adds, &packages[i].Public)
	}
	p := commit(t, first.group, CommitOptions{Adds: adds, ForcePath: true})
	first.follow(p)
	if got := count.Load(); got < 2*(n-1) {
		t.Errorf("%d calls for %d key packages and as many seals", got, n-1)
	}
	for _, i := range []int{1, n - 1} {
		count.Store(0)
		list[i].group, err = Join(JoinOptions{
			Welcome: p.Welcome, KeyPackage: packages[i], Signer: list[i].signer,
			RatchetTree: wire.Marshal(p.Next.Tree()), Credentials: anyone{}, Parallel: counting(&count),
		})
		must(t, err)
		if count.Load() == 0 {
			t.Error("join verified one leaf after the other")
		}
	}
	all := []*person{first, list[1], list[n-1]}
	agree(t, all)
	count.Store(0)
	everybody(t, all, 1, CommitOptions{})
	if count.Load() == 0 {
		t.Error("path sealed one after the other, in a tree of blank nodes")
	}
	talk(t, all)
}

// A key package, leaf or key that is bad is found wherever it stands, and the
// error is that of the first, whether one processor looks or several.
func TestParallelFindsEveryError(t *testing.T) {
	s := testSuite(t)
	const n = 40
	for _, bad := range [][]int{{0}, {n - 1}, {17, 3, 31}} {
		first := newPerson(t, s, "first")
		first.create(t)
		adds := make([]*wire.KeyPackage, n)
		for i := range adds {
			adds[i] = &newPerson(t, s, fmt.Sprint(i)).keyPackage(t).Public
		}
		for _, i := range bad {
			adds[i].Signature = bytes.Clone(adds[i].Signature)
			adds[i].Signature[5] ^= 1
		}
		before := snapshot(first.group)
		_, serial := first.group.Commit(CommitOptions{MessageOptions: MessageOptions{Now: start}, Adds: adds})
		first.group.parallel = processors
		_, parallel := first.group.Commit(CommitOptions{MessageOptions: MessageOptions{Now: start}, Adds: adds})
		if serial == nil || parallel == nil || serial.Error() != parallel.Error() {
			t.Errorf("bad %v: %v, and in parallel %v", bad, serial, parallel)
		}
		if !reflect.DeepEqual(before, snapshot(first.group)) {
			t.Error("the group has changed")
		}
	}
}

// BenchmarkWelcome seals to 10,000 newcomers. With the tree in the GroupInfo,
// each seal would hash two megabytes again.
func BenchmarkWelcome(b *testing.B) {
	for _, id := range []suite.ID{suite.X25519AES128SHA256Ed25519, suite.MLKEM768X25519AES128SHA256Ed25519} {
		s, err := suite.Lookup(id)
		must(b, err)
		kp := newPerson(b, s, "newcomer").keyPackage(b)
		newcomers := make([]newcomer, 10000)
		for i := range newcomers {
			newcomers[i].keyPackage = &kp.Public
		}
		for _, extra := range []int{0, 2 << 20} {
			for name, parallel := range map[string]tree.Parallel{"serial": nil, "parallel": processors} {
				b.Run(fmt.Sprintf("%d/info=%d/%s", id, extra, name), func(b *testing.B) {
					h := hospitality{suite: s, joiner: suite.Random(s.HashSize()), member: suite.Random(s.HashSize()), info: &wire.GroupInfo{
						GroupContext: wire.GroupContext{CipherSuite: wire.CipherSuite(id)},
						Extensions:   wire.Extensions{{ExtensionType: wire.ExtensionTypeRatchetTree, ExtensionData: make([]byte, extra)}},
					}, parallel: parallel}
					for b.Loop() {
						_, err := h.welcome(newcomers)
						must(b, err)
					}
				})
			}
		}
	}
}
