package client

import (
	"fmt"
	"slices"
	"time"

	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

// A roomRow is what is stored about a room, beside its group.
type roomRow struct {
	Room   groups.RoomID
	State  RoomState
	Why    string `json:",omitempty"`
	Joined groups.Seq
	Seq    groups.Seq  // the cursor: the last entry applied
	Hash   groups.Hash // of its header
	Time   uint64      // of its header
	Epoch  groups.Epoch
	Suite  uint16
	Policy []byte // as the extension has it

	Genesis  []byte    `json:",omitempty"` // body of the create entry, while it is not accepted
	Creation MessageID // its submission id

	Users, Devices int
	KeyMade        uint64 // AcceptedAt of the entry that began the epoch
	KeyMessages    uint64 // entries of kind message since
	KeyMaker       groups.DeviceID
	Keys           keyState
	Last           uint64 // AcceptedAt of the last message
	Read           groups.Seq
	Unread         int
	Outbox         uint64  // the last place given out in the outbox
	Heads          []byte  `json:",omitempty"` // signed head that is ahead of the cursor
	Alarms         []Alarm `json:",omitempty"`
	// Gone are the devices that somebody has removed, at most maxGone: nobody
	// adds them again without being asked.
	Gone []groups.DeviceID `json:",omitempty"`
	// Known are the devices of our own user that were there, and not in the
	// room, when we joined: they are the business of who was there before.
	Known    []groups.DeviceID `json:",omitempty"`
	Surveyed bool              // Known has been filled
	Leaving  bool              // we have asked to be removed
	Watch    watchRow          `json:",omitzero"`
	// Sealed counts the messages of a room that is read that can not be read, by
	// why not.
	Sealed map[string]int `json:",omitempty"`
}

// maxGone bounds roomRow.Gone and Known. When it is reached, devices are no
// longer added by themselves.
const maxGone = 1024

// A room is a room in memory. All of it is guarded by Device.mu.
type room struct {
	roomRow
	group   *mls.Group // nil until needed, and when closed
	policy  groups.Policy
	members *members                 // of group, nil until needed
	queue   []*item                  // the outbox, in order
	next    map[MessageID]*mls.Group // what our own commits lead to
	at      time.Time                // at which certificates are judged

	moved    bool             // memory differs from the store
	stale    bool             // a transaction has failed: load again before use
	parked   bool             // the log can not be followed in this session
	hold     hold             // why nothing is sent, if anything
	worn     bool             // the hub has said that this key has ended
	replace  bool             // a community of this key's has another certificate now
	reason   groups.KeyReason // of the key that is being made, 0 if the commit tells
	warrants []groups.Warrant // beside the commit that is being made
	hanging  *hanging         // a commit without outcome
	untold   []*announcement  // services that are to be told of this device's key, at most maxUntold
	ordered  bool             // the hub has said that the create entry is in the log
	events   []Event          // to be told when the transaction is durable
	reading  *reading         // if it is read without being a member; nil until needed
	fault    *Alarm           // why it is parked, if it is read
}

// newRoom makes a room of its row.
func newRoom(row roomRow) (*room, error) {
	r := &room{roomRow: row, next: make(map[MessageID]*mls.Group)}
	if len(row.Policy) > 0 {
		p, err := groups.ParsePolicy(row.Policy)
		if err != nil {
			return nil, damaged(TableRooms, err)
		}
		r.policy = p
	}
	return r, nil
}

// setPolicy takes over the policy of a GroupContext.
func (r *room) setPolicy(extensions wire.Extensions) error {
	p, err := policyOf(extensions)
	if err != nil {
		return err
	}
	r.policy, r.Policy = *p, encodedPolicy(p)
	return nil
}

// tell queues an event for when the transaction is durable.
func (r *room) tell(e Event) {
	e.Room = r.Room
	r.events = append(r.events, e)
}

// alarm keeps and tells an alarm; the same one is kept once.
func (r *room) alarm(a *Alarm) {
	a.Room = r.Room
	r.moved = true
	if !slices.ContainsFunc(r.Alarms, func(b Alarm) bool { return b.Kind == a.Kind && b.Text == a.Text }) && len(r.Alarms) < maxAlarms {
		r.Alarms = append(r.Alarms, *a)
	}
	r.tell(Event{Kind: EventAlarm, Alarm: a})
}

// loadRooms loads all rooms and their outboxes, but not their groups.
func (d *Device) loadRooms() error {
	return d.cfg.Store.View(func(tx Tx) error {
		rows, err := scanJSON[roomRow](tx, TableRooms, nil, maxRooms)
		if err != nil {
			return err
		}
		for _, row := range rows {
			r, err := d.loadRoom(tx, row)
			if err != nil {
				return fmt.Errorf("load %s: %w", row.Room, err)
			}
			d.rooms[row.Room] = r
		}
		return nil
	})
}

// maxRooms bounds the rooms of a device.
const maxRooms = 10_000

func (d *Device) loadRoom(tx Tx, row roomRow) (*room, error) {
	r, err := newRoom(row)
	if err != nil {
		return nil, err
	}
	if err := r.loadUntold(tx); err != nil {
		return nil, err
	}
	return r, r.loadOutbox(tx)
}

// reload makes a room what the store says it is, after a transaction about it
// has failed.
func (d *Device) reload(tx Tx, r *room) error {
	row, found, err := getJSON[roomRow](tx, TableRooms, roomKey(r.Room))
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%s has vanished from the store", r.Room)
	}
	fresh, err := d.loadRoom(tx, row)
	if err != nil {
		return err
	}
	fresh.parked, fresh.hold, fresh.ordered = r.parked, r.hold, r.ordered
	fresh.hanging, fresh.fault = r.hanging, r.fault
	*r = *fresh
	return nil
}

// change makes one transaction about a room: what fn changes in memory and in
// tx becomes durable together, and then the events it has queued are told. On
// an error nothing has happened: memory is loaded again before it is used
// next.
func (d *Device) change(id groups.RoomID, fn func(tx Tx, r *room) error) error {
	d.mu.Lock()
	r := d.rooms[id]
	if r == nil {
		d.mu.Unlock()
		return notIn(id)
	}
	events, err := d.changeLocked(r, fn)
	d.mu.Unlock()
	d.feed.publish(events...)
	return err
}

func (d *Device) changeLocked(r *room, fn func(tx Tx, r *room) error) ([]Event, error) {
	err := d.cfg.Store.Update(func(tx Tx) error {
		if r.stale {
			if err := d.reload(tx, r); err != nil {
				return err
			}
		}
		r.at = d.cfg.Now()
		if err := fn(tx, r); err != nil {
			return err
		}
		return r.save(tx)
	})
	events := r.events
	r.events = nil
	if err != nil {
		r.stale = r.stale || r.moved
		return nil, err
	}
	if r.moved {
		d.signal()
	}
	r.moved = false
	return events, nil
}

// save writes what has moved.
func (r *room) save(tx Tx) error {
	if !r.moved {
		return nil
	}
	if r.group != nil {
		if err := putRecords(tx, TableGroups, roomKey(r.Room), r.group.TakeChanges()); err != nil {
			return err
		}
	}
	return putJSON(tx, TableRooms, roomKey(r.Room), r.roomRow)
}

// putRecords writes the records of a group under a prefix.
func putRecords(tx Tx, t Table, prefix []byte, records []mls.Record) error {
	for _, rec := range records {
		key := append(slices.Clip(prefix), rec.Key...)
		var err error
		if rec.Value == nil {
			err = tx.Delete(t, key)
		} else {
			err = tx.Put(t, key, rec.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteAll removes all rows under a prefix.
func deleteAll(tx Tx, t Table, prefix []byte) error {
	var keys [][]byte
	err := tx.Scan(t, Range{Prefix: prefix}, func(key, _ []byte) bool {
		keys = append(keys, slices.Clone(key))
		return true
	})
	for _, key := range keys {
		if err == nil {
			err = tx.Delete(t, key)
		}
	}
	return err
}
