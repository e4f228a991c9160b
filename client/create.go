package client

import (
	"context"
	"errors"
	"fmt"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// A RoomSpec says what room to make.
type RoomSpec struct {
	Room   groups.RoomID  // of this device's own site; must be given
	Policy *groups.Policy // nil means groups.DefaultPolicy of this person
}

// CreateRoom makes a room whose only member is this device; the person's other
// devices, and other people, are added with Add. It needs a gateway. Conflict
// says that there is a room of that name. If the answer does not come, the room
// stays in state creating and is asked for again by itself.
func (d *Device) CreateRoom(ctx context.Context, spec RoomSpec) (RoomInfo, error) {
	s, err := d.online("create " + string(spec.Room))
	if err != nil {
		return RoomInfo{}, err
	}
	if spec.Room.Site() != d.id.Site() {
		return RoomInfo{}, groups.Errorf(groups.Denied, "%s can only be made by the people of %s", spec.Room, spec.Room.Site())
	}
	if spec.Policy != nil && len(spec.Policy.CoIs) > 0 {
		if err := d.desk.fetch(ctx, spec.Policy); err != nil {
			return RoomInfo{}, err
		}
	}
	if err := d.draftRoom(spec); err != nil {
		return RoomInfo{}, err
	}
	if err := d.submitGenesis(ctx, s, spec.Room); err != nil {
		return RoomInfo{}, err
	}
	if err := d.reach(ctx, spec.Room, 1); err != nil {
		return RoomInfo{}, err
	}
	return d.Room(spec.Room)
}

// draftRoom makes the group of one and makes it durable (I7).
func (d *Device) draftRoom(spec RoomSpec) error {
	if _, err := groups.ParseRoomID(string(spec.Room)); err != nil {
		return err
	}
	policy := groups.DefaultPolicy(d.User())
	if spec.Policy != nil {
		policy = *spec.Policy
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.rooms[spec.Room]; r != nil {
		return groups.Errorf(groups.Conflict, "this device knows a room %s already", spec.Room)
	}
	if len(d.rooms) >= maxRooms {
		return groups.Errorf(groups.Busy, "this device is in %d rooms", len(d.rooms))
	}
	r, err := newRoom(roomRow{Room: spec.Room, State: RoomCreating, Suite: uint16(d.cfg.Suite), Creation: newID()})
	if err != nil {
		return err
	}
	r.at, r.policy, r.moved = d.cfg.Now(), policy, true
	if err := d.found(r); err != nil {
		return err
	}
	if _, err := d.changeLocked(r, func(Tx, *room) error { return nil }); err != nil {
		return err
	}
	d.rooms[spec.Room] = r
	return nil
}

// found makes the group of one and its create entry.
func (d *Device) found(r *room) error {
	cs, err := suite.Lookup(d.cfg.Suite)
	if err != nil {
		return err
	}
	me, err := d.self.Load().mls(cs)
	if err != nil {
		return err
	}
	extension := r.policy.Extension()
	r.group, err = mls.Create(mls.CreateOptions{
		Suite: cs, GroupID: []byte(r.Room), Identity: me,
		Leaf:       mls.KeyPackageOptions{Now: r.at, Lifetime: keyPackageLife, Capabilities: leafCapabilities()},
		Extensions: wire.Extensions{extension}, Credentials: &validator{d, r},
		Policy: mls.Policy{Accept: groups.AcceptProposal}, Parallel: processors,
	})
	if err != nil {
		return err
	}
	if err := r.setPolicy(wire.Extensions{extension}); err != nil {
		return err
	}
	info, err := r.group.GroupInfo(true)
	if err != nil {
		return err
	}
	genesis := groups.Genesis{GroupInfo: info, Stamp: groups.AuthenticatedData{Device: d.id, ID: groups.SubmissionID(r.Creation)}}
	record, err := d.makeRecord(r.group, making{reason: groups.KeyCreated, now: r.at})
	if err != nil {
		return err
	}
	if record != nil {
		genesis.KeyRecord = record.Marshal()
	}
	r.Genesis = genesis.Marshal()
	r.Users, r.Devices, r.Surveyed = 1, 1, true
	return nil
}

// submitGenesis asks for a room. A refusal takes the room back.
func (d *Device) submitGenesis(ctx context.Context, s *session, id groups.RoomID) error {
	d.mu.Lock()
	r := d.rooms[id]
	if r == nil || r.State != RoomCreating {
		d.mu.Unlock()
		return nil
	}
	sub := &devicev1.Submission{Room: string(id), Kind: uint32(groups.KindCreate), Id: r.Creation[:], Body: r.Genesis}
	d.mu.Unlock()
	_, err := d.submitPatiently(ctx, s, sub)
	if err == nil {
		d.mu.Lock()
		r.ordered = true
		d.mu.Unlock()
		poke(s.wakeTail) // which then has a cursor for the room
		return nil
	}
	remote, refused := errors.AsType[*groups.RemoteError](err)
	if !refused || remote.Kind.Temporary() || remote.Kind == groups.Internal {
		return err
	}
	return errors.Join(err, d.forgetRoom(id))
}

// forgetRoom removes a room that never was.
func (d *Device) forgetRoom(id groups.RoomID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.cfg.Store.Update(func(tx Tx) error {
		for _, t := range []Table{TableRooms, TableGroups, TableOutbox, TableWishes} {
			if err := deleteAll(tx, t, roomKey(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget %s: %w", id, err)
	}
	delete(d.rooms, id)
	return nil
}
