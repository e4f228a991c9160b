package client_test

import (
	"context"
	"io"
	"maps"
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

// tailPast serves the past of rooms from their cursors on, and ends, unless it
// is to follow.
func (l *hubLink) tailPast(ctx context.Context, req *devicev1.TailRequest) client.Receiver[devicev1.TailResponse] {
	at := make(map[groups.RoomID]groups.Seq)
	for _, c := range req.Cursors {
		at[groups.RoomID(c.Room)] = groups.Seq(c.Seq)
	}
	caught := false
	return newStream(l, ctx, func() (*devicev1.TailResponse, error) {
		answer := new(devicev1.TailResponse)
		for _, id := range slices.Sorted(maps.Keys(at)) {
			if why := l.pastOf(answer, id, at); why != "" {
				answer.Closed = append(answer.Closed, &devicev1.RoomClosed{Room: string(id), Seq: uint64(at[id]), Why: why})
				delete(at, id)
			}
		}
		switch {
		case len(answer.Rooms)+len(answer.Closed) > 0:
			return answer, nil
		case !caught:
			caught = true
			return &devicev1.TailResponse{CaughtUp: true}, nil
		case req.Follow:
			return nil, nil
		}
		return nil, io.EOF
	})
}

// pastOf adds the next page of a room, or says why there is none.
func (l *hubLink) pastOf(answer *devicev1.TailResponse, id groups.RoomID, at map[groups.RoomID]groups.Seq) string {
	h := l.h
	r, err := h.mayRead(l.device, id)
	if err != nil {
		return err.Error()
	}
	if h.noHistory != "" {
		return h.noHistory
	}
	from := at[id]
	to := min(groups.Seq(len(r.entries)), from+pastPage)
	if from >= to {
		return ""
	}
	page := &devicev1.RoomEntries{Room: string(id), Entries: slices.Clone(r.entries[from:to]), Head: r.head.Marshal()}
	at[id] = to
	h.given[l.device] += len(page.Entries)
	if h.unveil != nil {
		h.unveil(l.device, page)
	}
	answer.Rooms = append(answer.Rooms, page)
	return ""
}
