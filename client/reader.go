package client

import (
	"context"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// Attach makes a room known to this device that its policy lets it read without
// being a member: FetchPast then brings what was said, all of it and what is
// new since the last time. The gateway says whether the policy names a
// community of this device's site; whether this device may have the keys is for
// the community's unwrap service to say.
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
	return r.info(d.User()), nil
}
