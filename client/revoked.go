package client

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"parley/coi"
	"parley/groups"
	"parley/mls/wire"
)

// A device whose certificate its site has revoked, and a bot that a community has
// cut off, is removed from its rooms by the next device that is online: the unwrap
// services give it nothing from that instant on, and this ends what the room
// itself gives it. Who may remove it does so; anybody else shows what the service
// has signed beside the commit (groups.Warrant).

const (
	// statusEvery is how often the certificates of a room's members are asked
	// about.
	statusEvery = 5 * time.Minute
	// cutEvery is how often, at most, communities are asked which of a small room's
	// bots are cut off. It grows by cutShare for each device, up to statusEvery: so
	// the services of a room are asked some ten times a second, whatever its size
	// up to thousands.
	cutEvery = 10 * time.Second
	cutShare = 100 * time.Millisecond
	// maxStatusRound bounds the certificates of a room that are asked about in one
	// round; the next round goes on where it ended.
	maxStatusRound = 8
	// maxStatusTime bounds how long a round waits for answers about a room.
	maxStatusTime = 5 * time.Second
	// smallRoom is up to how many people all of a room's members are asked about by
	// each of them. In a larger one those are who may remove them, and everybody
	// asks about the bots: so a responder is not asked by all members about all.
	smallRoom = 16
	// afterYou is how long, at most, a device that needs a warrant lets others go
	// first who do not.
	afterYou = 500 * time.Millisecond
)

// A watchRow is when a device last looked for members of a room that are to be
// out. It is stored, so that a command that is online for a moment asks no more
// than a device that stays.
type watchRow struct {
	Status uint64         `json:",omitempty"` // when all certificates had been asked about, ms
	Next   wire.LeafIndex `json:",omitempty"` // where the next round goes on
	Cut    uint64         `json:",omitempty"` // when communities were asked about bots, ms
	Bots   bool           `json:",omitempty"` // there were some
}

// due says what of a room is to be asked about now.
func (w *watchRow) due(devices int, now time.Time) (status, cuts bool) {
	every := min(cutEvery+time.Duration(devices)*cutShare, statusEvery)
	return !now.Before(millis(w.Status).Add(statusEvery)), w.Bots && !now.Before(millis(w.Cut).Add(every))
}

// A seat is a member that may have to go.
type seat struct {
	device groups.DeviceID
	chain  [][]byte
	bot    bool
	right  bool // this device may remove it as it is
}

// A suspicion is what a round asks about a room.
type suspicion struct {
	policy groups.Policy
	seats  []seat // whose certificates are asked about
	bots   []seat // of which communities are asked whether they are cut off
}

// expel removes from a room whoever is to be out of it.
func (d *Device) expel(ctx context.Context, id groups.RoomID) error {
	q, err := d.suspects(id)
	if err != nil || q == nil {
		return err
	}
	look, cancel := context.WithTimeout(ctx, maxStatusTime)
	defer cancel()
	warrants := d.cutOff(look, q)
	for i := range q.seats {
		s := &q.seats[i]
		if _, out := warrants[s.device]; out {
			continue
		}
		if w := d.revoked(look, s); w != nil {
			warrants[s.device] = *w
		}
	}
	if len(warrants) == 0 {
		return nil
	}
	if !slices.ContainsFunc(append(q.seats, q.bots...), func(s seat) bool { _, out := warrants[s.device]; return out && s.right }) {
		if err := pause(ctx, rand.N(afterYou)); err != nil {
			return err
		}
	}
	return d.oust(ctx, id, warrants)
}

// suspects lists the members of a room that it is time to ask about; nil if there
// are none.
func (d *Device) suspects(id groups.RoomID) (q *suspicion, err error) {
	now := d.cfg.Now()
	d.mu.Lock()
	r := d.rooms[id]
	idle := r == nil || r.State != RoomLive
	if !idle {
		status, cuts := r.Watch.due(r.Devices, now)
		idle = !status && !cuts
	}
	d.mu.Unlock()
	responders := d.responders()
	if idle {
		return nil, nil
	}
	err = d.change(id, func(tx Tx, r *room) error {
		if len(responders) == 0 && len(r.policy.CoIs) == 0 {
			return nil // nobody can be asked
		}
		if err := d.openGroup(tx, r); err != nil {
			return err
		}
		q = &suspicion{policy: r.policy}
		status, cuts := r.Watch.due(r.Devices, now)
		first := r.Watch.Status == 0
		if (cuts || first) && len(r.policy.CoIs) > 0 {
			q.bots = d.seats(r, slices.Sorted(maps.Keys(r.roster().bots)))
			r.Watch.Cut, r.Watch.Bots, r.moved = uint64(now.UnixMilli()), len(q.bots) > 0, true
		}
		if status {
			q.seats = d.inTurn(r, responders)
			if r.Watch.Next == 0 {
				r.Watch.Status = uint64(now.UnixMilli())
			}
			r.moved = true
		}
		return nil
	})
	return q, err
}

// inTurn returns the next few members of a room whose certificates can be asked
// about, and notes where to go on.
func (d *Device) inTurn(r *room, responders map[groups.SiteID]groups.CoI) []seat {
	var turn []wire.LeafIndex
	roster := r.roster()
	leaves := slices.Sorted(maps.Keys(roster.byLeaf))
	from, _ := slices.BinarySearch(leaves, r.Watch.Next)
	r.Watch.Next = 0
	for _, i := range leaves[from:] {
		device := roster.byLeaf[i]
		if _, known := responders[device.Site()]; !known {
			continue
		}
		if r.Users > smallRoom && !roster.bots[i] && !d.mayRemove(r, device) {
			continue
		}
		if len(turn) == maxStatusRound {
			r.Watch.Next = i
			break
		}
		turn = append(turn, i)
	}
	return d.seats(r, turn)
}

func (d *Device) mayRemove(r *room, device groups.DeviceID) bool {
	return r.policy.Check(d.id, groups.Change{Removed: []groups.DeviceID{device}}) == nil
}

// seats describes the members at some leaves, without this device.
func (d *Device) seats(r *room, leaves []wire.LeafIndex) (list []seat) {
	roster := r.roster()
	for _, i := range leaves {
		leaf, ok := r.group.Tree().Leaf(i)
		device := roster.byLeaf[i]
		if !ok || device == d.id || leaf.Credential.CredentialType != wire.CredentialTypeX509 || len(leaf.Credential.Certificates) == 0 {
			continue
		}
		list = append(list, seat{device, certificatesOf(&leaf.Credential), roster.bots[i], d.mayRemove(r, device)})
	}
	return list
}

// responders are the status services of the sites that this device knows.
func (d *Device) responders() map[groups.SiteID]groups.CoI {
	out := make(map[groups.SiteID]groups.CoI)
	for _, c := range d.Communities() {
		if _, there := out[c.Name.Site()]; !there && c.Status != "" {
			out[c.Name.Site()] = groups.CoI{Name: c.Name, Status: c.Status}
		}
	}
	return out
}

// revoked returns a warrant against a member whose certificate is known for
// certain to be revoked. Whatever is not known changes nothing.
func (d *Device) revoked(ctx context.Context, s *seat) *groups.Warrant {
	site, known := d.responders()[s.device.Site()]
	subject, err := d.self.Load().trust.Verify(s.chain, coi.Device, d.cfg.Now())
	if !known || err != nil {
		return nil // what has ended is renewed or removed otherwise
	}
	w := &groups.Warrant{Kind: groups.WarrantRevoked, Device: s.device}
	status, response, err := d.desk.asked(ctx, &site, subject.Leaf, subject.Issuer)
	if w.Proof = response; err != nil {
		w.Proof = nil // only who may remove it by itself can go by a list
		status, err = d.desk.list(ctx, &site, subject.Leaf, subject.Issuer)
	}
	if err != nil {
		d.cfg.Log.Debug("status of a member", "device", s.device, "error", err)
	}
	if err != nil || status.State != coi.Revoked || w.Proof == nil && !s.right {
		return nil
	}
	return w
}

// oust removes devices, with a warrant where this device may not do it otherwise.
func (d *Device) oust(ctx context.Context, id groups.RoomID, warrants map[groups.DeviceID]groups.Warrant) error {
	d.cfg.Log.Warn("devices that were revoked or cut off are removed", "room", id, "devices", slices.Sorted(maps.Keys(warrants)))
	err := d.removeWhere(ctx, id, func(device groups.DeviceID) bool { _, out := warrants[device]; return out }, warrants)
	if groups.KindOf(err) == groups.NotFound {
		return nil // somebody else was first
	}
	return err
}

// warden looks for who is to be out of a room, as long as the session lasts. Its
// first round is done as soon as the session has caught up, and short, so that a
// command that is online for a moment does its part too (LookedAround).
func (d *Device) warden(ctx context.Context, s *session) error {
	if err := d.wait(ctx, func() (bool, error) { return s.caughtUp, nil }); err != nil {
		return err
	}
	for {
		for _, id := range d.inState(RoomLive) {
			d.try(ctx, "devices that are to be out", d.expel(ctx, id))
		}
		d.mu.Lock()
		s.looked = true
		d.signal()
		d.mu.Unlock()
		if err := pause(ctx, d.cfg.Upkeep-d.cfg.Upkeep/3+rand.N(2*d.cfg.Upkeep/3+1)); err != nil {
			return err
		}
	}
}

// LookedAround waits until the session has once looked for members of its rooms
// that are to be out, because their certificates were revoked or they are bots that
// were cut off, and has removed them. It returns at once where that was done lately
// and while the device is offline.
func (d *Device) LookedAround(ctx context.Context) error {
	err := d.wait(ctx, func() (bool, error) { return d.session == nil || d.session.looked, nil })
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // the next session does it
	}
	return err
}
