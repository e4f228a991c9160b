package tree

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTrieIsASetThatRemembers compares tries with sets through random puts and
// removes, with few enough hashes that they collide, and looks at old tries
// again after the new ones were made.
func TestTrieIsASetThatRemembers(t *testing.T) {
	type version struct {
		trie trie
		want map[entry]bool
	}
	random := rand.New(rand.NewPCG(3, 4))
	versions := []version{{want: map[entry]bool{}}}
	owner := new(token)
	for step := range 20000 {
		last := versions[len(versions)-1]
		if step%500 == 0 {
			owner = new(token)
			versions = append(versions, version{last.trie, maps.Clone(last.want)})
			last = versions[len(versions)-1]
		}
		hi, lo := random.Uint32N(4)<<30|random.Uint32N(3)<<17|random.Uint32N(8), random.Uint32N(40)<<26
		if random.IntN(3) == 0 {
			last.trie = last.trie.remove(owner, hi, lo)
			delete(last.want, newEntry(hi, lo))
		} else {
			last.trie = last.trie.put(owner, hi, lo)
			last.want[newEntry(hi, lo)] = true
		}
		versions[len(versions)-1] = last
	}
	for i, v := range versions {
		byHi := map[uint32][]uint32{}
		for p := range v.want {
			if !v.trie.contains(p.hi(), p.lo()) {
				t.Fatalf("version %d: %x is not there", i, p)
			}
			byHi[p.hi()] = append(byHi[p.hi()], p.lo())
			if !v.want[p+1] && v.trie.contains(p.hi(), p.lo()+1) {
				t.Fatalf("version %d: %x is there", i, p+1)
			}
		}
		found := 0
		v.trie.root.all(func(entry) bool { found++; return true })
		if found != len(v.want) {
			t.Fatalf("version %d: %d entries, want %d", i, found, len(v.want))
		}
		for hi, want := range byHi {
			var got []uint32
			v.trie.each(hi, func(lo uint32) bool { got = append(got, lo); return true })
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) || !v.trie.has(hi) || v.trie.has(hi^1<<29) {
				t.Fatalf("version %d: under %x %v, want %v", i, hi, got, want)
			}
		}
	}
}
