package storage

import (
	"sync"
	"sync/atomic"

	"parley/groups"
)

// A room is a live room: the ledger as accepted, which may be ahead of what is
// durable, and the view of what is durable, which is all that readers see.
type room struct {
	id     groups.RoomID
	number uint64 // stands for the name in keys

	// view is replaced by the committer, after the commit point, and amended in
	// what does not move the head.
	view atomic.Pointer[view]
	// parked says why the room is read-only; nil while it is live.
	parked  atomic.Pointer[string]
	damaged atomic.Bool // the next start looks through its log: see mend.go
	pending pending
	owned   bool                          // created here: this node gives it its order
	owner   atomic.Pointer[groups.NodeID] // who does, as far as is known
	fenced  atomic.Pointer[fenced]        // the fence's objection; replaced under mu
	proof   fenceRecord                   // what was reported and given up; under mu once the store is open

	// mu gives the room its order: it is held from the ledger's judgement until
	// the op is queued. The committer never takes it, so that a slow judgement
	// stalls this room alone.
	mu     sync.Mutex
	tip    *groups.Ledger // after the last accepted entry; nil: not loaded
	tipAt  groups.Head    // where the tip stands
	info   *info          // of the tip
	term   groups.Term    // under which this node gives the order, 0: not yet
	filter filter         // submissions accepted so far; only where owned
	gone   bool           // never created: look the room up again
	quiet  groups.Seq     // where the log stood when unload last looked

	// target is a head signed by the hub that the log held here has not
	// reached: the chain must lead to it.
	target *groups.Head

	run []*op // scratch of the committer
}

// A view is a room as readers see it, durable and immutable.
type view struct {
	last   groups.Head
	signed *groups.SignedHead
	info   *info
	ledger *groups.Ledger // as of last; nil when nothing was accepted since the room was loaded

	// recent are the last entries, consecutive up to last; older ones are read
	// from Badger. Their slice is shared by all readers.
	recent []groups.Stored
	bytes  int // of recent
}

func newRoom(id groups.RoomID, rec roomRecord) *room {
	r := &room{id: id, number: rec.number, owned: rec.owned, info: &info{}}
	if rec.owner != "" {
		r.owner.Store(&rec.owner)
	}
	r.view.Store(&view{last: groups.Head{Room: id}, info: r.info})
	return r
}

// amend replaces the view by a changed one that ends at the same entry.
func (r *room) amend(change func(*view)) {
	for {
		old := r.view.Load()
		v := *old
		change(&v)
		if r.view.CompareAndSwap(old, &v) {
			return
		}
	}
}

// record is the room's row.
func (r *room) record() roomRecord {
	rec := roomRecord{number: r.number, owned: r.owned}
	if owner := r.owner.Load(); owner != nil {
		rec.owner = *owner
	}
	return rec
}

// park makes the room read-only. The first reason stays.
func (s *Store) park(r *room, reason string) {
	if r.parked.CompareAndSwap(nil, &reason) {
		s.cfg.Log.Error("room is read-only", "room", string(r.id), "reason", reason)
	}
}

// refilling returns the fence's objection if that is why the room is read-only,
// nil otherwise: then a copy may refill it.
func (r *room) refilling() *fenced {
	if f := r.fenced.Load(); f != nil && r.parked.Load() == f.reason {
		return f
	}
	return nil
}

// live returns the refusal that a parked room's writers get.
func (r *room) live() error {
	if p := r.parked.Load(); p != nil {
		return groups.Errorf(groups.Unavailable, "%s is read-only: %s", r.id, *p)
	}
	return nil
}

// A pending knows the submissions of a room that are on their way to the disk.
// It has a lock of its own, because the committer takes it.
type pending struct {
	mu    sync.Mutex
	ops   map[submissionKey]*op // bounded by maxQueued
	since since                 // what a replay from the last snapshot costs
}

// join hands done to the op of the same submission, if it is on its way.
func (p *pending) join(key submissionKey, done func(groups.Outcome)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.ops[key]
	if o != nil {
		o.waiting = append(o.waiting, done)
	}
	return o != nil
}

func (p *pending) add(o *op) {
	p.mu.Lock()
	if p.ops == nil {
		p.ops = make(map[submissionKey]*op)
	}
	p.ops[o.key] = o
	p.mu.Unlock()
}

// remove forgets a run of ops; nobody joins them afterwards.
func (p *pending) remove(run []*op) {
	p.mu.Lock()
	for _, o := range run {
		delete(p.ops, o.key)
	}
	p.mu.Unlock()
}

// idle says whether nothing is on its way.
func (p *pending) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ops) == 0
}
