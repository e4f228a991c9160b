package client

import (
	"context"
	"fmt"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// ackPause is how long cursors are gathered before the gateway is told.
const ackPause = 500 * time.Millisecond

// ack tells the gateway where this device stands, so that it may forget. The
// device itself goes by its own cursors.
func (d *Device) ack(ctx context.Context, s *session) error {
	acked := make(map[groups.RoomID]groups.Seq)
	for {
		if err := sleepOr(ctx, s.wakeAck, time.Minute); err != nil {
			return err
		}
		if err := pause(ctx, ackPause); err != nil {
			return err
		}
		var list []*devicev1.Cursor
		d.mu.Lock()
		for _, r := range d.rooms {
			if r.State == RoomLive && r.Seq > acked[r.Room] {
				list = append(list, &devicev1.Cursor{Room: string(r.Room), Seq: uint64(r.Seq)})
			}
		}
		d.mu.Unlock()
		if len(list) == 0 {
			continue
		}
		if err := s.link.Call(ctx, &devicev1.AckRequest{Cursors: list}, &devicev1.AckResponse{}); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
		for _, c := range list {
			acked[groups.RoomID(c.Room)] = groups.Seq(c.Seq)
		}
	}
}
