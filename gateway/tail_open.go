package gateway

import (
	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// open adds the rooms that a call names, and with all_rooms the device's
// others.
func (t *tail) open(cursors []*devicev1.Cursor) error {
	if len(cursors) == 0 && !t.all {
		return groups.Errorf(groups.Invalid, "tail: name rooms by cursors, or ask for all rooms")
	}
	if len(cursors) > t.s.config.Limits.TailRooms {
		return groups.Errorf(groups.TooLarge, "tail: %d rooms, of at most %d: use several tails", len(cursors), t.s.config.Limits.TailRooms)
	}
	if t.past {
		return t.openPast(cursors)
	}
	named := make(map[groups.RoomID]bool, len(cursors))
	for _, c := range cursors {
		room, err := groups.ParseRoomID(c.GetRoom())
		if err != nil {
			return err
		}
		if named[room] {
			return groups.Errorf(groups.Invalid, "tail: two cursors for %s", room)
		}
		named[room] = true
		m, ok := t.s.config.Rooms.Membership(room, t.device)
		if !ok {
			t.refuse(room, 0, "not a member")
			continue
		}
		if err := t.add(m, groups.Seq(c.GetSeq())); err != nil {
			return err
		}
		t.skips(m, groups.Seq(c.GetSeq()))
	}
	if !t.all {
		return nil
	}
	t.look() // what waits in the mailbox
	return t.addOthers(named)
}

// addOthers adds rooms that no cursor names: they begin after the last entry
// the device has acknowledged, but not before the stay it has the keys of.
func (t *tail) addOthers(named map[groups.RoomID]bool) error {
	memberships, err := t.s.config.Rooms.RoomsOf(t.device)
	if err != nil {
		return err
	}
	acked, err := t.s.config.Mailbox.Cursors(t.device)
	if err != nil {
		return err
	}
	waiting, err := t.s.config.Mailbox.Welcomes(t.device)
	if err != nil {
		return err
	}
	begins := make(map[groups.RoomID]groups.Seq)
	for i := range waiting {
		if w := &waiting[i]; begins[w.Room] == 0 {
			begins[w.Room] = w.Seq
		}
	}
	for _, m := range memberships {
		if named[m.Room] || m.Left != 0 && acked[m.Room] >= m.Left {
			continue // it knows that it has left
		}
		if err := t.add(m, max(acked[m.Room], begin(m, begins[m.Room]))); err != nil {
			return err
		}
	}
	return nil
}

// addJoined adds rooms that were joined while the tail ran: those the device
// is in, and those of which Welcomes have just been sent.
func (t *tail) addJoined(welcomes map[groups.RoomID]groups.Seq) error {
	memberships, err := t.s.config.Rooms.RoomsOf(t.device)
	if err != nil {
		return err
	}
	for _, m := range memberships {
		if t.rooms[m.Room] == nil && (m.Left == 0 || welcomes[m.Room] != 0) {
			if err := t.add(m, begin(m, welcomes[m.Room])); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin stands before the first entry of a device that names no cursor: with
// the oldest Welcome that waits for it, else with its last stay. It may be
// another device than the one that read the stays before, under its name, and
// would not have their keys.
func begin(m groups.Membership, welcome groups.Seq) groups.Seq {
	if welcome == 0 || welcome > m.Joined {
		welcome = m.Joined
	}
	return before(welcome)
}

// before stands before an entry.
func before(seq groups.Seq) groups.Seq { return max(seq, 1) - 1 }

// add begins to read a room after cursor, with what is left of the stay that
// it lies in, or else with the next one.
func (t *tail) add(m groups.Membership, cursor groups.Seq) error {
	stay, ok := m.After(cursor)
	if !ok {
		t.refuse(m.Room, m.Left, "removed")
		return nil
	}
	if len(t.rooms) >= t.s.config.Limits.TailRooms {
		return groups.Errorf(groups.TooLarge, "tail: more than %d rooms: use several tails", t.s.config.Limits.TailRooms)
	}
	t.start(m.Room, max(cursor, before(stay.Joined)), stay.Joined)
	return nil
}

// start reads a room after cursor.
func (t *tail) start(room groups.RoomID, cursor, joined groups.Seq) {
	tr := &tailRoom{tail: t, room: room, cursor: cursor, joined: joined, behind: true}
	t.behind++
	t.rooms[room] = tr
	t.s.rings.join(tr)
	t.mark(tr)
}

// skips closes the stay that a cursor lies in for a device that goes on with a
// later one: it has been read to its end, or is not known any more.
func (t *tail) skips(m groups.Membership, cursor groups.Seq) {
	if stay, ok := m.After(cursor); ok && cursor != 0 && cursor < stay.Joined {
		t.refuse(m.Room, cursor, "removed and added again")
	}
}

// refuse notes that a room has nothing for the device after seq.
func (t *tail) refuse(room groups.RoomID, seq groups.Seq, why string) {
	t.closed = append(t.closed, &devicev1.RoomClosed{Room: string(room), Seq: uint64(seq), Why: why})
}
