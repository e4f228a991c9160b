package storage

import (
	"slices"

	"parley/groups"
)

// publish shows a durable batch to readers, gives the receipts and wakes who
// waits, in this order: who is woken finds what it was woken for.
func (s *Store) publish(batch []*op, touched []*room) {
	for _, r := range touched {
		s.show(r)
		r.pending.remove(r.run)
	}
	entries, size := 0, 0
	for _, r := range touched { // room by room: what one device waits for comes to it together
		signed := r.view.Load().signed
		for _, o := range r.run {
			entries++
			size += len(o.stored.Bytes)
			s.settle(o, groups.Outcome{ID: o.id, Receipt: o.receipt(), Head: signed})
		}
	}
	for _, o := range batch {
		if o.room == nil {
			s.settle(o, groups.Outcome{ID: o.id})
		}
	}
	s.counts.batches.Add(1)
	s.counts.entries.Add(uint64(entries))
	s.counts.bytes.Add(uint64(size))
	for _, r := range touched {
		s.wake(r)
		r.run = slices.Delete(r.run, 0, len(r.run)) // clears what it pointed at
	}
	s.recent.trim(touched)
}

// settle tells whoever asked for an op what became of it.
func (s *Store) settle(o *op, out groups.Outcome) {
	o.end(out)
	s.queue.release(1, o.weight)
}

// show replaces the room's view by one that ends with its run.
func (s *Store) show(r *room) {
	old := r.view.Load()
	o := r.run[len(r.run)-1]
	v := &view{last: o.head, signed: o.signed, info: old.info, ledger: o.next, recent: old.recent, bytes: old.bytes}
	for _, o := range r.run {
		v.recent = append(v.recent, o.stored)
		v.bytes += len(o.stored.Bytes)
		if o.info != nil {
			v.info = o.info
		}
	}
	for v.bytes > maxRecentBytes && len(v.recent) > 1 {
		v.bytes -= len(v.recent[0].Bytes)
		v.recent = v.recent[1:]
	}
	s.recent.note(r, v.bytes-old.bytes)
	r.view.Store(v)
	s.refilled(r, v.last.Seq)
}

// wake calls who waits for the room or for what its run did to devices.
func (s *Store) wake(r *room) {
	s.logWatchers.wake(r.id)
	roster, wanted := false, false
	for _, o := range r.run {
		for _, d := range o.notify {
			s.deviceWatchers.wake(d)
		}
		roster, wanted = roster || o.roster, wanted || o.wanted
	}
	if wanted {
		s.blobWatchers.wake(struct{}{})
	}
	if roster {
		s.roomWatchers.wakeAll(r.id)
	}
	s.wantSnapshot(r)
}
