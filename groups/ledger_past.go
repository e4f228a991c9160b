package groups

import (
	"parley/mls/tree"
	"parley/mls/wire"
)

// A Past is one epoch of a room as its log shows it: what a reader of history
// needs beside the epoch's key. It stays good when the ledger goes on, and costs
// no more than what differs from the epoch before.
type Past struct {
	Context wire.GroupContext
	Tree    *tree.Tree // whose proofs show who was where
	Record  *KeyRecord // nil if the epoch is bare
}

// Past returns the current epoch. It must not be changed. Before the first entry
// there is none, which is nil.
func (l *Ledger) Past() *Past {
	if l.room == nil {
		return nil
	}
	o := l.room.observer
	return &Past{Context: o.Context(), Tree: o.Tree(), Record: l.room.keys.record}
}

// Leaf returns where a device is in the current epoch's tree.
func (l *Ledger) Leaf(d DeviceID) (wire.LeafIndex, bool) {
	if l.room == nil {
		return 0, false
	}
	return l.room.roster.lookup(d)
}

// LeafOf returns where one of a person's devices is in the current epoch's
// tree. It takes time in proportion to the members.
func (l *Ledger) LeafOf(u UserID) (wire.LeafIndex, bool) {
	if l.room == nil {
		return 0, false
	}
	for _, m := range l.room.roster.all() {
		if m.device.User() == u {
			return m.leaf, true
		}
	}
	return 0, false
}
