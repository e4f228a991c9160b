package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

// Remove removes people with all their devices. What they were sent before
// stays theirs; what follows they can not read.
func (d *Device) Remove(ctx context.Context, id groups.RoomID, users ...groups.UserID) error {
	if slices.Contains(users, d.User()) {
		return wrongArgument("%s can not be removed by their own device: leave the room", d.User())
	}
	if err := d.Unwish(id, users...); err != nil {
		return err
	}
	return d.removeWhere(ctx, id, func(device groups.DeviceID) bool { return slices.Contains(users, device.User()) }, nil)
}

// RemoveDevices removes devices. They are not added again by themselves.
func (d *Device) RemoveDevices(ctx context.Context, id groups.RoomID, devices ...groups.DeviceID) error {
	if slices.Contains(devices, d.id) {
		return wrongArgument("%s can not remove itself: leave the room", d.id)
	}
	return d.removeWhere(ctx, id, func(device groups.DeviceID) bool { return slices.Contains(devices, device) }, nil)
}

// removeWhere removes the devices that match. NotFound says that none does. With
// a warrant a device is removed that this one may not remove otherwise.
func (d *Device) removeWhere(ctx context.Context, id groups.RoomID, match func(groups.DeviceID) bool, warrants map[groups.DeviceID]groups.Warrant) error {
	s, err := d.online("remove from " + string(id))
	if err != nil {
		return err
	}
	found := false
	err = d.commit(ctx, s, id, func(r *room) (mls.CommitOptions, error) {
		var o mls.CommitOptions
		var asked groups.Change
		for leaf, device := range r.roster().byLeaf {
			w, warranted := warrants[device]
			switch {
			case !match(device):
				continue
			case !warranted || d.mayRemove(r, device):
				asked.Removed = append(asked.Removed, device)
			case len(r.warrants) == groups.MaxWarrants:
				continue // the next commit's
			default:
				r.warrants = append(r.warrants, w)
			}
			o.Removes = append(o.Removes, leaf)
		}
		if len(o.Removes) == 0 {
			return o, errNothing
		}
		found = true
		slices.Sort(o.Removes)
		return o, r.policy.Check(d.id, asked)
	})
	if err == nil && !found {
		return groups.Errorf(groups.NotFound, "nobody to be removed is in %s", id)
	}
	return err
}

// Rekey makes a new key for a room, because a person has asked for it, as
// RekeyFor does.
func (d *Device) Rekey(ctx context.Context, id groups.RoomID) error {
	return d.RekeyFor(ctx, id, groups.KeyRotatedByUser)
}

// RekeyFor makes a new key for a room, with the reason that its record gives:
// KeyRotatedByUser, KeyRotatedByPolicy or KeyCertificateReplaced. If the room's
// keys are wrapped to communities, the person has to have accepted for what
// policy and certificates (Inspect, Accept), else it is Denied, and the cause
// is an Unaccepted. What devices do by themselves, and commits that add or
// remove somebody, are not held to that.
func (d *Device) RekeyFor(ctx context.Context, id groups.RoomID, why groups.KeyReason) error {
	if why != groups.KeyRotatedByUser && why != groups.KeyRotatedByPolicy && why != groups.KeyCertificateReplaced {
		return wrongArgument("%v is not why a person makes a key", why)
	}
	s, err := d.online("make a key for " + string(id))
	if err != nil {
		return err
	}
	start := groups.Epoch(0)
	return d.commit(ctx, s, id, func(r *room) (mls.CommitOptions, error) {
		if start == 0 {
			start = r.Epoch + 1
		}
		if r.Epoch >= start {
			return mls.CommitOptions{}, errNothing // somebody else has made one
		}
		if err := r.accepted(nil); err != nil {
			return mls.CommitOptions{}, err
		}
		r.reason, r.Keys.asked = why, true
		return mls.CommitOptions{ForcePath: true}, nil
	})
}

// SetPolicy changes a room's policy, which only an admin may.
func (d *Device) SetPolicy(ctx context.Context, id groups.RoomID, p groups.Policy) error {
	s, err := d.online("change the policy of " + string(id))
	if err != nil {
		return err
	}
	return d.commit(ctx, s, id, func(r *room) (mls.CommitOptions, error) {
		extensions := withPolicy(r.group.GroupContext().Extensions, &p)
		return mls.CommitOptions{Extensions: &extensions}, r.policy.Check(d.id, groups.Change{Policy: &p})
	})
}

// withPolicy returns extensions with another policy.
func withPolicy(old wire.Extensions, p *groups.Policy) wire.Extensions {
	list := wire.Extensions{p.Extension()}
	for _, e := range old {
		if e.ExtensionType != groups.PolicyExtension {
			list = append(list, e)
		}
	}
	return list
}

// Leave asks the other members to remove this device: any of them that is
// online does, and the room then closes here. The last member of a room closes
// it alone.
func (d *Device) Leave(ctx context.Context, id groups.RoomID) error {
	s, err := d.online("leave " + string(id))
	if err != nil {
		return err
	}
	for range maxRebase {
		sub, err := d.proposeLeave(id)
		if err != nil || sub == nil {
			return err
		}
		seq, err := d.submitPatiently(ctx, s, sub)
		if err == nil {
			return d.leaving(ctx, id, seq)
		}
		remote, refused := errors.AsType[*groups.RemoteError](err)
		if !refused || remote.Kind != groups.StaleEpoch {
			return err
		}
		if err := d.reach(ctx, id, remote.Seq); err != nil {
			return err
		}
	}
	return groups.Errorf(groups.Busy, "%s changes too fast to leave it", id)
}

// proposeLeave makes the proposal to remove our own leaf; nil if there is
// nobody to ask.
func (d *Device) proposeLeave(id groups.RoomID) (*devicev1.Submission, error) {
	var sub *devicev1.Submission
	err := d.change(id, func(tx Tx, r *room) error {
		if err := d.openGroup(tx, r); err != nil {
			return err
		}
		if r.Devices == 1 {
			a := &applier{d: d, tx: tx, r: r, e: &groups.Entry{}}
			return a.close("this device has left; it was the last one")
		}
		sid := newID()
		stamp := groups.AuthenticatedData{Device: d.id, ID: groups.SubmissionID(sid), Seq: r.Seq, Hash: r.Hash}
		body, err := r.group.ProposeRemove(r.group.OwnLeaf(), mls.MessageOptions{Now: r.at, AuthenticatedData: stamp.Marshal()})
		if err != nil {
			return fmt.Errorf("leave %s: %w", id, err)
		}
		sub = &devicev1.Submission{Room: string(id), Kind: uint32(groups.KindProposal), Id: sid[:], Body: body}
		// The group keeps its own proposal. It counts when it is in the log, so
		// the group is read again without it.
		r.group, r.members = nil, nil
		return nil
	})
	return sub, err
}

// leaving notes that the hub has taken our proposal: nothing more is sent.
func (d *Device) leaving(ctx context.Context, id groups.RoomID, seq groups.Seq) error {
	err := d.change(id, func(_ Tx, r *room) error {
		r.Leaving, r.moved = true, true
		return nil
	})
	if err != nil {
		return err
	}
	return d.reach(ctx, id, seq)
}
