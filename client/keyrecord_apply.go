package client

import (
	"bytes"
	"errors"
	"fmt"

	"parley/coi/wrap"
	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

// newKey takes the key record that came with a commit, which has been applied.
// A member holds it to the hub's rules, and to one that the hub can not know:
// that it commits to this epoch's very key. The commit stands whatever is wrong
// with the record, so that all members go on together; but nothing is sent
// under a key whose record is not right, and who wants to send makes another.
func (a *applier) newKey(record []byte, e groups.KeyEpoch) error {
	a.r.Keys.Record, a.r.Keys.Bad = nil, ""
	if record == nil {
		if len(a.r.policy.CoIs) > 0 && e.Added {
			return a.badKey(groups.Errorf(groups.Invalid, "a commit that adds somebody came without a key record"))
		}
		return nil
	}
	return a.takeRecord(a.r.group, record, e)
}

// takeRecord checks a record of the current epoch and keeps it.
func (a *applier) takeRecord(g *mls.Group, b []byte, e groups.KeyEpoch) error {
	k, err := groups.ParseKeyRecord(bytes.Clone(b))
	if err != nil {
		return a.badKey(err)
	}
	e.Prev, e.Since, e.At = a.r.Keys.Last, a.r.Keys.Made, a.e.AcceptedAt
	why := checkRecord(g, k, &a.r.policy, e)
	if err := a.keepKey(g, k, why); err != nil {
		return err
	}
	if why != nil {
		return a.badKey(why)
	}
	if err := a.r.keepTrail(a.tx, k); err != nil {
		return err
	}
	if a.line.Device == a.d.id {
		return a.d.announceLater(a.tx, a.r, k)
	}
	return nil
}

// checkRecord holds a record against the epoch it is for. The hub does not look
// into envelopes; a member does as far as it can without a key.
func checkRecord(g *mls.Group, k *groups.KeyRecord, p *groups.Policy, e groups.KeyEpoch) error {
	context := g.GroupContext()
	leaf, ok := g.Tree().Leaf(e.Author)
	if !ok {
		return groups.Errorf(groups.Invalid, "key record: leaf %d is blank", e.Author)
	}
	e.Context, e.Policy, e.Leaf = &context, p, &leaf
	if err := k.Check(&e); err != nil {
		return err
	}
	if err := wrap.Check(k.Envelope, len(p.CoIs), sealOptions(p)); err != nil {
		return groups.Errorf(groups.Invalid, "key record of epoch %d of %s: %w", k.Epoch, k.Room, err)
	}
	return checkKeyID(g, k)
}

// checkKeyID compares the key that a record commits to with the one this member
// has. It can be told at the start of an epoch only: later the room key is gone,
// as it should be.
func checkKeyID(g *mls.Group, k *groups.KeyRecord) error {
	key, id, err := roomKeyOf(g)
	if errors.Is(err, mls.ErrRoomKeyGone) {
		return nil
	}
	if err != nil {
		return err
	}
	key.Erase()
	if id != k.KeyID {
		return groups.Errorf(groups.Invalid, "the record of epoch %d of %s commits to another key than its members have", k.Epoch, k.Room)
	}
	return nil
}

// keepKey makes a record the room's last, and the history's.
func (a *applier) keepKey(g *mls.Group, k *groups.KeyRecord, why error) error {
	keys := &a.r.Keys
	keys.Record, keys.Last, keys.Made = k.Marshal(), k.Hash(), k.CreatedAt
	row := keyRow{Seq: a.e.Seq, At: a.e.AcceptedAt, Record: keys.Record}
	if leaf, ok := g.Tree().Leaf(wire.LeafIndex(k.AuthorLeaf)); ok {
		row.Author, row.Key = certificatesOf(&leaf.Credential), leaf.SignatureKey
	}
	if why != nil {
		row.Bad = why.Error()
	}
	return putJSON(a.tx, TableKeys, seqKey(a.r.Room, uint64(k.Epoch)), row)
}

// badKey raises the alarm over a record, and keeps this device from sending
// under its key.
func (a *applier) badKey(err error) error {
	a.r.Keys.Bad = err.Error()
	a.line.Note += " (its key record is not right: " + err.Error() + ")"
	a.r.alarm(&Alarm{
		Seq: a.e.Seq, Kind: AlarmKey, Device: a.line.Device,
		Text: fmt.Sprintf("%s made a key whose record is not right: %v; nothing is sent under it", a.line.Device, err),
	})
	return nil
}

// keyRecord takes a record that came after its commit, from any member.
func (a *applier) keyRecord() error {
	body, err := groups.ParseRecordEntry(a.e.Body)
	if err != nil {
		a.unusable("key record", err)
		return nil
	}
	if err := a.stamp(body.Stamp); err != nil {
		return err
	}
	if err := a.d.openGroup(a.tx, a.r); err != nil {
		return err
	}
	leaf, ok := a.r.roster().byDevice[a.line.Device]
	if !ok || a.r.Keys.Record != nil || a.e.Epoch != a.r.Epoch {
		a.unusable("key record", groups.Errorf(groups.Invalid, "it is of somebody else, or of an epoch that needs none"))
		return nil
	}
	a.line.Note = fmt.Sprintf("key record of epoch %d", a.e.Epoch)
	if err := a.takeRecord(a.r.group, body.KeyRecord, groups.KeyEpoch{Author: leaf, Late: true}); err != nil {
		return err
	}
	a.d.wakeOutbox()
	return nil
}

// flag notes a member's report of the room's configuration.
func (a *applier) flag() error {
	f, err := groups.ParseFlag(a.e.Body)
	if err != nil {
		a.unusable("flag", err)
		return nil
	}
	if err := a.stamp(f.Stamp); err != nil {
		return err
	}
	if err := a.d.openGroup(a.tx, a.r); err != nil {
		return err
	}
	leaf, ok := a.r.group.Tree().Leaf(wire.LeafIndex(f.AuthorLeaf))
	if !ok || a.r.roster().byLeaf[wire.LeafIndex(f.AuthorLeaf)] != a.line.Device {
		a.unusable("flag", groups.Errorf(groups.Invalid, "its author is not who sent it"))
		return nil
	}
	if err := f.Verify(a.r.group.Tree().Suite(), leaf.SignatureKey); err != nil {
		a.unusable("flag", err)
		return nil
	}
	a.line.Note = "the encryption configuration was reported to " + f.Officer
	a.r.tell(Event{Kind: EventRoom})
	return nil
}
