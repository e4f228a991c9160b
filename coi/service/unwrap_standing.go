package service

import (
	"context"
	"fmt"

	"parley/groups"
)

// A roomAsked is a room that a request is about, and what its anchors show.
//
// An anchor is worth what the members before it say of it: its author was a
// member of an earlier epoch (a vouch), and could have read that epoch anyway.
// So the right to an item comes from a chain of vouches that begins in the
// item's own tree, which is genuine because the envelope is bound to it. It ends
// at an anchor that shows the asker's own leaf, and that is fresh: its key has
// not ended, and no newer epoch is known here; or a chain of vouches leads to it
// from the newest that is known, the mark. Who was removed can not make such a
// chain: it has no leaf in the tree that the mark stands for.
type roomAsked struct {
	room  groups.RoomID
	hash  [32]byte // as the log names it
	mark  mark
	known bool  // there is a mark
	next  *mark // what the mark becomes, nil if it stays
	first bool  // next is the first mark of the room
}

// checkStanding says of each item whether the device has a place in its room.
// It is not an error that none has; and who announces what is known already, or
// what no chain leads to, learns from the answer's marks what is.
func (u *Unwrap) checkStanding(_ context.Context, a *asking) error {
	q := a.request
	linked := make([]bool, len(a.anchors)) // from the mark, or from nothing where there is none
	a.findRooms(u)
	for i, it := range a.items {
		if v := q.Items[i].Anchor; v != nil && it.proof != nil && a.isMark(it.proof) {
			anchor := a.anchors[v.Anchor]
			linked[v.Anchor] = linked[v.Anchor] || it.vouched(anchor, v.Author) == nil
		}
	}
	next := a.links()
	for i, p := range a.anchors {
		if p == nil {
			continue
		}
		r := a.room(p)
		linked[i] = linked[i] || !r.known || a.isMark(p)
		if n := next[i]; linked[i] && n >= 0 {
			linked[n] = true
		}
	}
	shown := a.shown(linked, next)
	for i, it := range a.items {
		if it.why == nil {
			it.why = a.stands(&q.Items[i], it.proof, shown)
		}
	}
	a.raise(linked)
	return nil
}

// findRooms lists the rooms of a request, each with its mark.
func (a *asking) findRooms(u *Unwrap) {
	seen := map[groups.RoomID]bool{}
	add := func(p *proof) {
		if p == nil || seen[p.record.Room] {
			return
		}
		seen[p.record.Room] = true
		r := &roomAsked{room: p.record.Room, hash: u.config.Log.Room(string(p.record.Room))}
		r.mark, r.known = u.config.State.mark(r.hash)
		a.rooms = append(a.rooms, r)
	}
	for _, p := range a.anchors {
		add(p)
	}
	for _, it := range a.items {
		add(it.proof)
	}
}

func (a *asking) room(p *proof) *roomAsked {
	for _, r := range a.rooms {
		if r.room == p.record.Room {
			return r
		}
	}
	panic("BUG: a room that findRooms did not find")
}

// isMark says whether a proof is of the newest epoch that is known of its room.
func (a *asking) isMark(p *proof) bool {
	r := a.room(p)
	return r.known && r.mark.context == p.record.ContextHash
}

// links returns for each anchor the later one whose author was a member of its
// epoch, -1 for none.
func (a *asking) links() []int {
	next := make([]int, len(a.anchors))
	inParallel(len(next), func(i int) {
		next[i] = -1
		v := a.request.Anchors[i].Next
		if v == nil || a.anchors[i] == nil {
			return
		}
		if a.anchors[i].vouched(a.anchors[v.Anchor], v.Author) == nil {
			next[i] = int(v.Anchor)
		}
	})
	return next
}

// shown says which anchors lead to a fresh leaf of the asker.
func (a *asking) shown(linked []bool, next []int) []bool {
	shown := make([]bool, len(a.anchors))
	for i := len(shown) - 1; i >= 0; i-- { // a link leads to a later one
		p := a.anchors[i]
		if p == nil {
			continue
		}
		fresh := linked[i] && !p.ended(a.now)
		shown[i] = fresh && a.own(i) || next[i] >= 0 && shown[next[i]]
	}
	return shown
}

// own says whether an anchor shows the asker's own leaf.
func (a *asking) own(i int) bool {
	name, err := a.anchors[i].holder(a.request.Anchors[i].Self)
	return err == nil && name == a.who.Name
}

// stands says whether the device may have the key of an item, nil if so.
func (a *asking) stands(q *groups.KeyItem, p *proof, shown []bool) error {
	if q.Standing == groups.StandingReader {
		for _, c := range p.policy.Readers {
			if c == a.request.CoI {
				return nil
			}
		}
		return fmt.Errorf("epoch %d of %s has no readers of %s", p.record.Epoch, p.record.Room, a.request.CoI)
	}
	if err := a.holds(q, p); err != nil {
		return err
	}
	r := a.room(p)
	if q.Standing == groups.StandingMember && !p.ended(a.now) && (!r.known || a.isMark(p)) {
		return nil // it is the newest itself
	}
	if q.Anchor == nil {
		return fmt.Errorf("epoch %d of %s: nothing shows that the device is a member now", p.record.Epoch, p.record.Room)
	}
	if err := p.vouched(a.anchors[q.Anchor.Anchor], q.Anchor.Author); err != nil {
		return err
	}
	if !shown[q.Anchor.Anchor] {
		return fmt.Errorf("epoch %d of %s: the anchor shows no leaf of the device in the newest epoch that is known, under a key that has not ended", p.record.Epoch, p.record.Room)
	}
	return nil
}

// holds checks what a standing demands of the item's own epoch and its policy.
func (a *asking) holds(q *groups.KeyItem, p *proof) error {
	switch q.Standing {
	case groups.StandingMember:
		name, err := p.holder(q.Member)
		if err == nil && name != a.who.Name {
			err = fmt.Errorf("epoch %d of %s: the leaf shown is %s", p.record.Epoch, p.record.Room, name.URI())
		}
		return err
	case groups.StandingUser:
		if p.policy.History < groups.HistoryOwn {
			return fmt.Errorf("epoch %d of %s: its policy gives a device nothing of the time before it", p.record.Epoch, p.record.Room)
		}
		name, err := p.holder(q.Member)
		if err == nil && name.User() != a.who.Name.User() {
			err = fmt.Errorf("epoch %d of %s: the leaf shown is %s", p.record.Epoch, p.record.Room, name.URI())
		}
		return err
	case groups.StandingNewcomer:
		if p.policy.History < groups.HistoryAll {
			return fmt.Errorf("epoch %d of %s: its policy gives newcomers nothing of the time before them", p.record.Epoch, p.record.Room)
		}
		return nil
	}
	return fmt.Errorf("epoch %d of %s: %v", p.record.Epoch, p.record.Room, q.Standing)
}

// raise notes for each room the newest epoch that this request has shown by a
// chain from what was known. Where nothing was known, only a key that is in force
// and that shows the asker's own leaf begins it.
func (a *asking) raise(linked []bool) {
	take := func(p *proof) {
		r := a.room(p)
		at := mark{epoch: uint64(p.record.Epoch), context: p.record.ContextHash}
		if r.known && at.epoch <= r.mark.epoch || r.next != nil && at.epoch <= r.next.epoch {
			return
		}
		r.next, r.first = &at, !r.known
	}
	for i, p := range a.anchors {
		if p != nil && linked[i] && (a.room(p).known || !p.ended(a.now) && a.own(i)) {
			take(p)
		}
	}
	for i, it := range a.items {
		if it.why == nil && a.request.Items[i].Standing == groups.StandingMember && !a.room(it.proof).known && !it.ended(a.now) {
			take(it.proof)
		}
	}
}
