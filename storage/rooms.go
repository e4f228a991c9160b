package storage

import (
	"maps"
	"slices"

	"parley/groups"
)

// find returns the room, nil if it is not known here.
func (s *Store) find(id groups.RoomID) *room {
	s.mu.RLock()
	r := s.rooms[id]
	s.mu.RUnlock()
	return r
}

// findOrMake returns the room, or a new one that is not in the log yet. Such a
// one is forgotten again if its create entry is refused.
func (s *Store) findOrMake(id groups.RoomID, owned bool) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[id]; r != nil {
		return r
	}
	s.nextNumber++
	rec := roomRecord{number: s.nextNumber, owned: owned}
	if owned {
		rec.owner = s.cfg.Node
	}
	r := newRoom(id, rec)
	s.rooms[id] = r
	return r
}

// forgetUncreated takes a room without entries out of the map, so that
// refused create entries leave nothing behind. The caller holds r.mu; whoever
// waits for it finds the room gone and looks it up again.
func (s *Store) forgetUncreated(r *room) {
	if r.tipAt.Seq > 0 || r.gone || r.parked.Load() != nil {
		return
	}
	r.gone = true
	s.mu.Lock()
	delete(s.rooms, r.id)
	s.mu.Unlock()
}

func errNoRoom(id groups.RoomID) error {
	return groups.Errorf(groups.NotFound, "%s is not known to this node", id)
}

// Orders says whether a room is known here, and whether this node gives it its
// order: what every submission asks before anything else.
func (s *Store) Orders(id groups.RoomID) (known, owned bool) {
	r := s.find(id)
	if r == nil || r.view.Load().last.Seq == 0 && r.parked.Load() == nil {
		return false, false
	}
	return true, r.owned
}

// Room returns what this node knows of a room, NotFound if nothing.
func (s *Store) Room(id groups.RoomID) (groups.RoomInfo, error) {
	r := s.find(id)
	if r == nil {
		return groups.RoomInfo{}, errNoRoom(id)
	}
	in, ok := r.describe()
	if !ok {
		return groups.RoomInfo{}, errNoRoom(id)
	}
	return in, nil
}

// Rooms returns all rooms this node has entries of, in the order of their
// names.
func (s *Store) Rooms() []groups.RoomInfo {
	s.mu.RLock()
	list := slices.Collect(maps.Values(s.rooms))
	s.mu.RUnlock()
	out := make([]groups.RoomInfo, 0, len(list))
	for _, r := range list {
		if in, ok := r.describe(); ok {
			out = append(out, in)
		}
	}
	slices.SortFunc(out, func(a, b groups.RoomInfo) int {
		switch {
		case a.Room < b.Room:
			return -1
		case a.Room > b.Room:
			return 1
		}
		return 0
	})
	return out
}

// describe says what is known of a room: of what is durable, or that it is
// parked.
func (r *room) describe() (groups.RoomInfo, bool) {
	v, parked := r.view.Load(), r.parked.Load()
	if v.last.Seq == 0 && parked == nil {
		return groups.RoomInfo{}, false
	}
	in := groups.RoomInfo{Room: r.id, Head: v.last, Members: v.info.members,
		Sites: slices.Clone(v.info.sites), Left: maps.Clone(v.info.left),
		Readers: slices.Clone(v.info.readers), History: v.info.history}
	if parked != nil {
		in.Parked, in.Damaged = *parked, r.damaged.Load()
		if f := r.refilling(); f != nil {
			in.Fenced = f.head.Seq
		}
	}
	rec := r.record()
	in.Owned, in.Owner = rec.owned, rec.owner
	return in, true
}

// SetOwner notes which node orders a room, as its peers say: advice for relay
// and display, kept over a restart. It changes nothing for a room that is
// ordered here or not known here.
func (s *Store) SetOwner(id groups.RoomID, node groups.NodeID) {
	r := s.find(id)
	if r == nil || r.owned {
		return
	}
	if old := r.owner.Swap(&node); old != nil && *old == node {
		return
	}
	if r.view.Load().last.Seq > 0 {
		s.soft.put(row{key: nameKey(rowRoom, id), value: r.record().encode()})
	}
}

// GroupInfo returns the room's current GroupInfo as its MLSMessage bytes and
// the head it belongs to: NotFound for an unknown room.
func (s *Store) GroupInfo(id groups.RoomID) (b []byte, head groups.Head, err error) {
	r := s.find(id)
	if r == nil {
		return nil, groups.Head{}, errNoRoom(id)
	}
	v := r.view.Load()
	if v.last.Seq == 0 {
		return nil, groups.Head{}, errNoRoom(id)
	}
	b, err = s.held(v.info.groupInfo)
	return b, v.last, err
}

// Attachments returns what a commit's body names by hash: the Welcome, if
// there is one, and the GroupInfo. Other entries name nothing.
func (s *Store) Attachments(e *groups.Entry) ([][]byte, error) {
	if e.Kind != groups.KindCommit {
		return nil, nil
	}
	bundle, err := groups.ParseCommitBundle(e.Body)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	if bundle.Welcome != nil {
		w, err := s.held(*bundle.Welcome)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	info, err := s.held(bundle.GroupInfo)
	if err != nil {
		return nil, err
	}
	return append(out, info), nil
}
