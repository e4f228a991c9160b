package client

import (
	"crypto/rand"
	"slices"
	"time"

	"parley/groups"
	"parley/mls/wire"
)

const (
	// maxOutbox bounds the messages of a room that wait; Send then refuses.
	maxOutbox = 4096
	// maxOutboxBytes bounds the text of a room's outbox.
	maxOutboxBytes = 16 << 20
	// maxSealed bounds how often a message is sealed again; then it fails.
	maxSealed = 16
)

// An item is a message of ours on its way out. It is guarded by Device.mu.
type item struct {
	Message
	place       uint64        // in the outbox: the order in which it was sent
	body        []byte        // what it was sealed to last, until it is accepted
	hashes      []groups.Hash // of everything it was sealed to
	receipt     groups.Seq    // where the hub says it is, 0 before
	receiptHash groups.Hash
	flying      bool // submitted in this session, without outcome; not stored
	left        bool // submitted as it is sealed now; not stored, true if in doubt
}

// An outboxRow is how an item is stored.
type outboxRow struct{ *item }

func (o outboxRow) encodeRow(w *wire.Writer) {
	o.Message.encodeRow(w)
	w.Opaque(o.body)
	w.Vector(func(w *wire.Writer) {
		for _, h := range o.hashes {
			w.Raw(h[:])
		}
	})
	w.Uint64(uint64(o.receipt))
	w.Raw(o.receiptHash[:])
}

func (o outboxRow) decodeRow(r *wire.Reader) {
	o.Message.decodeRow(r)
	o.body = slices.Clone(r.Opaque())
	r.Vector(func(r *wire.Reader) { o.hashes = append(o.hashes, r.Hash()) })
	o.receipt = groups.Seq(r.Uint64())
	o.receiptHash = r.Hash()
}

// put writes an item.
func (it *item) put(tx Tx) error {
	return tx.Put(TableOutbox, seqKey(it.Room, it.place), packRow(outboxRow{it}))
}

// message returns a copy to be told about.
func (it *item) message() *Message {
	m := it.Message
	m.Receipt = it.receipt
	return &m
}

// open says whether the item still has to get a receipt.
func (it *item) open() bool { return it.State == Queued || it.State == Sent }

// loadOutbox reads a room's outbox.
func (r *room) loadOutbox(tx Tx) error {
	var bad error
	err := tx.Scan(TableOutbox, Range{Prefix: roomKey(r.Room)}, func(key, value []byte) bool {
		it := &item{place: seqOf(key), left: true}
		if bad = unpackRow(TableOutbox, value, outboxRow{it}); bad != nil {
			return false
		}
		it.Room = r.Room
		r.queue = append(r.queue, it)
		return true
	})
	if err == nil {
		err = bad
	}
	return err
}

// find returns the item with an id, nil if there is none.
func (r *room) find(id MessageID) *item {
	for _, it := range r.queue {
		if it.ID == id {
			return it
		}
	}
	return nil
}

// drop removes an item.
func (r *room) drop(tx Tx, it *item) error {
	r.queue = slices.DeleteFunc(r.queue, func(other *item) bool { return other == it })
	r.moved = true
	return tx.Delete(TableOutbox, seqKey(r.Room, it.place))
}

// unsent counts the items without receipt.
func (r *room) unsent() (n int) {
	for _, it := range r.queue {
		if it.open() {
			n++
		}
	}
	return n
}

// grounded notes that what was on its way may not have arrived: a new session
// submits it again, under the same ids.
func (r *room) grounded() {
	for _, it := range r.queue {
		it.flying = false
	}
	r.parked, r.hold = false, hold{}
}

// newID returns a fresh id for a submission.
func newID() (id MessageID) {
	rand.Read(id[:])
	return id
}

// Send queues messages, in order, in one transaction: when it returns, they
// are durable. They are sealed and leave when the device is online and has
// caught up. Busy says that the outbox is full.
func (d *Device) Send(id groups.RoomID, contents ...Content) ([]Message, error) {
	for i := range contents {
		if _, err := contents[i].Marshal(); err != nil {
			return nil, err
		}
	}
	var sent []Message
	err := d.change(id, func(tx Tx, r *room) error {
		sent = nil
		for _, c := range contents {
			it, err := r.enqueue(tx, c, d)
			if err != nil {
				return err
			}
			sent = append(sent, *it.message())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.wakeOutbox()
	return sent, nil
}

// enqueue puts one message into the outbox.
func (r *room) enqueue(tx Tx, c Content, d *Device) (*item, error) {
	if r.State == RoomReading {
		return nil, readingError(r.Room)
	}
	if r.State == RoomClosed {
		return nil, closedError(r.Room, r.Why)
	}
	if r.Leaving {
		return nil, closedError(r.Room, "this device is leaving it")
	}
	size := len(c.Text)
	for _, it := range r.queue {
		size += len(it.Content.Text)
	}
	if len(r.queue) >= maxOutbox || size > maxOutboxBytes {
		return nil, groups.Errorf(groups.Busy, "the outbox of %s is full: %d messages wait for a gateway", r.Room, len(r.queue))
	}
	r.moved = true
	r.roomRow.Outbox++
	it := &item{place: r.roomRow.Outbox, Message: Message{
		Room: r.Room, ID: newID(), Device: d.id, Time: r.at.Truncate(time.Millisecond), Content: c, State: Queued,
	}}
	r.queue = append(r.queue, it)
	r.tell(Event{Kind: EventMessage, Message: it.message()})
	return it, it.put(tx)
}

// Retry queues a failed message again.
func (d *Device) Retry(where groups.RoomID, id MessageID) error {
	err := d.change(where, func(tx Tx, r *room) error {
		it := r.find(id)
		if it == nil || it.State != Failed {
			return groups.Errorf(groups.NotFound, "there is no failed message %s", id)
		}
		if r.State == RoomClosed {
			return closedError(r.Room, r.Why)
		}
		it.State, it.Problem, it.body = Queued, "", nil
		r.moved = true
		r.tell(Event{Kind: EventDelivery, Message: it.message()})
		return it.put(tx)
	})
	d.wakeOutbox()
	return err
}

// Discard drops a message that was not sealed yet or that has failed. One that
// is sealed may be at the hub already: Delete takes it back.
func (d *Device) Discard(where groups.RoomID, id MessageID) error {
	return d.change(where, func(tx Tx, r *room) error {
		it := r.find(id)
		switch {
		case it == nil:
			return groups.Errorf(groups.NotFound, "there is no message %s in the outbox", id)
		case it.State != Failed && (it.State != Queued || len(it.hashes) > 0):
			return groups.Errorf(groups.Conflict, "message %s is on its way", id)
		}
		r.tell(Event{Kind: EventRoom})
		return r.drop(tx, it)
	})
}

// wakeOutbox has the session look at the outbox, if there is one.
func (d *Device) wakeOutbox() {
	// Called with and without d.mu: the session's channel never blocks.
	if s := d.sending.Load(); s != nil {
		poke(s.wakeSend)
	}
}
