package groups

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"parley/mls/wire"
)

// A roster is a value: what is derived from it leaves it as it was.
func TestRosterAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r roster
		model := map[DeviceID]wire.LeafIndex{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			d := DeviceID(fmt.Sprintf("mimi://s%d.example/d/u/x%d", rapid.IntRange(0, 3).Draw(t, "site"), rapid.IntRange(0, 40).Draw(t, "device")))
			before, n := r, r.n
			if _, ok := model[d]; ok {
				r = r.without(d)
				delete(model, d)
				if _, ok := before.lookup(d); !ok || before.n != n {
					t.Fatal("removing changed the old roster")
				}
				continue
			}
			leaf := wire.LeafIndex(0)
			for r.at(leaf) != "" {
				leaf += wire.LeafIndex(rapid.IntRange(1, 300).Draw(t, "gap"))
			}
			r = r.with(d, leaf)
			model[d] = leaf
			if _, ok := before.lookup(d); ok || before.at(leaf) != "" || before.n != n {
				t.Fatal("adding changed the old roster")
			}
		}
		if r.n != len(model) || len(r.all()) != len(model) {
			t.Fatalf("%d members, want %d", r.n, len(model))
		}
		sites := map[SiteID]int{}
		for d, leaf := range model {
			if got, ok := r.lookup(d); !ok || got != leaf || r.at(leaf) != d {
				t.Fatalf("%s at %d, want %d", d, got, leaf)
			}
			sites[d.Site()]++
		}
		if fmt.Sprint(sites) != fmt.Sprint(r.sites) {
			t.Fatalf("sites %v, want %v", r.sites, sites)
		}
	})
}
