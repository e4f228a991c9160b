package client

import (
	"slices"
	"strings"

	"parley/groups"
)

// defaultLimit is how many messages a query returns when nothing is said.
const defaultLimit = 100

// History returns messages of a room, oldest first; those in the outbox are
// the last.
func (d *Device) History(id groups.RoomID, q HistoryQuery) (list []Message, err error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[id]
	if r == nil {
		return nil, notIn(id)
	}
	err = d.cfg.Store.View(func(tx Tx) error {
		list, err = readHistory(tx, id, q)
		return err
	})
	if q.Before == 0 {
		for _, it := range r.queue {
			list = append(list, *it.message())
		}
		switch over := len(list) - q.Limit; {
		case over <= 0:
		case q.After > 0:
			list = list[:q.Limit]
		default:
			list = list[over:]
		}
	}
	return list, err
}

// readHistory reads what is in the log: forward from After, or backward from
// Before.
func readHistory(tx Tx, id groups.RoomID, q HistoryQuery) (list []Message, err error) {
	r := Range{Prefix: roomKey(id)}
	switch {
	case q.After > 0:
		r.From = seqKey(id, uint64(q.After)+1)
	case q.Before > 0:
		r.From, r.Reverse = seqKey(id, uint64(q.Before)-1), true
	default:
		r.Reverse = true
	}
	var bad error
	err = tx.Scan(TableMessages, r, func(key, value []byte) bool {
		if q.Before > 0 && seqOf(key) >= uint64(q.Before) {
			return false
		}
		m := Message{Room: id}
		if bad = unpackRow(TableMessages, value, &m); bad != nil {
			return false
		}
		list = append(list, m)
		return len(list) < q.Limit
	})
	if err == nil {
		err = bad
	}
	if r.Reverse {
		slices.Reverse(list)
	}
	return list, err
}

// messageByID reads a message of the log, nil if it is not there.
func messageByID(tx Tx, room groups.RoomID, id MessageID) (*Message, error) {
	place, err := tx.Get(TableIDs, idKey(room, id))
	if err != nil || len(place) != 8 {
		return nil, err
	}
	b, err := tx.Get(TableMessages, append(roomKey(room), place...))
	if err != nil || b == nil {
		return nil, err
	}
	m := &Message{Room: room}
	return m, unpackRow(TableMessages, b, m)
}

// Message returns one message, of the log or of the outbox.
func (d *Device) Message(room groups.RoomID, id MessageID) (Message, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[room]
	if r == nil {
		return Message{}, notIn(room)
	}
	if it := r.find(id); it != nil {
		return *it.message(), nil
	}
	var m *Message
	err := d.cfg.Store.View(func(tx Tx) (err error) {
		m, err = messageByID(tx, room, id)
		return err
	})
	if err == nil && m == nil {
		err = groups.Errorf(groups.NotFound, "there is no message %s in %s", id, room)
	}
	if err != nil {
		return Message{}, err
	}
	return *m, nil
}

// minPrefix is the shortest part of an id by which a message is looked for.
const minPrefix = 4

// FindMessage finds a message by its id or by the first digits of it, at least
// four. Conflict says that several begin so.
func (d *Device) FindMessage(room groups.RoomID, prefix string) (Message, error) {
	if id, err := ParseMessageID(prefix); err == nil {
		return d.Message(room, id)
	}
	if len(prefix) < minPrefix {
		return Message{}, wrongArgument("%q is too short for a message id: give at least %d digits", prefix, minPrefix)
	}
	var found []MessageID
	note := func(id MessageID) {
		if strings.HasPrefix(id.String(), strings.ToLower(prefix)) {
			found = append(found, id)
		}
	}
	d.mu.Lock()
	if r := d.rooms[room]; r != nil {
		for _, it := range r.queue {
			note(it.ID)
		}
	}
	d.mu.Unlock()
	err := d.cfg.Store.View(func(tx Tx) error {
		return tx.Scan(TableIDs, Range{Prefix: roomKey(room)}, func(key, _ []byte) bool {
			note(MessageID(key[len(key)-16:]))
			return len(found) < 2
		})
	})
	switch {
	case err != nil:
		return Message{}, err
	case len(found) == 0:
		return Message{}, groups.Errorf(groups.NotFound, "there is no message %s in %s", clip(prefix), room)
	case len(found) > 1:
		return Message{}, groups.Errorf(groups.Conflict, "several messages begin with %s: give more digits", clip(prefix))
	}
	return d.Message(room, found[0])
}

// MarkRead notes that a person has seen a room up to an entry.
func (d *Device) MarkRead(id groups.RoomID, seq groups.Seq) error {
	return d.change(id, func(tx Tx, r *room) error {
		if seq = min(seq, r.Seq); seq <= r.Read {
			return nil
		}
		r.Read, r.Unread, r.moved = seq, 0, true
		list, err := readHistory(tx, id, HistoryQuery{After: seq, Limit: maxUnread})
		for i := range list {
			if list[i].Device.User() != d.User() && list[i].Change == nil {
				r.Unread++
			}
		}
		r.tell(Event{Kind: EventRoom})
		return err
	})
}

// maxUnread bounds the count of unread messages after MarkRead.
const maxUnread = 1000
