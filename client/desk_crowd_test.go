package client

import (
	"fmt"
	"testing"
	"time"

	"parley/groups"
)

func TestACrowdedDeskForgetsTheOldestOfTheNewest(t *testing.T) {
	k := &desk{newest: make(map[groups.CoIID]time.Time)}
	name := func(i int) groups.CoIID { return groups.CoIID(fmt.Sprintf("mimi://alpha.example/c/c%d", i)) }
	for i := range maxDesk {
		if out := k.crowded(name(i)); out != "" {
			t.Fatalf("%s makes room in a desk of %d", out, i)
		}
		k.newest[name(i)] = time.Unix(int64(1000+(i+7)%maxDesk), 0)
	}
	if out := k.crowded(name(3)); out != "" {
		t.Errorf("%s makes room for one that is known", out)
	}
	if out := k.crowded("mimi://alpha.example/c/more"); out != name(maxDesk-7) {
		t.Errorf("%s makes room", out)
	}
}
