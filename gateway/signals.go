package gateway

import (
	"context"

	"connectrpc.com/connect"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// Signal hands an ephemeral signal that came from another node to the tails of
// a room here. It does not block; a tail that has too many loses the oldest.
func (s *Server) Signal(room groups.RoomID, device groups.DeviceID, payload []byte) {
	if len(payload) > groups.MaxSignal {
		return // no node of ours sends such
	}
	if g := s.rings.find(room); g != nil {
		g.signal(&signal{room: room, device: device, payload: payload})
	}
}

// Signal sends an ephemeral signal of a member to who is online in its room,
// here and at the room's other nodes.
func (s *service) Signal(ctx context.Context, req *connect.Request[devicev1.SignalRequest]) (*connect.Response[devicev1.SignalResponse], error) {
	session, payload := callOf(ctx).session, req.Msg.Payload
	if len(payload) == 0 || len(payload) > groups.MaxSignal {
		return nil, groups.Errorf(groups.TooLarge, "signal: %d bytes: send one to %d", len(payload), groups.MaxSignal)
	}
	if !session.rates.signals.AllowN(s.config.Now(), 1) {
		return nil, busy("signals")
	}
	m, err := s.member(session.device, req.Msg.Room)
	if err != nil {
		return nil, err
	}
	s.Server.Signal(m.Room, session.device, payload)
	if s.config.Signals != nil {
		s.config.Signals.Signal(m.Room, session.device, payload)
	}
	return connect.NewResponse(&devicev1.SignalResponse{}), nil
}
