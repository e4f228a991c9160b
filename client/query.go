package client

import (
	"maps"
	"slices"
	"strings"

	"parley/groups"
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// Rooms lists all rooms, those that are closed too, by name.
func (d *Device) Rooms() ([]RoomInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]RoomInfo, 0, len(d.rooms))
	for _, r := range d.rooms {
		list = append(list, r.info(d.User()))
	}
	slices.SortFunc(list, func(a, b RoomInfo) int { return strings.Compare(string(a.Room), string(b.Room)) })
	return list, nil
}

// Room describes one room.
func (d *Device) Room(id groups.RoomID) (RoomInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[id]
	if r == nil {
		return RoomInfo{}, notIn(id)
	}
	if err := d.viewGroup(r); err != nil {
		return RoomInfo{}, err
	}
	return r.info(d.User()), nil
}

// viewGroup loads a room's group for reading; a closed room has none.
func (d *Device) viewGroup(r *room) error {
	if r.State == RoomClosed || r.State == RoomReading || r.group != nil && !r.stale {
		return nil
	}
	return d.cfg.Store.View(func(tx Tx) error {
		if r.stale {
			if err := d.reload(tx, r); err != nil {
				return err
			}
		}
		return d.openGroup(tx, r)
	})
}

// info is what is known of a room; the authenticator only if its group is in
// memory.
func (r *room) info(user groups.UserID) RoomInfo {
	info := RoomInfo{
		Room: r.Room, State: r.State, Why: r.Why, Joined: r.Joined, Seq: r.Seq, Hash: r.Hash, Epoch: r.Epoch,
		Policy: r.policy, Admin: r.policy.Admin(user), Users: r.Users, Devices: r.Devices,
		KeyMade: millis(r.KeyMade), KeyMessages: r.KeyMessages, KeyMaker: r.KeyMaker, Last: millis(r.Last),
		Unread: r.Unread, Outbox: r.unsent(), Read: r.Read, Alarms: slices.Clone(r.Alarms), Parked: r.parked, Leaving: r.Leaving,
	}
	info.Sealed = maps.Clone(r.Sealed)
	info.KeyEnds, info.KeyDenied, info.KeyProblem = r.keyEnd(), r.Keys.Denied, r.Keys.Bad
	if info.Outbox > 0 {
		info.Waiting = r.hold.why
	}
	if cs, err := suite.Lookup(suite.ID(r.Suite)); err == nil {
		info.Suite = cs.String()
	}
	if r.group != nil {
		info.Authenticator = slices.Clone(r.group.EpochAuthenticator())
	}
	return info
}

// FindRoom finds a room by its URI, or by what is enough of it: ops, or
// ops@alpha.example. Conflict says that several rooms are called so.
func (d *Device) FindRoom(name string) (groups.RoomID, error) {
	if id, err := groups.ParseRoomID(name); err == nil {
		return id, nil
	}
	local, site, _ := strings.Cut(strings.TrimPrefix(name, "#"), "@")
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []groups.RoomID
	for id := range d.rooms {
		if id.Name() == local && (site == "" || id.Site() == groups.SiteID(site)) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", groups.Errorf(groups.NotFound, "this device is in no room called %q", clip(name))
	case 1:
		return found[0], nil
	}
	var names []string
	for _, id := range found {
		names = append(names, local+"@"+string(id.Site()))
	}
	slices.Sort(names)
	return "", groups.Errorf(groups.Conflict, "several rooms are called %q: say %s", local, strings.Join(names, " or "))
}

// NewRoom names a room of this device's own site: by its URI, or by ops alone.
func (d *Device) NewRoom(name string) (groups.RoomID, error) {
	if strings.Contains(name, "://") {
		return groups.ParseRoomID(name)
	}
	return groups.NewRoomID(d.id.Site(), strings.TrimPrefix(name, "#"))
}

// FindUser makes a user's name of its URI, of bob@beta.example, or of bob, who
// is of this device's own site.
func (d *Device) FindUser(name string) (groups.UserID, error) {
	if strings.Contains(name, "://") {
		return groups.ParseUserID(name)
	}
	local, site, elsewhere := strings.Cut(name, "@")
	if !elsewhere {
		site = string(d.id.Site())
	}
	return groups.NewUserID(groups.SiteID(site), local)
}

// Members lists the devices of a room, by name.
func (d *Device) Members(id groups.RoomID) ([]Member, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[id]
	if r == nil {
		return nil, notIn(id)
	}
	if r.State == RoomReading {
		return d.readable(r)
	}
	if r.State == RoomClosed {
		return nil, closedError(id, r.Why)
	}
	if err := d.viewGroup(r); err != nil {
		return nil, err
	}
	return d.membersOf(r, r.group.Tree())
}

// membersOf lists the devices in a room's tree, by name.
func (d *Device) membersOf(r *room, t *tree.Tree) ([]Member, error) {
	list := make([]Member, 0, t.Size())
	for i, b := range t.Members() {
		leaf, err := wire.Unmarshal[wire.LeafNode](b)
		if err != nil {
			return nil, err
		}
		device, bot, err := whoIs(&leaf.Credential)
		if err != nil {
			return nil, err
		}
		list = append(list, Member{
			Device: device, User: device.User(), Leaf: uint32(i), Admin: r.policy.Admin(device.User()),
			Own: device == d.id, Bot: bot, Until: until(leaf.Credential),
		})
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(string(a.Device), string(b.Device)) })
	return list, nil
}

// Log lists entries of a room's log after one, oldest first, at most limit.
func (d *Device) Log(id groups.RoomID, after groups.Seq, limit int) (list []LogEntry, err error) {
	d.mu.Lock()
	_, there := d.rooms[id]
	d.mu.Unlock()
	if !there {
		return nil, notIn(id)
	}
	var bad error
	err = d.cfg.Store.View(func(tx Tx) error {
		return tx.Scan(TableLog, Range{Prefix: roomKey(id), From: seqKey(id, uint64(after)+1)}, func(_, value []byte) bool {
			var e LogEntry
			if bad = unpackRow(TableLog, value, &e); bad != nil || len(list) >= limit {
				return false
			}
			list = append(list, e)
			return true
		})
	})
	if err == nil {
		err = bad
	}
	return list, err
}
