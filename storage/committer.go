package storage

import (
	"time"

	"parley/groups"
)

// softInterval is how long cursors and sightings may wait for company; a crash
// loses at most that much of them.
const softInterval = time.Second

const (
	// paceOp, times the ops of a batch, is the least time from the start of that
	// batch to that of the next while the node is busy, between paceLeast and
	// paceMost: what a batch costs, two syncs, a signature, and a wake-up, a frame
	// and a verification for everybody it concerns, is then shared by all that came
	// in that time. It is far below what a person or a network notices.
	paceOp    = 200 * time.Microsecond
	paceLeast = 4 * time.Millisecond
	paceMost  = 16 * time.Millisecond
	// paceFrom is how many ops in a batch mean that the node is busy: those who
	// wait for one write before they make the next do not fill it, and are never
	// kept waiting.
	paceFrom = 4
	// paceEnough is how many waiting ops are worth a batch at once.
	paceEnough = 512
)

// committer is the only goroutine that writes to Badger and to the journal. It
// takes what waits, makes it durable, and takes what has come meanwhile: the
// busier the node, the larger the batches.
func (s *Store) committer() {
	defer close(s.ended)
	tick := time.NewTicker(softInterval)
	defer tick.Stop()
	batch := make([]*op, 0, maxBatch)
	soft := false
	for {
		select {
		case <-tick.C:
			soft = s.soft.waiting()
		default:
		}
		clear(batch)
		batch = s.queue.take(batch[:0])
		if len(batch) > 0 || soft {
			began := time.Now()
			s.land(batch, soft)
			soft = false
			if len(batch) >= paceFrom {
				s.queue.gather(pace(len(batch)) - time.Since(began))
			}
			continue
		}
		if s.queue.ended() {
			s.lastSoft()
			return
		}
		select {
		case <-s.queue.wake:
		case <-tick.C:
			soft = s.soft.waiting()
		}
	}
}

// pace is how long after the start of a busy node's batch of some ops the next
// one begins.
func pace(ops int) time.Duration {
	return min(max(time.Duration(ops)*paceOp, paceLeast), paceMost)
}

// lastSoft lands the cursors and sightings that wait when the store closes.
func (s *Store) lastSoft() {
	for s.soft.waiting() && s.failed.Load() == nil {
		s.land(nil, true)
	}
}

// land makes a batch durable and tells everyone, or stops the store and
// refuses the batch.
func (s *Store) land(batch []*op, soft bool) {
	var rows []row
	if soft {
		rows = s.soft.rows()
	}
	if len(batch) == 0 && len(rows) == 0 {
		return
	}
	touched := touch(batch)
	err := s.persist(batch, touched, rows)
	if err != nil {
		s.fail(err)
		s.refuse(batch, touched)
		return
	}
	s.soft.landed(rows)
	s.publish(batch, touched)
	if s.journal.full() {
		if err := s.journal.rewrite(); err != nil {
			s.fail(err)
		}
	}
}

// touch gathers the batch's entries by room, in their order.
func touch(batch []*op) (touched []*room) {
	for _, o := range batch {
		if o.room == nil {
			continue
		}
		if len(o.room.run) == 0 {
			touched = append(touched, o.room)
		}
		o.room.run = append(o.room.run, o)
	}
	return touched
}

// refuse ends a batch that is not durable, as far as anyone knows.
func (s *Store) refuse(batch []*op, touched []*room) {
	why := s.failed.Load()
	for _, r := range touched {
		r.pending.remove(r.run)
		r.run = r.run[:0]
	}
	for _, o := range batch {
		s.settle(o, groups.Outcome{ID: o.id, Err: why})
	}
}

// end tells whoever asked for the op.
func (o *op) end(out groups.Outcome) {
	switch {
	case o.done != nil:
		o.done(out)
	case o.landed != nil:
		head := o.head
		if out.Err != nil {
			head = groups.Head{}
		}
		o.landed(head, out.Err)
	case o.wrote != nil:
		o.wrote(out.Err)
	}
	for _, done := range o.waiting {
		done(out)
	}
}

// write makes rows durable, all or none, and waits for it. The caller may hold
// locks that the committer does not take.
func (s *Store) write(rows []row) error {
	if err := s.Ready(); err != nil {
		return err
	}
	return s.writeRows(rows)
}

// writeRows is write also while the store closes or the disk is nearly full:
// for what frees space, and for what closing needs.
func (s *Store) writeRows(rows []row) error {
	o := &op{rows: rows, weight: weigh(rows)}
	if o.weight > maxOpBytes {
		return groups.Errorf(groups.TooLarge, "%d bytes do not fit one transaction", o.weight)
	}
	ended := make(chan error, 1)
	o.wrote = func(err error) { ended <- err }
	if !s.queue.reserve(o.weight) {
		return errBusy()
	}
	if !s.queue.push(o) {
		s.queue.release(1, o.weight)
		return errClosed()
	}
	return <-ended
}

// maxOpBytes bounds what goes in one transaction for one entry: a body and two
// attachments of 1 MiB each, a public tree of as much, and the rows of the
// devices that a commit of 1 MiB can add. With the rows that may join it, it
// stays below what Badger takes in one transaction, 9.6 MiB.
const maxOpBytes = 7 << 20

func errBusy() *groups.Error {
	return groups.Errorf(groups.Busy, "%d writes wait for the disk: try later", maxQueued)
}

func errTooLarge(id groups.RoomID, n int) error {
	return groups.Errorf(groups.TooLarge, "entry of %s: %d bytes do not fit one transaction", id, n)
}
