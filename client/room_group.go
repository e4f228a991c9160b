package client

import (
	"errors"
	"fmt"
	"slices"

	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// openGroup loads a room's group, if it is not in memory.
func (d *Device) openGroup(tx Tx, r *room) error {
	if r.group != nil {
		return nil
	}
	if r.State == RoomReading {
		return readingError(r.Room)
	}
	if r.State == RoomClosed {
		return closedError(r.Room, r.Why)
	}
	records, err := readRecords(tx, r.Room)
	if err != nil {
		return err
	}
	me, err := d.identity(r.Suite)
	if err != nil {
		return err
	}
	r.group, err = mls.Load(mls.LoadOptions{
		Records:     slices.Values(records),
		Signers:     []*suite.SignaturePrivateKey{me.Signer},
		Credentials: &validator{d, r},
		Policy:      mls.Policy{Accept: groups.AcceptProposal},
		Parallel:    processors,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", r.Room, err)
	}
	r.members = nil
	return nil
}

// readRecords reads what is stored of a room's group.
func readRecords(tx Tx, id groups.RoomID) (records []mls.Record, err error) {
	prefix := roomKey(id)
	err = tx.Scan(TableGroups, Range{Prefix: prefix}, func(key, value []byte) bool {
		records = append(records, mls.Record{Key: string(key[len(prefix):]), Value: slices.Clone(value)})
		return true
	})
	return records, err
}

// A pendingRow stands for a commit of ours that has left and is not in the log
// yet. Beside it lie the records that the commit leads to.
type pendingRow struct {
	Epoch groups.Epoch // it was made in
	Hash  groups.Hash  // of its body
}

// maxPending bounds the commits of one epoch that may be under way. A further
// one is refused until one of them, or another, has been ordered.
const maxPending = 8

// pendingKey is the key of a commit under way, and the prefix of its records.
func pendingKey(room groups.RoomID, id MessageID) []byte { return idKey(room, id) }

// keepPending writes down what a commit leads to, before it leaves (I7). If
// the commit is then found in the log, even after a crash, adoptOwn goes on
// from there.
func keepPending(tx Tx, r *room, id MessageID, body []byte, next *mls.Group) error {
	if len(r.next) >= maxPending {
		return groups.Errorf(groups.Busy, "%d commits of %s are under way", len(r.next), r.Room)
	}
	row := pendingRow{r.Epoch, groups.HashOf(body)}
	if err := putJSON(tx, TablePending, pendingKey(r.Room, id), row); err != nil {
		return err
	}
	for _, rec := range next.TakeChanges() {
		key := append(pendingKey(r.Room, id), rec.Key...)
		value := []byte{0} // to be deleted
		if rec.Value != nil {
			value = append([]byte{1}, rec.Value...)
		}
		if err := tx.Put(TablePending, key, value); err != nil {
			return err
		}
	}
	r.next[id] = next
	return nil
}

// dropPending forgets a commit that was refused.
func dropPending(tx Tx, r *room, id MessageID) error {
	delete(r.next, id)
	return deleteAll(tx, TablePending, pendingKey(r.Room, id))
}

// errNotPending says that a commit in our name is not one that we remember.
var errNotPending = errors.New("a commit of this device that it does not remember")

// adoptOwn makes what our own commit led to the room's group.
func (d *Device) adoptOwn(tx Tx, r *room, id MessageID, body []byte) (*mls.Group, error) {
	row, found, err := getJSON[pendingRow](tx, TablePending, pendingKey(r.Room, id))
	if err != nil {
		return nil, err
	}
	if !found || row.Hash != groups.HashOf(body) || row.Epoch != r.Epoch {
		return nil, errNotPending
	}
	if err := putRecords(tx, TableGroups, roomKey(r.Room), r.group.TakeChanges()); err != nil {
		return nil, err
	}
	records, err := pendingRecords(tx, r.Room, id)
	if err != nil {
		return nil, err
	}
	if err := putRecords(tx, TableGroups, roomKey(r.Room), records); err != nil {
		return nil, err
	}
	if next := r.next[id]; next != nil {
		return next, nil
	}
	old := *r
	r.group = nil
	err = d.openGroup(tx, r)
	next := r.group
	r.group, r.members = old.group, old.members
	return next, err
}

// pendingRecords reads the records a commit leads to.
func pendingRecords(tx Tx, room groups.RoomID, id MessageID) (records []mls.Record, err error) {
	prefix := pendingKey(room, id)
	err = tx.Scan(TablePending, Range{Prefix: prefix}, func(key, value []byte) bool {
		rec := mls.Record{Key: string(key[len(prefix):])}
		switch {
		case rec.Key == "" || len(value) == 0:
			return true
		case value[0] == 1:
			rec.Value = append([]byte{}, value[1:]...)
		}
		records = append(records, rec)
		return true
	})
	return records, err
}

// enter makes next the room's group: a new epoch has begun with the entry at
// hand.
func (a *applier) enter(next *mls.Group, maker groups.DeviceID) (*Change, error) {
	r, e := a.r, a.e
	old := r.policy
	was := r.group.Tree()
	roster := r.roster()
	if err := r.setPolicy(next.GroupContext().Extensions); err != nil {
		return nil, err
	}
	r.group = next
	added, removed := roster.follow(was, next.Tree())
	r.Epoch, r.worn, r.replace = groups.Epoch(next.Epoch()), false, false
	r.Users, r.Devices = len(roster.users), len(roster.byLeaf)
	r.KeyMade, r.KeyMessages, r.KeyMaker = e.AcceptedAt, 0, maker
	r.next = make(map[MessageID]*mls.Group)
	r.noteGone(added, removed)
	if len(added) > 0 {
		r.Watch = watchRow{} // whoever is new is asked about at once
	}
	if err := deleteAll(a.tx, TablePending, roomKey(r.Room)); err != nil {
		return nil, err
	}
	changed := !slices.Equal(encodedPolicy(&old), encodedPolicy(&r.policy))
	return &Change{Epoch: r.Epoch, Added: added, Removed: removed, Policy: changed}, nil
}

// encodedPolicy is a policy in bytes, to be compared.
func encodedPolicy(p *groups.Policy) []byte { return p.Extension().ExtensionData }

// noteGone remembers who was removed, and forgets who was added again.
func (r *room) noteGone(added, removed []groups.DeviceID) {
	r.Gone = slices.DeleteFunc(r.Gone, func(d groups.DeviceID) bool { return slices.Contains(added, d) })
	for _, d := range removed {
		if len(r.Gone) < maxGone && !slices.Contains(r.Gone, d) && !slices.Contains(added, d) {
			r.Gone = append(r.Gone, d)
		}
	}
}

// close ends a room for this device: its keys go, its history stays.
func (a *applier) close(why string) error {
	r := a.r
	r.State, r.Why = RoomClosed, why
	r.group, r.members, r.moved = nil, nil, true
	r.next = make(map[MessageID]*mls.Group)
	for _, it := range r.queue {
		if it.State == Queued || it.State == Sent {
			it.State, it.Problem = Failed, closedError(r.Room, why).Text
			if err := it.put(a.tx); err != nil {
				return err
			}
			r.tell(Event{Kind: EventDelivery, Message: it.message()})
		}
	}
	for _, t := range []Table{TableGroups, TablePending, TableWishes} {
		if err := deleteAll(a.tx, t, roomKey(r.Room)); err != nil {
			return err
		}
	}
	r.tell(Event{Kind: EventRoom})
	return nil
}

// leafCapabilities are what this device's leaves support: the room's policy
// beside what the engine does.
func leafCapabilities() wire.Capabilities { return mls.DefaultCapabilities(groups.PolicyExtension) }
