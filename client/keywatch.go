package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// watchKey looks after the key of a room in every round: whether the
// certificates it is wrapped to are still good, and whether a new key is due.
// Services that are down, slow or lying change nothing: messages go on under
// the key there is. Only what is known for certain stops them, until there is
// a good certificate again.
func (d *Device) watchKey(ctx context.Context, id groups.RoomID) error {
	policy, ok := d.communities(id)
	if !ok {
		return nil
	}
	err := d.desk.refresh(ctx, &policy)
	return errors.Join(unlessUnavailable(err), d.change(id, func(_ Tx, r *room) error {
		switch {
		case groups.KindOf(err) == groups.CoIRevoked:
			r.deny(textOf(err))
		case err == nil:
			r.replace = d.replaced(r)
			if r.Keys.Denied != "" && r.replace {
				r.Keys.Bad = "it is wrapped to a certificate that was revoked"
			}
			r.deny("")
		}
		if r.renews() {
			d.attend(r.Room, commitDelay(r))
		}
		return nil
	}))
}

// firstLook is how long the first message of a session waits for a look at the
// communities: services that are down or slow delay it by no more.
const firstLook = 3 * time.Second

// watchKeys looks after the keys of all rooms at the begin of a session, so that
// nothing is sent under a certificate that was revoked while this device was
// away.
func (d *Device) watchKeys(ctx context.Context, s *session) {
	look, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	for _, id := range d.inState(RoomLive) {
		if look.Err() != nil {
			break
		}
		d.try(ctx, "communities", d.watchKey(look, id))
	}
	d.mu.Lock()
	s.watched = true
	d.signal()
	d.mu.Unlock()
	poke(s.wakeSend)
}

// unlessUnavailable keeps the errors that an operator has to hear of.
func unlessUnavailable(err error) error {
	if groups.KindOf(err) == groups.CoIRevoked {
		return nil // it is told with the room
	}
	return err
}

// communities returns the policy of a live room that names communities.
func (d *Device) communities(id groups.RoomID) (groups.Policy, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[id]
	if r == nil || r.State != RoomLive || len(r.policy.CoIs) == 0 {
		return groups.Policy{}, false
	}
	return r.policy, true
}

// deny stops sending, or lets it go on.
func (r *room) deny(why string) {
	if r.Keys.Denied == why {
		return
	}
	r.Keys.Denied, r.moved = why, true
	r.tell(Event{Kind: EventRoom})
}

// replaced says whether a community of the key in use has another certificate
// now than the one the key was wrapped to.
func (d *Device) replaced(r *room) bool {
	if r.Keys.Record == nil {
		return false
	}
	k, err := groups.ParseKeyRecord(r.Keys.Record)
	if err != nil || len(k.Recipients) != len(r.policy.CoIs) {
		return false
	}
	for i := range r.policy.CoIs {
		s := d.desk.known(&r.policy.CoIs[i], false)
		if s != nil && sha256.Sum256(s.leaf.Raw) != k.Recipients[i].Certificate {
			return true
		}
	}
	return false
}

// publishRecord gives the current epoch a record if it lacks one: the commit
// that began it was made without, so that removing somebody did not wait for
// the services.
func (d *Device) publishRecord(ctx context.Context, s *session, id groups.RoomID) error {
	sub, err := d.draftRecord(id)
	for range maxFetches {
		need, missing := errors.AsType[*needCertificates](err)
		if !missing {
			break
		}
		if err := d.desk.fetch(ctx, need.policy); err != nil {
			return err
		}
		sub, err = d.draftRecord(id)
	}
	if err != nil || sub == nil {
		return err
	}
	seq, err := d.submitPatiently(ctx, s, sub)
	if kind := kindOf(err); err != nil && (kind == groups.Conflict || kind == groups.StaleEpoch) {
		return nil // somebody else was first
	}
	if err != nil {
		return err
	}
	return d.reach(ctx, id, seq)
}

// draftRecord makes the record of a bare epoch; nil if it is not bare.
func (d *Device) draftRecord(id groups.RoomID) (sub *devicev1.Submission, err error) {
	err = d.change(id, func(tx Tx, r *room) error {
		if len(r.policy.CoIs) == 0 || r.Keys.Record != nil || r.Keys.Bad != "" || r.State != RoomLive {
			return nil
		}
		if err := d.openGroup(tx, r); err != nil {
			return err
		}
		record, err := d.makeRecord(r.group, making{
			reason: groups.KeyRotatedByPolicy, prev: r.Keys.Last, since: r.Keys.Made, now: r.at,
		})
		if err != nil {
			return err
		}
		sid := newID()
		body := groups.RecordEntry{KeyRecord: record.Marshal(), Stamp: groups.AuthenticatedData{
			Device: d.id, ID: groups.SubmissionID(sid), Seq: r.Seq, Hash: r.Hash,
		}}
		sub = &devicev1.Submission{Room: string(id), Kind: uint32(groups.KindKeyRecord), Id: sid[:], Body: body.Marshal()}
		return nil
	})
	return sub, err
}
