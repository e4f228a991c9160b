package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"parley/groups"
)

// maxShared bounds the encoded pages kept for sharing, in bytes over all rooms;
// at it pages are still sent, but each reader encodes its own.
const maxShared = 64 << 20

// rings holds one ring for each room that has tails.
type rings struct {
	log    Log
	limits Limits
	shared atomic.Int64 // bytes of pages kept by all rings

	mu sync.Mutex
	m  map[groups.RoomID]*ring
}

func newRings(log Log, l Limits) *rings {
	return &rings{log: log, limits: l, m: make(map[groups.RoomID]*ring)}
}

// A ring wakes the tails of one room. A change of the log flips one flag; one
// goroutine flips that of each tail. It wakes them no more often than writing
// to all of them is worth: the first entry after a pause goes at once, what
// follows comes together, and all tails read the same pages at the same time.
type ring struct {
	of      *rings
	room    groups.RoomID
	changes atomic.Uint64 // of the log, counted
	dirty   chan struct{} // capacity 1: a change that tails do not know of
	quit    chan struct{}
	done    chan struct{} // closed when the goroutine has ended
	unwatch func()

	mu    sync.Mutex
	tails []*tailRoom // each knows its place
	pages [4]*page    // what was encoded last, for all
	next  int         // of pages, to be replaced
}

// join adds a tail to its room's ring; the first starts it.
func (r *rings) join(tr *tailRoom) {
	r.mu.Lock()
	g := r.m[tr.room]
	if g == nil {
		g = &ring{of: r, room: tr.room, dirty: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
		r.m[tr.room] = g
		go g.run() // leave waits for its end
		g.unwatch = r.log.Watch(tr.room, g.changed)
	}
	tr.ring = g
	g.mu.Lock()
	tr.place = len(g.tails)
	g.tails = append(g.tails, tr)
	g.mu.Unlock()
	r.mu.Unlock()
}

// leave takes a tail out; the last one ends the ring and waits for it.
func (r *rings) leave(tr *tailRoom) {
	g := tr.ring
	r.mu.Lock()
	g.mu.Lock()
	last := g.tails[len(g.tails)-1]
	g.tails[tr.place] = last
	last.place = tr.place
	g.tails[len(g.tails)-1] = nil
	g.tails = g.tails[:len(g.tails)-1]
	empty := len(g.tails) == 0
	if empty {
		g.forget()
		delete(r.m, g.room)
	}
	g.mu.Unlock()
	r.mu.Unlock()
	if empty {
		g.unwatch()
		close(g.quit)
		<-g.done
	}
}

// find returns the ring of a room, nil if it has no tails here.
func (r *rings) find(room groups.RoomID) *ring {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.m[room]
}

// changed is called by the log; it does not block.
func (g *ring) changed() {
	g.changes.Add(1)
	select {
	case g.dirty <- struct{}{}:
	default: // it knows already
	}
}

func (g *ring) run() {
	defer close(g.done)
	hold := time.NewTimer(0)
	defer hold.Stop()
	for {
		select {
		case <-g.dirty:
		case <-g.quit:
			return
		}
		n := g.wake()
		pause := min(time.Duration(n)*g.of.limits.WakeCost, g.of.limits.MaxWakeInterval)
		if pause < time.Millisecond {
			continue // a timer would cost more than it gains
		}
		hold.Reset(pause)
		select {
		case <-hold.C:
		case <-g.quit:
			return
		}
	}
}

// wake flips the flag of every tail and returns how many there are.
func (g *ring) wake() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tr := range g.tails {
		tr.tail.mark(tr)
	}
	return len(g.tails)
}

// signal hands a signal to every tail but those of the device it is from.
func (g *ring) signal(sig *signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tr := range g.tails {
		tr.tail.hear(sig)
	}
}

// page returns what follows after, encoded; many tails at one place share it.
func (g *ring) page(after groups.Seq) (*page, error) {
	now := g.changes.Load() // before the read: a later change makes it stale
	if p := g.kept(after, now); p != nil {
		return p, nil
	}
	read, err := g.of.log.Read(g.room, after, g.of.limits.PageBytes)
	if err != nil {
		return nil, err
	}
	p, err := newPage(g.room, after, read)
	if err != nil {
		return nil, err
	}
	p.changes = now
	g.keep(p)
	return p, nil
}

func (g *ring) kept(after groups.Seq, changes uint64) *page {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.pages {
		if p != nil && p.after == after && p.changes == changes {
			return p
		}
	}
	return nil
}

// keep shares a page in the place of the oldest, if there is anyone to share
// it with.
func (g *ring) keep(p *page) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.tails) < 2 || g.of.shared.Load()+int64(len(p.bytes)) > maxShared {
		return
	}
	if old := g.pages[g.next]; old != nil {
		g.of.shared.Add(-int64(len(old.bytes)))
	}
	g.of.shared.Add(int64(len(p.bytes)))
	g.pages[g.next] = p
	g.next = (g.next + 1) % len(g.pages)
}

// forget gives back what the pages count for; called with mu held.
func (g *ring) forget() {
	for i, p := range g.pages {
		if p != nil {
			g.of.shared.Add(-int64(len(p.bytes)))
			g.pages[i] = nil
		}
	}
}
