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
	}
	if !t.all {
		return nil
	}
	t.look() // what waits in the mailbox
	return t.addOthers(named)
}

// addOthers adds rooms that no cursor names: they begin after the last entry
// the device has acknowledged, else with the one it joined by.
func (t *tail) addOthers(named map[groups.RoomID]bool) error {
	memberships, err := t.s.config.Rooms.RoomsOf(t.device)
	if err != nil {
		return err
	}
	acked, err := t.s.config.Mailbox.Cursors(t.device)
	if err != nil {
		return err
	}
	for _, m := range memberships {
		if named[m.Room] || m.Left != 0 && acked[m.Room] >= m.Left {
			continue // it knows that it has left
		}
		if err := t.add(m, acked[m.Room]); err != nil {
			return err
		}
	}
	return nil
}

// addJoined adds rooms that were joined while the tail ran.
func (t *tail) addJoined() error {
	memberships, err := t.s.config.Rooms.RoomsOf(t.device)
	if err != nil {
		return err
	}
	for _, m := range memberships {
		if t.rooms[m.Room] == nil && m.Left == 0 {
			if err := t.add(m, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// add begins to read a room after cursor, but not before the device's
// membership.
func (t *tail) add(m groups.Membership, cursor groups.Seq) error {
	cursor = max(cursor, firstCursor(m))
	if m.Left != 0 && cursor >= m.Left {
		t.refuse(m.Room, m.Left, "removed")
		return nil
	}
	if len(t.rooms) >= t.s.config.Limits.TailRooms {
		return groups.Errorf(groups.TooLarge, "tail: more than %d rooms: use several tails", t.s.config.Limits.TailRooms)
	}
	tr := &tailRoom{tail: t, room: m.Room, cursor: cursor, behind: true}
	t.behind++
	t.rooms[m.Room] = tr
	t.s.rings.join(tr)
	t.mark(tr)
	return nil
}

// firstCursor stands before the first entry that a membership lets read.
func firstCursor(m groups.Membership) groups.Seq {
	if m.Joined == 0 {
		return 0
	}
	return m.Joined - 1
}

// refuse notes that a room has nothing for the device after seq.
func (t *tail) refuse(room groups.RoomID, seq groups.Seq, why string) {
	t.closed = append(t.closed, &devicev1.RoomClosed{Room: string(room), Seq: uint64(seq), Why: why})
}
