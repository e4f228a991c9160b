package main

import (
	"context"
	"maps"
	"slices"

	"parley/federation"
	"parley/gateway"
	"parley/groups"
	"parley/mls/wire"
	"parley/storage"
)

// A router brings what devices ask for to the node that can answer: this one's
// storage, or another node by its links. It is the only place where the two
// meet, and it waits for neither.
type router struct {
	site  groups.SiteID
	store *storage.Store
	links *federation.Node
}

// Submit implements gateway.Submitter: the owner orders, everybody else relays.
func (r *router) Submit(sub groups.Submission, done func(groups.Outcome)) {
	if sub.Kind == groups.KindCreate && sub.Room.Site() != r.site {
		done(groups.Outcome{ID: sub.ID, Err: groups.Errorf(groups.Denied,
			"%s would be a room of %s: make it with a device of that site", sub.Room, sub.Room.Site())})
		return
	}
	known, owned := r.store.Orders(sub.Room)
	if owned {
		if err := r.links.Settled(sub.Room); err != nil {
			done(groups.Outcome{ID: sub.ID, Err: err})
			return
		}
	}
	if owned || sub.Kind == groups.KindCreate && !known {
		r.store.Submit(sub, done)
		return
	}
	r.links.Relay(sub, done)
}

// Claim implements gateway.KeySource: what lies here, at the other nodes of
// this site, and at other sites. A device that has key packages in two places
// gives one.
func (r *router) Claim(ctx context.Context, users []groups.UserID, room groups.RoomID, suite wire.CipherSuite) ([]groups.KeyPackage, map[groups.UserID]error) {
	var found []groups.KeyPackage
	failures := make(map[groups.UserID]error)
	for _, u := range users {
		if u.Site() != r.site {
			continue
		}
		mine, err := r.store.TakeKeyPackages(u, suite)
		if err != nil {
			failures[u] = err
		}
		found = append(found, mine...)
	}
	others, missing := r.links.Claim(ctx, users, room, suite)
	found = append(found, others...)
	for u, err := range missing {
		failures[u] = err
	}
	seen := make(map[groups.DeviceID]bool, len(found))
	once := found[:0]
	for _, kp := range found {
		if !seen[kp.Device] {
			seen[kp.Device] = true
			once = append(once, kp)
		}
		delete(failures, kp.Device.User())
	}
	return once, failures
}

// Devices implements gateway.KeySource: what was seen here and at the other
// nodes of this site. Key packages add up, the last login counts.
func (r *router) Devices(ctx context.Context, user groups.UserID) ([]groups.DeviceRecord, error) {
	here, err := r.store.Devices(user)
	if err != nil {
		return nil, err
	}
	byName := make(map[groups.DeviceID]groups.DeviceRecord)
	for _, d := range append(here, r.links.Devices(ctx, user)...) {
		known := byName[d.Device]
		byName[d.Device] = groups.DeviceRecord{
			Device: d.Device, KeyPackages: known.KeyPackages + d.KeyPackages, LastSeen: max(known.LastSeen, d.LastSeen),
		}
	}
	names := slices.Sorted(maps.Keys(byName))
	all := make([]groups.DeviceRecord, len(names))
	for i, name := range names {
		all[i] = byName[name]
	}
	return all, nil
}

// signals hands ephemeral signals from links to devices. The server is set
// before the links start.
type signals struct{ server *gateway.Server }

// Signal implements federation.Signals.
func (s *signals) Signal(room groups.RoomID, device groups.DeviceID, payload []byte) {
	s.server.Signal(room, device, payload)
}
