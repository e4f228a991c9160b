package federation

import (
	"context"
	"sync"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// Devices asks the other nodes of this site which devices of a user of this
// site they have seen. It returns what it has heard when all have answered, ctx
// ends or callTime is over: a node that is silent is passed over. A device may
// stand in several answers.
func (n *Node) Devices(ctx context.Context, user groups.UserID) []groups.DeviceRecord {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var mu sync.Mutex
	var heard []groups.DeviceRecord
	var wg sync.WaitGroup
	for _, l := range n.linksOf(n.site) {
		wg.Go(func() {
			a, err := l.ask(ctx, &linkv1.Call{Ask: &linkv1.Call_Devices{Devices: &linkv1.ListDevices{User: string(user)}}})
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, records(user, a.GetDevices())...)
		})
	}
	wg.Wait()
	return heard
}

// records reads a sibling's answer; devices of anybody else are dropped.
func records(user groups.UserID, m *linkv1.Devices) []groups.DeviceRecord {
	var out []groups.DeviceRecord
	for _, d := range m.GetDevices() {
		id, err := groups.ParseDeviceID(d.GetDevice())
		if err == nil && id.User() == user && len(out) < groups.MaxUserDevices {
			out = append(out, groups.DeviceRecord{Device: id, KeyPackages: int(d.GetKeyPackages()), LastSeen: d.GetLastSeen()})
		}
	}
	return out
}

// devicesSeen answers a sibling. Other sites learn of devices by claiming.
func (l *link) devicesSeen(ask *linkv1.ListDevices) (*linkv1.Devices, error) {
	user, err := groups.ParseUserID(ask.GetUser())
	if err != nil {
		return nil, err
	}
	if !l.sibling() || user.Site() != l.node.site {
		return nil, groups.Errorf(groups.Denied, "%s tells its siblings alone which devices of its people it has seen", l.node.cfg.Node)
	}
	seen, err := l.node.cfg.Keys.Devices(user)
	if err != nil {
		return nil, err
	}
	out := &linkv1.Devices{}
	for _, d := range seen[:min(len(seen), groups.MaxUserDevices)] {
		out.Devices = append(out.Devices, &linkv1.Device{Device: string(d.Device), KeyPackages: uint32(d.KeyPackages), LastSeen: d.LastSeen})
	}
	return out, nil
}
