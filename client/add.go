package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

const (
	// maxAdds bounds the devices added in one commit: their Welcome has to
	// stay an attachment.
	maxAdds = 200
	// maxClaim bounds the people of one claim.
	maxClaim = 64
	// maxWishes bounds the people who wait to be added to a room.
	maxWishes = 10_000
)

// Add wishes people into a room and fulfils what can be fulfilled now: every
// device of theirs that has key packages is added. Who could not be added is in
// the answer, with the reason, and is tried again by this device until it is
// done or given up with Unwish: that a site is not reachable never blocks a
// room. The error says why nothing at all could be tried.
func (d *Device) Add(ctx context.Context, id groups.RoomID, users ...groups.UserID) ([]Wish, error) {
	err := d.change(id, func(tx Tx, r *room) error {
		if r.State == RoomClosed {
			return closedError(r.Room, r.Why)
		}
		return r.wish(tx, users)
	})
	if err != nil {
		return nil, err
	}
	s, err := d.online("add to " + string(id))
	if err == nil {
		err = d.fulfil(ctx, s, id, users)
	}
	if kindOf(err) == groups.Denied || kindOf(err) == groups.Invalid {
		return nil, errors.Join(err, d.Unwish(id, users...))
	}
	waiting, bad := d.Wishes(id)
	waiting = slices.DeleteFunc(waiting, func(w Wish) bool { return !slices.Contains(users, w.User) })
	return waiting, errors.Join(err, bad)
}

// wish writes down who is to be added. Devices of theirs that were removed may
// come again.
func (r *room) wish(tx Tx, users []groups.UserID) error {
	there, err := scanJSON[Wish](tx, TableWishes, roomKey(r.Room), maxWishes)
	if err != nil {
		return err
	}
	if len(there)+len(users) > maxWishes {
		return groups.Errorf(groups.Busy, "%d people wait to be added to %s", len(there), r.Room)
	}
	r.moved = true
	r.Gone = slices.DeleteFunc(r.Gone, func(d groups.DeviceID) bool { return slices.Contains(users, d.User()) })
	r.Known = slices.DeleteFunc(r.Known, func(d groups.DeviceID) bool { return slices.Contains(users, d.User()) })
	for _, u := range users {
		if _, err := groups.ParseUserID(string(u)); err != nil {
			return err
		}
		w := Wish{Room: r.Room, User: u, Since: r.at, Why: "not tried yet"}
		if err := putJSON(tx, TableWishes, wishKey(r.Room, u), w); err != nil {
			return err
		}
	}
	r.tell(Event{Kind: EventRoom})
	return nil
}

func wishKey(room groups.RoomID, u groups.UserID) []byte { return append(roomKey(room), u...) }

// Unwish gives up adding people.
func (d *Device) Unwish(id groups.RoomID, users ...groups.UserID) error {
	return d.change(id, func(tx Tx, r *room) error {
		for _, u := range users {
			if err := tx.Delete(TableWishes, wishKey(r.Room, u)); err != nil {
				return err
			}
		}
		r.tell(Event{Kind: EventRoom})
		return nil
	})
}

// Wishes lists who waits to be added to a room, by name.
func (d *Device) Wishes(id groups.RoomID) (list []Wish, err error) {
	err = d.cfg.Store.View(func(tx Tx) error {
		list, err = scanJSON[Wish](tx, TableWishes, roomKey(id), maxWishes)
		return err
	})
	return list, err
}

// fulfil claims key packages of users and adds all devices that are not in the
// room. Whose devices are in it then has their wish fulfilled.
func (d *Device) fulfil(ctx context.Context, s *session, id groups.RoomID, users []groups.UserID) error {
	for part := range slices.Chunk(users, maxClaim) {
		got, err := d.claim(ctx, s, id, part)
		if err != nil {
			return d.granted(id, part, got, err)
		}
		if err := d.granted(id, part, got, d.addPackages(ctx, s, id, got.packages)); err != nil {
			return err
		}
	}
	return nil
}

// addPackages adds devices by their key packages, at most maxAdds with one
// commit.
func (d *Device) addPackages(ctx context.Context, s *session, id groups.RoomID, packages map[groups.DeviceID]*wire.KeyPackage) error {
	devices := slices.Sorted(maps.Keys(packages))
	for part := range slices.Chunk(devices, maxAdds) {
		err := d.commit(ctx, s, id, func(r *room) (mls.CommitOptions, error) {
			var o mls.CommitOptions
			var asked groups.Change
			for _, device := range part {
				if !r.roster().has(device) {
					o.Adds = append(o.Adds, packages[device])
					asked.Added = append(asked.Added, device)
				}
			}
			if len(o.Adds) == 0 {
				return o, errNothing
			}
			return o, r.policy.Check(d.id, asked)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// granted ends the wishes that are fulfilled and notes why others are not.
func (d *Device) granted(id groups.RoomID, users []groups.UserID, got claimed, failed error) error {
	err := d.change(id, func(tx Tx, r *room) error {
		if err := d.openGroup(tx, r); err != nil {
			return err
		}
		r.moved = true
		for _, u := range users {
			w, waits, err := getJSON[Wish](tx, TableWishes, wishKey(r.Room, u))
			if err != nil {
				return err
			}
			why := d.whyNot(r, u, got, failed)
			switch {
			case !waits:
				continue
			case why == "":
				err = tx.Delete(TableWishes, wishKey(r.Room, u))
			default:
				w.Why, w.Next = why, r.at.Add(wishPause(w.Tries))
				w.Tries++
				err = putJSON(tx, TableWishes, wishKey(r.Room, u), w)
			}
			if err != nil {
				return err
			}
		}
		r.tell(Event{Kind: EventRoom})
		return nil
	})
	return errors.Join(failed, err)
}

const (
	// A wish is tried again after wishFirst, then ever later, up to wishLast: a
	// gateway answers ten claims an hour about one person.
	wishFirst = 20 * time.Second
	wishLast  = 10 * time.Minute
)

// wishPause is how long a wish rests after so many tries.
func wishPause(tries int) time.Duration {
	rest := wishFirst
	for range min(tries, 8) {
		rest = min(rest*5/2, wishLast)
	}
	return rest
}

// whyNot says why a user's wish is not fulfilled, empty if it is.
func (d *Device) whyNot(r *room, u groups.UserID, got claimed, failed error) string {
	there := r.roster().users[u] > 0
	if failed != nil {
		return failed.Error()
	}
	for device := range got.packages {
		if device.User() == u && !r.roster().has(device) {
			return fmt.Sprintf("%s is not in yet", device.Name())
		}
	}
	switch why := got.failed[u]; {
	case why != "" && !there:
		return why
	case !there:
		return fmt.Sprintf("%s has no device with key packages", u.Name())
	}
	return ""
}
