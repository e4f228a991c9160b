package tree

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTrieIsAMapThatRemembers compares tries with maps through random puts and
// removes, with few enough keys that they collide, and looks at old tries
// again after the new ones were made.
func TestTrieIsAMapThatRemembers(t *testing.T) {
	type key struct {
		hi uint64
		lo uint32
	}
	type version struct {
		trie trie
		want map[key]uint32
	}
	random := rand.New(rand.NewPCG(3, 4))
	versions := []version{{want: map[key]uint32{}}}
	owner := new(token)
	for step := range 20000 {
		last := versions[len(versions)-1]
		if step%500 == 0 {
			owner = new(token)
			versions = append(versions, version{last.trie, maps.Clone(last.want)})
			last = versions[len(versions)-1]
		}
		k := key{random.Uint64N(4)<<60 | random.Uint64N(3)<<33 | random.Uint64N(8), random.Uint32N(40) << 26}
		if random.IntN(3) == 0 {
			last.trie = last.trie.remove(owner, k.hi, k.lo)
			delete(last.want, k)
		} else {
			last.trie = last.trie.put(owner, k.hi, k.lo, uint32(step))
			last.want[k] = uint32(step)
		}
		versions[len(versions)-1] = last
	}
	for i, v := range versions {
		found := 0
		byHi := map[uint64][]uint32{}
		for k, want := range v.want {
			if got, ok := v.trie.get(k.hi, k.lo); !ok || got != want {
				t.Fatalf("version %d: %v is %d, %v, want %d", i, k, got, ok, want)
			}
			byHi[k.hi] = append(byHi[k.hi], k.lo)
			if _, there := v.want[key{k.hi, k.lo + 1}]; !there {
				if got, ok := v.trie.get(k.hi, k.lo+1); ok || got != 0 {
					t.Fatalf("version %d: a key that is not there is %d, %v", i, got, ok)
				}
			}
		}
		v.trie.root.all(func(entry) bool { found++; return true })
		if found != len(v.want) {
			t.Fatalf("version %d: %d entries, want %d", i, found, len(v.want))
		}
		for hi, want := range byHi {
			var got []uint32
			v.trie.each(hi, func(lo uint32) bool { got = append(got, lo); return true })
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) || !v.trie.has(hi) {
				t.Fatalf("version %d: under %x %v, want %v", i, hi, got, want)
			}
		}
	}
}
