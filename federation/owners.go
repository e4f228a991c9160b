package federation

import (
	"sync"

	"parley/groups"
)

// owners remembers which node orders a room, as peers said: advice that says
// whom to ask first. The node asked refuses if it is not so.
type owners struct {
	mu   sync.Mutex
	node map[groups.RoomID]groups.NodeID // bounded by what links may offer and the store holds
}

func newOwners() *owners { return &owners{node: make(map[groups.RoomID]groups.NodeID)} }

func (o *owners) get(room groups.RoomID) groups.NodeID {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.node[room]
}

func (o *owners) set(room groups.RoomID, node groups.NodeID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.node[room] = node
}

func (o *owners) forget(room groups.RoomID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.node, room)
}
