package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls"
	"parley/mls/tree"
	"parley/mls/wire"
)

const (
	// commitSpread is how long members wait, at random, before one of them
	// commits a proposal: the first one's commit spares the others theirs.
	commitSpread = 2 * time.Second
	// maxSurvey bounds the people whose devices are asked for in one round.
	maxSurvey = 16
)

// commitDelay is when this device commits what waits in a room.
func commitDelay(r *room) time.Duration {
	spread := min(commitSpread, time.Duration(max(r.Devices, 1))*100*time.Millisecond)
	return 20*time.Millisecond + rand.N(spread)
}

// upkeep does what nobody asks for, as long as the session lasts: key packages,
// proposals that wait, keys that have ended, people who wait to be added, new
// devices. What fails is logged and tried in the next round.
func (d *Device) upkeep(ctx context.Context, s *session) error {
	if err := d.wait(ctx, func() (bool, error) { return s.caughtUp, nil }); err != nil {
		return err
	}
	d.watchKeys(ctx, s)
	d.lookAround(s)
	next := d.cfg.Now()
	for {
		if now := d.cfg.Now(); !now.Before(next) {
			d.round(ctx, s)
			next = now.Add(d.cfg.Upkeep - d.cfg.Upkeep/3 + rand.N(2*d.cfg.Upkeep/3+1))
		}
		d.tidy(ctx, s)
		d.kept(s)
		if err := sleepOr(ctx, s.wakeWork, min(d.nextDue(s), max(next.Sub(d.cfg.Now()), 0))); err != nil {
			return err
		}
	}
}

// try logs an error and goes on; the next round tries again.
func (d *Device) try(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Info("upkeep", "device", d.id, "what", what, "error", err)
	}
}

// lookAround finds the rooms that need a commit after a start.
func (d *Device) lookAround(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.rooms {
		if r.State == RoomLive {
			s.due[r.Room] = d.cfg.Now().Add(commitDelay(r))
		}
	}
}

// round does what is done from time to time.
func (d *Device) round(ctx context.Context, s *session) {
	d.try(ctx, "key packages", d.refill(ctx, s))
	for _, id := range d.inState(RoomCreating) {
		d.try(ctx, "create room", d.submitGenesis(ctx, s, id))
	}
	d.askAgain(s)
	d.try(ctx, "trust", d.refreshTrust(ctx, s))
	live := d.inState(RoomLive)
	for _, id := range live {
		d.try(ctx, "communities", d.watchKey(ctx, id))
		wishes, err := d.Wishes(id)
		d.try(ctx, "wishes", err)
		var users []groups.UserID
		for _, w := range wishes {
			if !w.Next.After(d.cfg.Now()) {
				users = append(users, w.User)
			}
		}
		if len(users) > 0 {
			d.try(ctx, "add people", d.fulfil(ctx, s, id, users))
		}
	}
	d.survey(ctx, s, live)
}

// inState lists the rooms in a state, by name.
func (d *Device) inState(state RoomState) []groups.RoomID {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []groups.RoomID
	for _, r := range d.rooms {
		if r.State == state && !r.Leaving && !r.parked {
			list = append(list, r.Room)
		}
	}
	slices.Sort(list)
	return list
}

// nextDue returns how long until a room needs a commit.
func (d *Device) nextDue(s *session) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	wait := time.Hour
	for _, at := range s.due {
		wait = min(wait, at.Sub(d.cfg.Now()))
	}
	return max(wait, 0)
}

// tidy commits what waits in the rooms whose time has come, and makes new keys
// where the old ones have ended.
func (d *Device) tidy(ctx context.Context, s *session) {
	d.mu.Lock()
	var list []groups.RoomID
	for id, at := range s.due {
		if !at.After(d.cfg.Now()) {
			list = append(list, id)
			delete(s.due, id)
		}
	}
	d.mu.Unlock()
	slices.Sort(list)
	for _, id := range list {
		d.try(ctx, "key record", d.publishRecord(ctx, s, id))
		err := d.commit(ctx, s, id, needed)
		if err != nil && kindOf(err).Temporary() {
			d.mu.Lock()
			d.attend(id, commitSpread)
			d.mu.Unlock()
		}
		d.try(ctx, "commit", err)
		d.wakeOutbox()
	}
}

// needed is the plan of a commit that is made only if the room needs one.
func needed(r *room) (mls.CommitOptions, error) {
	switch {
	case r.proposed():
		return mls.CommitOptions{}, nil
	case r.ousted() || !r.renews():
		return mls.CommitOptions{}, errNothing
	}
	r.reason = r.why()
	return mls.CommitOptions{ForcePath: true}, nil
}

// ousted says whether this device is to be removed: then somebody else commits.
func (r *room) ousted() bool {
	own := r.group.OwnLeaf()
	return slices.ContainsFunc(r.group.PendingProposals(), func(p tree.Sent) bool {
		return p.Proposal.Remove != nil && p.Proposal.Remove.Removed == own
	})
}

// proposed says whether there are proposals that this device may commit.
func (r *room) proposed() bool { return len(r.group.PendingProposals()) > 0 && !r.ousted() }

// kept notes that the session's first round of upkeep is done.
func (d *Device) kept(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.kept = true
	d.signal()
}

// Settled waits until this device has done what its rooms wait for: devices that
// are new are added, and the proposals of others, to leave for one, committed. It
// returns at once while the device is offline; what is not done when ctx ends is
// for whoever is online next.
func (d *Device) Settled(ctx context.Context) error {
	err := d.wait(ctx, func() (bool, error) {
		if d.session == nil {
			return true, nil
		}
		if !d.session.kept {
			return false, nil
		}
		for _, r := range d.rooms {
			if r.State != RoomLive || r.parked {
				continue
			}
			if err := d.viewGroup(r); err != nil {
				return false, err
			}
			if r.proposed() {
				return false, nil
			}
		}
		return true, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// survey finds devices that people of these rooms have enrolled since, and adds
// them: those of our own user, and, as an admin, those of others of our site.
func (d *Device) survey(ctx context.Context, s *session, rooms []groups.RoomID) {
	byUser := d.interesting(rooms)
	for _, u := range slices.Sorted(maps.Keys(byUser))[:min(len(byUser), maxSurvey)] {
		list, err := d.Devices(ctx, u)
		if err != nil {
			d.try(ctx, "list devices", err)
			continue
		}
		for _, id := range byUser[u] {
			missing, err := d.missing(id, u, list)
			d.try(ctx, "survey", err)
			if len(missing) > 0 {
				d.try(ctx, "add devices", d.addMissing(ctx, s, id, missing))
			}
		}
	}
}

// interesting lists the people whose new devices this device may add, and
// where.
func (d *Device) interesting(rooms []groups.RoomID) map[groups.UserID][]groups.RoomID {
	byUser := make(map[groups.UserID][]groups.RoomID)
	for _, id := range rooms {
		byUser[d.User()] = append(byUser[d.User()], id)
		d.try(context.Background(), "survey", d.change(id, func(tx Tx, r *room) error {
			if !r.policy.Admin(d.User()) || r.Users > maxSurvey {
				return nil
			}
			if err := d.openGroup(tx, r); err != nil {
				return err
			}
			for u := range r.roster().users {
				if u != d.User() && u.Site() == d.id.Site() {
					byUser[u] = append(byUser[u], id)
				}
			}
			return nil
		}))
	}
	return byUser
}

// missing returns the devices of a user that are new: they have key packages,
// are not in the room, and were neither removed from it nor there before us.
func (d *Device) missing(id groups.RoomID, u groups.UserID, list []DeviceInfo) (missing []groups.DeviceID, err error) {
	err = d.change(id, func(tx Tx, r *room) error {
		if err := d.openGroup(tx, r); err != nil {
			return err
		}
		for _, info := range list {
			out := info.KeyPackages > 0 && !r.roster().has(info.Device)
			if out && !slices.Contains(r.Gone, info.Device) && !slices.Contains(r.Known, info.Device) && len(r.Gone) < maxGone {
				missing = append(missing, info.Device)
			}
		}
		if r.Surveyed || u != d.User() {
			return nil
		}
		r.Known, r.Surveyed, r.moved = append(r.Known, missing...), true, true
		r.Known = r.Known[:min(len(r.Known), maxGone)]
		missing = nil
		return nil
	})
	return missing, err
}

// addMissing adds devices, unless somebody else has meanwhile.
func (d *Device) addMissing(ctx context.Context, s *session, id groups.RoomID, devices []groups.DeviceID) error {
	got, err := d.claim(ctx, s, id, []groups.UserID{devices[0].User()})
	if err != nil {
		return err
	}
	maps.DeleteFunc(got.packages, func(device groups.DeviceID, _ *wire.KeyPackage) bool { return !slices.Contains(devices, device) })
	return d.addPackages(ctx, s, id, got.packages)
}

// A DeviceInfo is what the gateway knows of a device of this site.
type DeviceInfo struct {
	Device      groups.DeviceID
	KeyPackages int
	LastSeen    time.Time
}

// Devices lists the devices of a person of this site.
func (d *Device) Devices(ctx context.Context, user groups.UserID) ([]DeviceInfo, error) {
	s, err := d.online("list devices")
	if err != nil {
		return nil, err
	}
	var answer devicev1.ListDevicesResponse
	if err := s.link.Call(ctx, &devicev1.ListDevicesRequest{User: string(user)}, &answer); err != nil {
		return nil, fmt.Errorf("list devices of %s: %w", user, err)
	}
	list := make([]DeviceInfo, 0, len(answer.Devices))
	for _, info := range answer.Devices {
		device, err := groups.ParseDeviceID(info.Device)
		if err != nil || device.User() != user {
			return nil, groups.Errorf(groups.Invalid, "the gateway lists %q among the devices of %s", clip(info.Device), user)
		}
		seen := time.Time{}
		if info.LastSeenUnix > 0 {
			seen = time.Unix(info.LastSeenUnix, 0)
		}
		list = append(list, DeviceInfo{device, int(info.KeyPackages), seen})
	}
	return list, nil
}
