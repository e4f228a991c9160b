package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

// An invitation is a Welcome on its way to becoming a room.
type invitation struct {
	room    groups.RoomID
	welcome *devicev1.Welcome
	head    groups.Head
	ref     []byte // of our key package
	kp      *mls.KeyPackage
	suite   *suite.Suite
	group   *mls.Group
	fresh   *room // what the room will be
}

// join uses a Welcome. One that can not be used is reported and left where it
// is; it never stops the session. Errors are those of the store and the link.
func (d *Device) join(ctx context.Context, s *session, w *devicev1.Welcome) error {
	in := &invitation{welcome: w}
	err := d.accept(ctx, s, in)
	switch {
	case errors.Is(err, errEarlyWelcome):
		return nil
	case errors.Is(err, errKnownWelcome), errors.Is(err, mls.ErrNotForUs):
	case errors.Is(err, errUnusableWelcome):
		d.meets(err)
		d.cfg.Log.Warn("welcome can not be used", "room", w.Room, "seq", w.Seq, "error", err)
		d.feed.publish(Event{Kind: EventAlarm, Room: in.room, Alarm: &Alarm{
			Room: in.room, Seq: groups.Seq(w.Seq), Kind: AlarmCommit, Text: fmt.Sprintf("an invitation can not be used: %v", err),
		}})
		return nil
	case err != nil:
		return err
	default:
		d.mu.Lock()
		delete(s.over, in.room) // a new stay
		delete(s.gaps, in.room)
		d.mu.Unlock()
	}
	return s.link.Call(ctx, &devicev1.AckRequest{Welcomes: []*devicev1.Cursor{{Room: w.Room, Seq: w.Seq}}}, &devicev1.AckResponse{})
}

var (
	// errKnownWelcome says that a Welcome has been used before.
	errKnownWelcome = errors.New("welcome is known")
	// errEarlyWelcome says that a Welcome has to wait.
	errEarlyWelcome = errors.New("welcome has to wait")
	// errUnusableWelcome says that a Welcome is not what it should be.
	errUnusableWelcome = errors.New("unusable welcome")
)

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errUnusableWelcome, fmt.Errorf(format, args...))
}

// accept takes a Welcome through all checks and makes the room.
func (d *Device) accept(ctx context.Context, s *session, in *invitation) error {
	if err := d.checkWelcome(ctx, s, in); err != nil {
		return err
	}
	if err := d.findKeyPackage(in); err != nil {
		return err
	}
	tree, err := d.fetchBlob(ctx, s, in.room, in.welcome.Tree)
	if err != nil {
		return err
	}
	me, err := d.self.Load().mls(in.suite)
	if err != nil {
		return unusable("%w", err)
	}
	row := roomRow{Room: in.room, State: RoomLive, Suite: uint16(in.suite.ID())}
	if in.fresh, err = newRoom(row); err != nil {
		return err
	}
	in.fresh.at = d.cfg.Now()
	// Whether basic credentials are let in is the policy's business, which is
	// known only when the Welcome is open: checkGroup looks again.
	in.fresh.policy.BasicCredentials = true
	in.group, err = mls.Join(mls.JoinOptions{
		Welcome: in.welcome.Welcome, KeyPackage: in.kp, Signer: me.Signer,
		RatchetTree: tree, Credentials: &validator{d, in.fresh},
		Policy: mls.Policy{Accept: groups.AcceptProposal}, Parallel: processors,
	})
	if err != nil {
		return unusable("%w", err)
	}
	if err := d.checkGroup(in); err != nil {
		return unusable("%w", err)
	}
	return d.enterRoom(in)
}

// checkWelcome checks what the gateway says about a Welcome.
func (d *Device) checkWelcome(ctx context.Context, s *session, in *invitation) error {
	w := in.welcome
	var err error
	if in.room, err = groups.ParseRoomID(w.Room); err != nil {
		return unusable("%w", err)
	}
	d.mu.Lock()
	r := d.rooms[in.room]
	known := r != nil && r.Joined >= groups.Seq(w.Seq)
	early := !known && s.waits(r, groups.Seq(w.Seq))
	full := r == nil && len(d.rooms) >= maxRooms
	d.mu.Unlock()
	if known {
		return errKnownWelcome
	}
	if early {
		return errEarlyWelcome
	}
	if full || w.Seq == 0 || len(w.EntryHash) != len(groups.Hash{}) {
		return unusable("room %s at entry %d", in.room, w.Seq)
	}
	head, err := d.pageHead(ctx, s, in.room, w.Head)
	if err != nil {
		return unusable("%w", err)
	}
	if head == nil || head.Head.Seq < groups.Seq(w.Seq) ||
		head.Head.Seq == groups.Seq(w.Seq) && !bytes.Equal(head.Head.Hash[:], w.EntryHash) {
		return unusable("its head does not cover entry %d", w.Seq)
	}
	in.head = head.Head
	return nil
}

// findKeyPackage finds which of our key packages the Welcome is for.
func (d *Device) findKeyPackage(in *invitation) error {
	m, err := wire.Unmarshal[wire.MLSMessage](in.welcome.Welcome)
	if err != nil || m.Welcome == nil {
		return unusable("it is not a Welcome: %v", err)
	}
	return d.cfg.Store.View(func(tx Tx) error {
		for i := range m.Welcome.Secrets {
			ref := m.Welcome.Secrets[i].NewMember
			b, err := tx.Get(TableKeyPackages, ref)
			if err != nil {
				return err
			}
			if b == nil {
				continue
			}
			in.ref = slices.Clone(ref)
			if in.kp, err = mls.LoadKeyPackage(slices.Clone(b)); err != nil {
				return damaged(TableKeyPackages, err)
			}
			in.suite, err = suite.Lookup(suite.ID(in.kp.Public.CipherSuite))
			return err
		}
		return mls.ErrNotForUs
	})
}

// checkGroup holds the group against the room it is said to be.
func (d *Device) checkGroup(in *invitation) error {
	context := in.group.GroupContext()
	if string(context.GroupID) != string(in.room) || context.Epoch != in.welcome.Epoch {
		return fmt.Errorf("it leads to epoch %d of %q", context.Epoch, clip(string(context.GroupID)))
	}
	if err := in.fresh.setPolicy(context.Extensions); err != nil {
		return err
	}
	in.fresh.group = in.group
	roster := in.fresh.roster()
	if leaf, ok := roster.byDevice[d.id]; !ok || leaf != in.group.OwnLeaf() {
		return errors.New("this device is not where it should be in the tree")
	}
	if len(roster.byLeaf) != in.group.Tree().Size() || len(roster.byDevice) != len(roster.byLeaf) {
		return errors.New("a member has no name, or two members have the same")
	}
	if in.fresh.policy.BasicCredentials {
		return nil
	}
	for _, b := range in.group.Tree().Members() {
		leaf, err := wire.Unmarshal[wire.LeafNode](b)
		if err != nil {
			return err
		}
		if leaf.Credential.CredentialType != wire.CredentialTypeX509 {
			return errors.New("a member has no certificate, which the policy asks for")
		}
	}
	return nil
}

// enterRoom makes the room, and uses up the key package, in one transaction.
func (d *Device) enterRoom(in *invitation) error {
	d.mu.Lock()
	r := in.fresh
	if old := d.rooms[in.room]; old != nil { // added again: the history stays
		r.Read, r.Unread, r.Alarms, r.Last, r.roomRow.Outbox = old.Read, old.Unread, old.Alarms, old.Last, old.roomRow.Outbox
		r.queue, r.untold = old.queue, old.untold
	}
	roster := r.roster()
	r.Joined, r.Seq, r.Epoch = groups.Seq(in.welcome.Seq), groups.Seq(in.welcome.Seq), groups.Epoch(in.welcome.Epoch)
	copy(r.Hash[:], in.welcome.EntryHash)
	r.Users, r.Devices = len(roster.users), len(roster.byLeaf)
	r.KeyMade = uint64(d.cfg.Now().UnixMilli())
	if in.head.Seq == r.Seq {
		r.KeyMade = in.head.Time
	}
	r.moved = true
	r.tell(Event{Kind: EventRoom})
	record, why := joinedKey(in)
	events, err := d.changeLocked(r, func(tx Tx, r *room) error {
		if err := r.joinKey(tx, record, why); err != nil {
			return err
		}
		for _, t := range []Table{TableGroups, TablePending, TableReading} {
			if err := deleteAll(tx, t, roomKey(r.Room)); err != nil {
				return err
			}
		}
		if err := tx.Delete(TableKeyPackages, in.ref); err != nil {
			return err
		}
		a := &applier{d: d, tx: tx, r: r, e: &groups.Entry{EntryHeader: groups.EntryHeader{
			Room: r.Room, Seq: r.Seq, Epoch: r.Epoch, AcceptedAt: r.KeyMade,
		}}}
		line := LogEntry{Seq: r.Seq, Hash: r.Hash, Epoch: r.Epoch, Kind: groups.KindCommit, Time: millis(r.KeyMade), Note: "this device was added"}
		if err := tx.Put(TableLog, seqKey(r.Room, uint64(r.Seq)), packRow(&line)); err != nil {
			return err
		}
		return a.changed(&Change{Epoch: r.Epoch, Added: []groups.DeviceID{d.id}}, "")
	})
	if err == nil {
		d.rooms[in.room] = r
		d.attend(in.room, d.cfg.Upkeep)
		d.signal()
	}
	d.mu.Unlock()
	d.feed.publish(events...)
	return err
}
