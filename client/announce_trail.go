package client

import (
	"parley/groups"
	"parley/mls/wire"
)

// A device that makes a key shows the services that it was a member before: of
// the epoch that a service knows as the newest, whichever that is. So it keeps,
// for each epoch of a room with a right record, that epoch's record and context,
// the proof of its author's leaf and the proof of its own: an anchor that any
// later key of this device vouches for. The tree itself need not be kept.

const (
	// maxTrail is how many epochs back a room's trail goes; older ones go, but for
	// those that an announcement needs.
	maxTrail = 64
	// keepBefore is how many epochs before the first one that a service was not
	// told of are kept until it is: the one it knows is among them, unless others'
	// announcements were missed as well.
	keepBefore = 8
)

// keepTrail writes down the epoch that a room is in, whose record is k.
func (r *room) keepTrail(tx Tx, k *groups.KeyRecord) error {
	context := r.group.GroupContext()
	a := groups.Anchor{Proven: groups.Proven{Record: k.Marshal(), Context: wire.Marshal(&context)}}
	var err error
	if a.Author, err = r.group.Tree().Proof(wire.LeafIndex(k.AuthorLeaf)); err != nil {
		return err
	}
	if a.Self, err = r.group.Tree().Proof(r.group.OwnLeaf()); err != nil {
		return err
	}
	w := wire.NewWriter(make([]byte, 0, 8<<10))
	w.Uint8(rowVersion)
	a.Encode(w)
	if err := tx.Put(TableTrail, seqKey(r.Room, uint64(k.Epoch)), w.Bytes()); err != nil {
		return err
	}
	if k.Epoch < maxTrail || r.needs(k.Epoch-maxTrail) {
		return nil
	}
	return tx.Delete(TableTrail, seqKey(r.Room, uint64(k.Epoch-maxTrail)))
}

// needs says whether an announcement may need an epoch.
func (r *room) needs(e groups.Epoch) bool {
	for _, n := range r.untold {
		if e < n.First && e+keepBefore >= n.First || e == n.Epoch {
			return true
		}
	}
	return false
}

// sweepTrail drops what only an announcement needed that is over.
func (r *room) sweepTrail(tx Tx, over groups.Epoch) error {
	if over+maxTrail > r.Epoch {
		return nil // the next epochs push it out
	}
	var gone []uint64
	err := tx.Scan(TableTrail, Range{Prefix: roomKey(r.Room)}, func(key, _ []byte) bool {
		e := groups.Epoch(seqOf(key))
		if e+maxTrail <= r.Epoch && !r.needs(e) {
			gone = append(gone, uint64(e))
		}
		return e+maxTrail <= r.Epoch
	})
	for _, e := range gone {
		if err == nil {
			err = tx.Delete(TableTrail, seqKey(r.Room, e))
		}
	}
	return err
}

// trailAt reads an epoch of the trail, nil if it is not there.
func trailAt(tx Tx, room groups.RoomID, e groups.Epoch) (*groups.Anchor, error) {
	b, err := tx.Get(TableTrail, seqKey(room, uint64(e)))
	if err != nil || b == nil {
		return nil, err
	}
	return readTrail(b)
}

// trailBefore reads the last epoch of the trail before one, nil if there is none.
func trailBefore(tx Tx, room groups.RoomID, e groups.Epoch) (a *groups.Anchor, err error) {
	if e == 0 {
		return nil, nil
	}
	var bad error
	err = tx.Scan(TableTrail, Range{Prefix: roomKey(room), From: seqKey(room, uint64(e-1)), Reverse: true}, func(_, value []byte) bool {
		a, bad = readTrail(value)
		return false
	})
	if err == nil {
		err = bad
	}
	return a, err
}

// readTrail reads a row; the anchor does not alias it.
func readTrail(b []byte) (*groups.Anchor, error) {
	a := new(groups.Anchor)
	r := wire.NewReader(append([]byte(nil), b...))
	if v := r.Uint8(); r.Err() == nil && v != rowVersion {
		r.Fail(wire.ErrMalformed)
	}
	a.Decode(r)
	if err := r.Done(); err != nil {
		return nil, damaged(TableTrail, err)
	}
	return a, nil
}
