package client

import (
	"context"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// Attach makes a room known to this device that its policy lets it read without
// being a member. From then on it is followed while the device is online, as
// rooms are of which it is a member: what was said is opened as its keys can be
// had, and what is new appears as it comes. FetchPast waits for that, and says
// what can not be read.
//
// The gateway says whether the policy names a community of this device's site;
// whether this device may have the keys is for the community's unwrap service to
// say. It has to be told the room's name: a gateway does not list rooms to who is
// no member (docs/design/017-readers.md).
func (d *Device) Attach(ctx context.Context, id groups.RoomID) (RoomInfo, error) {
	s, err := d.online("read " + string(id))
	if err != nil {
		return RoomInfo{}, err
	}
	var answer devicev1.DescribeRoomResponse
	if err := s.link.Call(ctx, &devicev1.DescribeRoomRequest{Room: string(id)}, &answer); err != nil {
		return RoomInfo{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch r := d.rooms[id]; {
	case r != nil && r.State == RoomLive:
		return RoomInfo{}, groups.Errorf(groups.Conflict, "this device is a member of %s", id)
	case r != nil && r.State == RoomReading:
		return r.info(d.User()), nil
	case len(d.rooms) >= maxRooms:
		return RoomInfo{}, groups.Errorf(groups.Busy, "this device is in %d rooms", len(d.rooms))
	}
	r, err := newRoom(roomRow{Room: id, State: RoomReading})
	if err != nil {
		return RoomInfo{}, err
	}
	if old := d.rooms[id]; old != nil { // it was a member once: its history stays
		r.Read, r.Alarms, r.roomRow.Outbox, r.queue = old.Read, old.Alarms, old.roomRow.Outbox, old.queue
	}
	r.moved = true
	if _, err := d.changeLocked(r, func(Tx, *room) error { return nil }); err != nil {
		return RoomInfo{}, err
	}
	d.rooms[id] = r
	s.readUp = false // there is more to be read
	poke(s.wakeRead)
	return r.info(d.User()), nil
}

// Detach stops reading a room of which this device is no member. What it has
// opened stays; what waits for a key goes.
func (d *Device) Detach(id groups.RoomID) error {
	return d.change(id, func(tx Tx, r *room) error {
		if r.State != RoomReading {
			return groups.Errorf(groups.Conflict, "this device does not read %s as one that is no member", id)
		}
		for _, t := range []Table{TableReading, TablePast} {
			if err := deleteAll(tx, t, roomKey(id)); err != nil {
				return err
			}
		}
		r.State, r.Why = RoomClosed, "this device no longer reads it"
		r.reading, r.Heads, r.Sealed, r.moved = nil, nil, nil, true
		r.tell(Event{Kind: EventRoom})
		return nil
	})
}

// readable lists the members of a room that is read, as its log says.
func (d *Device) readable(r *room) ([]Member, error) {
	rd, err := d.peekReading(r)
	if err != nil {
		return nil, err
	}
	past := rd.ledger.Past()
	if past == nil || r.Seq == 0 {
		return nil, nil // nothing of it was read yet
	}
	return d.membersOf(r, past.Tree)
}
