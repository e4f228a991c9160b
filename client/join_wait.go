package client

import (
	"context"
	"fmt"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// A device can be removed and added again while it is behind. Its Welcome then
// waits, at the gateway, until the log has been read to the commit that removed
// the device: to join is to leave the keys of the stay before behind.

// waitingWelcomes uses the Welcomes that came while the device was away.
func (d *Device) waitingWelcomes(ctx context.Context, s *session) error {
	return d.useWelcomes(ctx, s, func(string) bool { return true })
}

// useWelcomes uses those that wait for some rooms.
func (d *Device) useWelcomes(ctx context.Context, s *session, of func(room string) bool) error {
	var list devicev1.ListWelcomesResponse
	if err := s.link.Call(ctx, &devicev1.ListWelcomesRequest{}, &list); err != nil {
		return fmt.Errorf("list welcomes: %w", err)
	}
	for _, w := range list.Welcomes {
		if !of(w.Room) {
			continue
		}
		if err := d.join(ctx, s, w); err != nil {
			return err
		}
	}
	return nil
}

// waits says whether a Welcome of entry seq has to wait for what the device
// still lacks of its stay in the room, and notes it. What can not be read does
// not keep it: a room that is parked or not served. The caller holds Device.mu.
func (s *session) waits(r *room, seq groups.Seq) bool {
	if r == nil || !r.followed() || r.Seq >= seq || s.over[r.Room] {
		return false
	}
	s.early[r.Room] = true
	return true
}

// waitedEnough uses the Welcomes whose rooms have closed meanwhile, or are not
// served any further. The tail begins again at the new cursors: it may have
// passed them.
func (d *Device) waitedEnough(ctx context.Context, s *session) error {
	use := make(map[string]bool)
	d.mu.Lock()
	for id := range s.early {
		if r := d.rooms[id]; r == nil || !r.followed() || s.over[id] {
			use[string(id)] = true
			delete(s.early, id)
		}
	}
	d.mu.Unlock()
	if len(use) == 0 {
		return nil
	}
	err := d.useWelcomes(ctx, s, func(room string) bool { return use[room] })
	poke(s.wakeTail)
	return err
}

// nothingMore notes that the gateway has sent all it has: rooms whose Welcomes
// wait still get no more of the stay before.
func (s *session) nothingMore() {
	for id := range s.early {
		s.over[id] = true
	}
}
