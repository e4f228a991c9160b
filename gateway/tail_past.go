package gateway

import (
	"slices"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// notReadable is why a tail of the past has nothing of a room: the same whether
// there is no such room or it is not for the device.
const notReadable = "not a member, or its policy does not let this device read it"

// reads says whether a device may read a room's log from the beginning: a
// member, where the policy gives members any history, or a device of a site
// that the policy lets read. What it gets is sealed; who gets keys is for the
// unwrap services of that site, and which of its devices for them alone.
func (s *Server) reads(device groups.DeviceID, room groups.RoomID) bool {
	info, err := s.config.Rooms.Room(room)
	if err != nil {
		return false
	}
	if slices.Contains(info.Readers, device.Site()) {
		return true
	}
	m, ok := s.config.Rooms.Membership(room, device)
	return ok && m.Left == 0 && info.History != groups.HistoryNone
}

// openPast adds the rooms that a tail of the past names. Whether the device may
// go on reading is asked again with every commit, before what follows it is
// sent.
func (t *tail) openPast(cursors []*devicev1.Cursor) error {
	if t.all {
		return groups.Errorf(groups.Invalid, "tail: the past is read of rooms named by cursors, not of all rooms")
	}
	for _, c := range cursors {
		room, err := groups.ParseRoomID(c.GetRoom())
		if err != nil {
			return err
		}
		if t.rooms[room] != nil {
			return groups.Errorf(groups.Invalid, "tail: two cursors for %s", room)
		}
		if !t.s.reads(t.device, room) {
			t.refuse(room, 0, notReadable)
			continue
		}
		t.start(room, groups.Seq(c.GetSeq()), 0)
	}
	return nil
}
