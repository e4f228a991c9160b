package federation

import (
	"context"
	"fmt"
	"runtime"
	"time"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// followQueue is how many parts of frames wait for the follower; a reader of a
// lane waits when it is full, and the peer's credit ends.
const followQueue = 64

// maxReplicators bounds the rooms whose entries are verified at once.
const maxReplicators = 4

// A follower keeps this node's copies of rooms that others order. One goroutine
// owns all its state; readers of lanes hand it what arrived, replicators give
// runs of entries to the store and hand back what became of them.
//
//	offer -> choose a source -> subscribe from the held head -> join the lanes
//	      -> Replicate, one run of a room at a time -> ack, or ask again, or park
type follower struct {
	node  *Node
	peer  chan func()               // from readers of lanes, which wait
	local *inbox[func()]            // from ourselves: at most one a room, link or status call
	jobs  chan job                  // to the replicators
	rooms map[groups.RoomID]*follow // bounded by the links and what each may offer
	subs  map[*link]map[uint64]*follow
	next  uint64    // the subscription number given last
	ready []*follow // with a run to store, each once
}

// A job is a run of entries on its way to the store.
type job struct {
	follow *follow
	batch  groups.Batch
}

func newFollower(n *Node) *follower {
	return &follower{
		node: n, peer: make(chan func(), followQueue), local: newInbox[func()](),
		jobs:  make(chan job),
		rooms: make(map[groups.RoomID]*follow),
		subs:  make(map[*link]map[uint64]*follow),
	}
}

// run owns the state until the node ends.
func (f *follower) run() {
	for range min(runtime.GOMAXPROCS(0), maxReplicators) {
		f.node.wg.Go(f.replicate)
	}
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	var next job
	for {
		var jobs chan<- job
		if next.follow == nil {
			next = f.nextJob()
		}
		if next.follow != nil {
			jobs = f.jobs
		}
		select {
		case jobs <- next:
			next = job{}
		case do := <-f.peer:
			do()
		case <-f.local.wake:
			for _, do := range f.local.take() {
				do()
			}
		case <-tick.C:
			f.tick()
		case <-f.node.ctx.Done():
			return
		}
	}
}

// replicate gives runs to the store. The store's done only leaves a note.
func (f *follower) replicate() {
	for {
		select {
		case j := <-f.jobs:
			f.node.cfg.Log.Replicate(j.batch, func(head groups.Head, err error) {
				f.local.put(func() { f.stored(j.follow, head, err) })
			})
		case <-f.node.ctx.Done():
			return
		}
	}
}

// hand gives the owner something to do, waiting for it to have time.
func (f *follower) hand(ctx context.Context, do func()) error {
	select {
	case f.peer <- do:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ask runs do in the owner and waits for it; false if the node ended first.
func (f *follower) ask(do func()) bool {
	done := make(chan struct{})
	f.local.put(func() { do(); close(done) })
	select {
	case <-done:
		return true
	case <-f.node.ctx.Done():
		return false
	}
}

// offered takes a peer's offers. Another site offers rooms that it is the hub
// of, or copies of rooms of this site, with a head; a sibling any.
func (f *follower) offered(ctx context.Context, l *link, offers []*linkv1.Offer) error {
	for _, o := range offers {
		room, err := groups.ParseRoomID(o.Room)
		if err != nil || !l.sibling() && room.Site() != l.peer.Site() && (room.Site() != f.node.site || len(o.Head) == 0) {
			return fmt.Errorf("%w: bad offer", errProtocol)
		}
		owner, err := groups.ParseNodeID(o.Owner)
		if err != nil || owner.Site() != room.Site() || !l.sibling() && owner.Site() != l.peer.Site() {
			owner = "" // not the peer's to say
		}
		if room.Site() == f.node.site && !f.reported(l, room, o) {
			continue
		}
		src := source{link: l, owner: owner, seq: groups.Seq(o.Seq), until: groups.Seq(o.Until)}
		if err := f.hand(ctx, func() { f.offer(room, src) }); err != nil {
			return err
		}
	}
	return nil
}

// received takes entries of a subscription, parsed in the reader's goroutine.
func (f *follower) received(ctx context.Context, l *link, lane int, m *linkv1.RoomEntries) error {
	p := parsePiece(lane, m)
	if len(m.Signer) > 0 && p.err == nil {
		p.err = f.learn(m.Signer)
		if err := p.err; err != nil && (kindOf(err).Temporary() || kindOf(err) == groups.Internal) {
			return err // not the peer's fault; it tells again only on a new link
		}
	}
	return f.hand(ctx, func() { f.piece(l, p) })
}

// learn takes the certificate that a head was signed under.
func (f *follower) learn(chain [][]byte) error {
	size := 0
	for _, c := range chain {
		size += len(c)
	}
	if len(chain) > maxChain || size > maxChainBytes {
		return groups.Errorf(groups.TooLarge, "an ordering chain of %d certificates and %d bytes", len(chain), size)
	}
	return f.node.cfg.Orderings.LearnOrdering(chain)
}

// closed takes the ends of subscriptions.
func (f *follower) closed(ctx context.Context, l *link, ends []*linkv1.Closed) error {
	for _, c := range ends {
		var why error
		if c.Why != nil {
			why = remote(l.peer, c.Why)
		}
		if err := f.hand(ctx, func() { f.close(l, c.Subscription, groups.Seq(c.Seq), why) }); err != nil {
			return err
		}
	}
	return nil
}

// down forgets what a link offered.
func (f *follower) down(l *link) {
	f.local.put(func() {
		delete(f.subs, l)
		for _, r := range f.rooms {
			if r.forget(l) {
				f.choose(r)
			}
			if len(r.sources) == 0 && !r.busy && (r.parked == "" || r.held.Seq == 0) {
				delete(f.rooms, r.room) // until it is offered again; parked ones as many as are held
				if r.held.Seq == 0 {
					f.node.owners.forget(r.room)
				}
			}
		}
		f.countParked()
	})
}

// tick retries rooms whose time has come and asks again for what does not
// arrive.
func (f *follower) tick() {
	now := f.node.cfg.Now()
	for _, r := range f.rooms {
		switch {
		case r.source != nil && r.join.waiting() && now.Sub(r.moved) > stallTime:
			f.again(r, "stalled")
		case r.source == nil && !r.retryAt.IsZero():
			f.retry(r)
		case r.source == nil && r.parked != "" && now.Sub(r.parkedAt) > parkTime:
			r.pardon()
			f.choose(r)
		}
	}
}
