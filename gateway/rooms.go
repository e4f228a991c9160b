package gateway

import (
	"context"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// member returns the device's membership of a room by name. Who is no member
// is told NotFound: whether there is such a room is not a stranger's to know.
func (s *Server) member(device groups.DeviceID, name string) (groups.Membership, error) {
	room, err := groups.ParseRoomID(name)
	if err != nil {
		return groups.Membership{}, err
	}
	m, ok := s.config.Rooms.Membership(room, device)
	if !ok || m.Left != 0 {
		return groups.Membership{}, groups.Errorf(groups.NotFound, "%s: no such room, or this device is not in it", room)
	}
	return m, nil
}

// ListRooms describes the rooms the device is a member of.
func (s *service) ListRooms(ctx context.Context, _ *connect.Request[devicev1.ListRoomsRequest]) (*connect.Response[devicev1.ListRoomsResponse], error) {
	memberships, err := s.config.Rooms.RoomsOf(callOf(ctx).session.device)
	if err != nil {
		return nil, err
	}
	answer := new(devicev1.ListRoomsResponse)
	for _, m := range memberships {
		if m.Left != 0 {
			continue
		}
		room, err := s.describe(m)
		if err != nil {
			return nil, err
		}
		answer.Rooms = append(answer.Rooms, room)
	}
	return connect.NewResponse(answer), nil
}

// DescribeRoom describes one room and names its devices, to its members and to
// who may read it.
func (s *service) DescribeRoom(ctx context.Context, req *connect.Request[devicev1.DescribeRoomRequest]) (*connect.Response[devicev1.DescribeRoomResponse], error) {
	device := callOf(ctx).session.device
	m, err := s.member(device, req.Msg.Room)
	if groups.KindOf(err) == groups.NotFound && s.reads(device, groups.RoomID(req.Msg.Room)) {
		m, err = groups.Membership{Room: groups.RoomID(req.Msg.Room)}, nil
	}
	if err != nil {
		return nil, err
	}
	answer := new(devicev1.DescribeRoomResponse)
	if answer.Room, err = s.describe(m); err != nil {
		return nil, err
	}
	if s.config.Roster != nil {
		devices, err := s.config.Roster.Members(m.Room)
		if err != nil {
			return nil, err
		}
		for _, d := range devices {
			answer.Devices = append(answer.Devices, string(d))
		}
	}
	return connect.NewResponse(answer), nil
}

func (s *Server) describe(m groups.Membership) (*devicev1.Room, error) {
	info, err := s.config.Rooms.Room(m.Room)
	if err != nil {
		return nil, err
	}
	r := &devicev1.Room{
		Room: string(m.Room), OwnerNode: string(info.Owner), State: "live", JoinedSeq: uint64(m.Joined),
		Seq: uint64(info.Head.Seq), Epoch: uint64(info.Head.Epoch), Term: uint64(info.Head.Term),
		Hash: info.Head.Hash[:], Members: uint32(info.Members),
	}
	if info.Parked != "" {
		r.State = "parked: " + info.Parked
	}
	for _, site := range info.Sites {
		r.Sites = append(r.Sites, string(site))
	}
	return r, nil
}

// GetGroupInfo returns the GroupInfo of the current epoch, without tree.
func (s *service) GetGroupInfo(ctx context.Context, req *connect.Request[devicev1.GetGroupInfoRequest]) (*connect.Response[devicev1.GetGroupInfoResponse], error) {
	m, err := s.member(callOf(ctx).session.device, req.Msg.Room)
	if err != nil {
		return nil, err
	}
	info, head, err := s.config.Rooms.GroupInfo(m.Room)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&devicev1.GetGroupInfoResponse{GroupInfo: info, Epoch: uint64(head.Epoch), Seq: uint64(head.Seq)}), nil
}

// ListWelcomes lists the Welcomes that wait for the device.
func (s *service) ListWelcomes(ctx context.Context, _ *connect.Request[devicev1.ListWelcomesRequest]) (*connect.Response[devicev1.ListWelcomesResponse], error) {
	waiting, err := s.config.Mailbox.Welcomes(callOf(ctx).session.device)
	if err != nil {
		return nil, err
	}
	answer := new(devicev1.ListWelcomesResponse)
	for i := range waiting {
		answer.Welcomes = append(answer.Welcomes, welcomeMessage(&waiting[i]))
	}
	return connect.NewResponse(answer), nil
}

// ListDevices names the devices of a user of this site.
func (s *service) ListDevices(ctx context.Context, req *connect.Request[devicev1.ListDevicesRequest]) (*connect.Response[devicev1.ListDevicesResponse], error) {
	user, err := groups.ParseUserID(req.Msg.User)
	if err != nil {
		return nil, err
	}
	if user.Site() != s.config.Site {
		return nil, groups.Errorf(groups.NotFound, "%s is of another site: its devices are known there", user)
	}
	devices, err := s.config.KeySource.Devices(ctx, user)
	if err != nil {
		return nil, err
	}
	answer := new(devicev1.ListDevicesResponse)
	for _, d := range devices {
		answer.Devices = append(answer.Devices, &devicev1.Device{
			Device: string(d.Device), KeyPackages: uint32(d.KeyPackages), LastSeenUnix: int64(d.LastSeen / 1000),
		})
	}
	return connect.NewResponse(answer), nil
}

// Ack moves the device's cursors and forgets Welcomes it has used. A cursor of
// a room it was never in is refused, and then nothing has changed.
func (s *service) Ack(ctx context.Context, req *connect.Request[devicev1.AckRequest]) (*connect.Response[devicev1.AckResponse], error) {
	device, m := callOf(ctx).session.device, req.Msg
	if most := s.config.Limits.TailRooms; len(m.Cursors) > most || len(m.Welcomes) > most {
		return nil, groups.Errorf(groups.TooLarge, "ack: %d cursors and %d Welcomes, of at most %d each", len(m.Cursors), len(m.Welcomes), most)
	}
	cursors := make(map[groups.RoomID]groups.Seq, len(m.Cursors))
	for _, c := range m.Cursors {
		room, err := groups.ParseRoomID(c.GetRoom())
		if err != nil {
			return nil, err
		}
		if _, ok := s.config.Rooms.Membership(room, device); !ok {
			return nil, groups.Errorf(groups.NotFound, "ack: %s: no such room, or this device was never in it", room)
		}
		cursors[room] = groups.Seq(c.GetSeq())
	}
	for _, w := range m.Welcomes {
		if _, err := groups.ParseRoomID(w.GetRoom()); err != nil {
			return nil, err
		}
	}
	if len(cursors) > 0 {
		if err := s.config.Mailbox.SaveCursors(device, cursors); err != nil {
			return nil, err
		}
	}
	for _, w := range m.Welcomes {
		if err := s.config.Mailbox.ForgetWelcome(device, groups.RoomID(w.GetRoom()), groups.Seq(w.GetSeq())); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(&devicev1.AckResponse{}), nil
}
