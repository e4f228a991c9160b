package client

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"parley/groups"
)

const (
	// keyLease is how long the device of a reader uses a key before it asks for it
	// again, if there is something new to open. Who is cut off is given nothing from
	// that instant on, and has forgotten what it was given after this long. It
	// bounds what a reader asks of an unwrap service to one request in so long.
	keyLease = time.Minute
	// askAnew is how long after a refusal a key is asked for again.
	askAnew = time.Minute
)

// A readingDesk has the keys of rooms that are read: in memory and nowhere else.
// What it holds belongs to who has the turn.
type readingDesk struct {
	turn  chan struct{}               // of one
	rooms map[groups.RoomID]*heldKeys // at most maxRooms
}

// heldKeys are the keys of one room, and what is known of those that can not be
// had.
type heldKeys struct {
	leases  map[groups.Epoch]*lease // of epochs of which a message may still come
	refused map[groups.Epoch]refusedKey
	looked  time.Time  // when all that waits was looked at
	seen    groups.Seq // up to where
	high    groups.Seq // the last message that was opened

	messages, keys int // opened since FetchPast has last told
}

type lease struct {
	opens *pastReader
	until time.Time
}

type refusedKey struct {
	at  time.Time
	why string
}

func newReadingDesk() *readingDesk {
	return &readingDesk{turn: make(chan struct{}, 1), rooms: make(map[groups.RoomID]*heldKeys)}
}

// enter waits for the turn, and returns the keys of a room. leave ends the turn.
func (k *readingDesk) enter(ctx context.Context, room groups.RoomID) (*heldKeys, error) {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	held := k.rooms[room]
	if held == nil {
		held = &heldKeys{leases: make(map[groups.Epoch]*lease), refused: make(map[groups.Epoch]refusedKey)}
		k.rooms[room] = held
	}
	return held, nil
}

func (k *readingDesk) leave() { <-k.turn }

// erase forgets all keys, unless somebody is at work with them.
func (k *readingDesk) erase() {
	select {
	case k.turn <- struct{}{}:
		defer k.leave()
		for _, held := range k.rooms {
			held.drop(noLease)
		}
	default:
	}
}

// drop erases the keys that keep says nothing for.
func (h *heldKeys) drop(keep func(groups.Epoch, *lease) bool) {
	maps.DeleteFunc(h.leases, func(n groups.Epoch, l *lease) bool {
		if keep(n, l) {
			return false
		}
		l.opens.history.Erase()
		return true
	})
}

func noLease(groups.Epoch, *lease) bool { return false }

// openReading opens what waits for its keys in a room that is read: all of it, or
// what has come since the last time and what may have become possible meanwhile.
func (p *past) openReading(ctx context.Context, held *heldKeys, all bool) error {
	now := p.d.cfg.Now()
	held.drop(func(_ groups.Epoch, l *lease) bool { return now.Before(l.until) })
	upto, sealed, floor := p.standing()
	whole := all || sealed == 0 || !now.Before(held.looked.Add(askAnew))
	var from groups.Seq
	if !whole {
		from = held.seen
	}
	waiting, err := p.waitingSince(from, upto)
	if err != nil {
		return err
	}
	p.progress.Stage, p.progress.Epochs = "asking for keys", len(waiting)
	p.tell(p.progress)
	p.held, p.sealed = held, make(map[string]int)
	for batch := range slices.Chunk(waiting, askBatch) {
		if err := p.openLeased(ctx, batch, all); err != nil {
			return err
		}
		p.progress.Keys += len(batch)
		p.tell(p.progress)
	}
	held.drop(func(n groups.Epoch, _ *lease) bool { return n >= floor })
	held.seen = upto
	if whole {
		held.looked = now
	}
	return p.finish(whole, floor)
}

// standing says up to where a room may be shown, how many of its messages are
// sealed, and of which epoch on messages may still come.
func (p *past) standing() (upto groups.Seq, sealed int, floor groups.Epoch) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	r := p.d.rooms[p.room]
	if r == nil || r.State != RoomReading {
		return 0, 0, 0
	}
	for _, n := range r.Sealed {
		sealed += n
	}
	if r.reading != nil && len(r.reading.recent) > 0 {
		floor = groups.Epoch(r.reading.recent[0].Context.Epoch)
	}
	return r.Seq, sealed, floor
}

// waitingSince lists the epochs with messages after one place and up to another
// that wait for their keys.
func (p *past) waitingSince(from, upto groups.Seq) (list []*pastEpoch, err error) {
	byEpoch := make(map[groups.Epoch][]groups.Seq)
	err = p.d.cfg.Store.View(func(tx Tx) error {
		err := scanPast(tx, p.room, from, func(seq groups.Seq, n groups.Epoch) bool {
			if seq <= upto {
				byEpoch[n] = append(byEpoch[n], seq)
			}
			return seq < upto
		})
		if err != nil {
			return err
		}
		for _, n := range slices.Sorted(maps.Keys(byEpoch)) {
			e, err := p.d.keptEpochOf(tx, p.room, n)
			if err != nil {
				return err
			}
			if e != nil { // else it is from when this device was a member
				e.place, e.messages = len(list), byEpoch[n]
				list = append(list, e)
			}
		}
		return nil
	})
	p.epochs = list
	return list, err
}

// scanPast names the messages of a room that are put aside, after a place.
func scanPast(tx Tx, room groups.RoomID, after groups.Seq, fn func(groups.Seq, groups.Epoch) bool) error {
	var bad error
	r := Range{Prefix: roomKey(room), From: seqKey(room, uint64(after)+1)}
	err := tx.Scan(TablePast, r, func(key, value []byte) bool {
		e, err := groups.ParseEntry(value)
		if err != nil {
			bad = damaged(TablePast, err)
			return false
		}
		return fn(groups.Seq(seqOf(key)), e.Epoch)
	})
	return errors.Join(err, bad)
}

// openLeased opens the messages of some epochs: with the keys at hand, and with
// those of one request.
func (p *past) openLeased(ctx context.Context, batch []*pastEpoch, all bool) error {
	now := p.d.cfg.Now()
	var ask []*pastEpoch
	for _, e := range batch {
		n := groups.Epoch(e.Context.Epoch)
		was, refused := p.held.refused[n]
		switch {
		case p.held.leases[n] != nil:
		case refused && !all && now.Before(was.at.Add(askAnew)):
			p.unreadable(e, was.why)
		default:
			ask = append(ask, e)
		}
	}
	keys, err := p.keys(ctx, nil, ask)
	if err != nil {
		return err
	}
	for _, e := range ask {
		n := groups.Epoch(e.Context.Epoch)
		delete(p.held.refused, n)
		if keys[e] == nil {
			p.held.refused[n] = refusedKey{now, e.why}
		}
	}
	return p.openBatch(batch, keys)
}

// leased returns what opens an epoch's messages: made of a key that has come now,
// or at hand. It is nil if there is no key.
func (h *heldKeys) leased(e *pastEpoch, key *groups.RoomKey, until time.Time) (*pastReader, error) {
	n := groups.Epoch(e.Context.Epoch)
	if key == nil {
		if l := h.leases[n]; l != nil {
			return l.opens, nil
		}
		return nil, nil
	}
	opens, err := newPastReader(e, key)
	key.Erase()
	if err == nil {
		h.leases[n] = &lease{opens, until}
	}
	return opens, err
}

// finish writes down what came of it, forgets epochs that nothing waits for, and
// mends what has come in the wrong order.
func (p *past) finish(whole bool, floor groups.Epoch) error {
	p.held.messages += p.report.Messages
	p.held.keys += p.report.Keys
	if p.report.Messages > 0 && p.from < p.held.high {
		if err := p.mend(); err != nil {
			return err
		}
	}
	p.held.high = max(p.held.high, p.last)
	return p.d.change(p.room, func(tx Tx, r *room) error {
		if r.State != RoomReading {
			return nil
		}
		sealed := p.sealed
		if !whole {
			for why, n := range r.Sealed {
				sealed[why] += n
			}
		}
		if !maps.Equal(sealed, r.Sealed) {
			r.Sealed, r.moved = sealed, true
			r.tell(Event{Kind: EventRoom})
		}
		if len(sealed) > 0 && !whole {
			return nil
		}
		waiting := make(map[groups.Epoch]bool)
		err := scanPast(tx, p.room, 0, func(_ groups.Seq, n groups.Epoch) bool {
			waiting[n] = true
			return true
		})
		if err != nil {
			return err
		}
		return forgetEpochs(tx, p.room, floor, waiting)
	})
}

// hears notes that something new was said.
func (r *room) hears(m *Message, at uint64) {
	r.Last, r.moved = max(r.Last, at), true
	if m.Seq > r.Read && !m.Content.Amends() {
		r.Unread++
	}
}
