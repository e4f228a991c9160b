package client_test

import (
	"context"
	"io"
	"slices"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/groups"
)

// mayRead is what a gateway asks before it gives the past of a room: a member
// where the policy gives any history, or a device of a site with readers.
func (h *hub) mayRead(d groups.DeviceID, id groups.RoomID) (*hubRoom, error) {
	r := h.rooms[id]
	if r == nil {
		return nil, &groups.RemoteError{Peer: "hub", Kind: groups.NotFound, Text: "no such room"}
	}
	policy := r.ledger.Policy()
	m := r.members[d]
	switch {
	case h.hostile:
	case m != nil && m.Left == 0 && policy.History != groups.HistoryNone:
	case slices.ContainsFunc(policy.Readers, func(c groups.CoIID) bool { return c.Site() == d.Site() }):
	default:
		return nil, &groups.RemoteError{Peer: "hub", Kind: groups.Denied, Text: "the policy gives it no history"}
	}
	return r, nil
}

func (h *hub) describe(d groups.DeviceID, id groups.RoomID) (*devicev1.DescribeRoomResponse, error) {
	if _, err := h.mayRead(d, id); err != nil {
		return nil, err
	}
	return &devicev1.DescribeRoomResponse{Room: &devicev1.Room{Room: string(id)}}, nil
}

// pastPage is how many entries of the past a hub gives at once.
const pastPage = 40

// tailPast serves the past of rooms from their cursors on, and ends.
func (l *hubLink) tailPast(ctx context.Context, req *devicev1.TailRequest) client.Receiver[devicev1.TailResponse] {
	id, at, ended := groups.RoomID(req.Cursors[0].Room), groups.Seq(req.Cursors[0].Seq), false
	return newStream(l, ctx, func() (*devicev1.TailResponse, error) {
		h := l.h
		if ended {
			return nil, io.EOF
		}
		r, err := h.mayRead(l.device, id)
		if err != nil {
			return nil, err
		}
		if h.noHistory != "" {
			ended = true
			return &devicev1.TailResponse{Closed: []*devicev1.RoomClosed{{Room: string(id), Seq: uint64(at), Why: h.noHistory}}}, nil
		}
		to := min(groups.Seq(len(r.entries)), at+pastPage)
		if at >= to {
			ended = true
			return &devicev1.TailResponse{CaughtUp: true}, nil
		}
		page := &devicev1.RoomEntries{Room: string(id), Entries: slices.Clone(r.entries[at:to]), Head: r.head.Marshal()}
		at = to
		if h.unveil != nil {
			h.unveil(l.device, page)
		}
		return &devicev1.TailResponse{Rooms: []*devicev1.RoomEntries{page}}, nil
	})
}
