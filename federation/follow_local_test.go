package federation

import (
	"errors"
	"sync/atomic"
	"testing"

	"parley/groups"
)

// failingOrderings can not keep the first certificates it is told.
type failingOrderings struct {
	*memStore
	left atomic.Int32
}

func (o *failingOrderings) LearnOrdering(chain [][]byte) error {
	if o.left.Add(-1) >= 0 {
		return errors.New("disk says no")
	}
	return o.memStore.LearnOrdering(chain)
}

// A full disk of this node was held against the peer, and the room parked.
func TestRoomIsNotParkedForAFaultOfThisNode(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a := start(t, pki, nodeID(alpha, "a1"), peering(beta))
	room := roomID(alpha, "ops")
	a.store.create(room, alpha, beta)
	a.say(room, 5)
	failing := &failingOrderings{memStore: newStore(t, nodeID(beta, "b1"))}
	failing.left.Store(2)
	b := startWith(t, pki, nodeID(beta, "b1"), failing.memStore, func(c *Config) {
		peering(alpha, a)(c)
		c.Orderings = failing
	})
	eventually(t, "the room is there", func() bool { return failing.seq(room) == groups.Seq(6) })
	if p := b.Parked(); len(p) > 0 {
		t.Fatalf("parked %+v", p)
	}
}
