package client

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"parley/coi"
	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

// An applier applies one entry of a room's log, in a transaction that holds
// the cursor, the ratchets and the plaintext together (I6).
type applier struct {
	d    *Device
	tx   Tx
	r    *room
	e    *groups.Entry
	line LogEntry
	// ask says that a commit with somebody of an unknown site is to be tried
	// again when trust has been fetched, instead of being found bad.
	ask bool
}

// errStranger says that a commit brings somebody whose site's CA is not known.
var errStranger = errors.New("somebody of an unknown site")

// apply applies an entry. What is wrong with the entry's content is written
// into the log and never stops the room; what is wrong with the chain is an
// *Alarm, and nothing of the entry is applied.
func (a *applier) apply() error {
	tx, r, e := a.tx, a.r, a.e
	if e.Seq <= r.Seq {
		return nil // it was delivered twice, and is applied once
	}
	if err := a.follows(); err != nil {
		return err
	}
	r.moved = true
	r.at = millis(e.AcceptedAt)
	hash := e.Hash()
	a.line = LogEntry{Seq: e.Seq, Hash: hash, Epoch: e.Epoch, Kind: e.Kind, Time: r.at, Size: len(e.Body)}
	if err := a.body(); err != nil {
		return fmt.Errorf("entry %d of %s: %w", e.Seq, r.Room, err)
	}
	r.Seq, r.Hash, r.Time = e.Seq, hash, e.AcceptedAt
	return tx.Put(TableLog, seqKey(r.Room, uint64(e.Seq)), packRow(&a.line))
}

// follows checks that the entry is the next one (I5).
func (a *applier) follows() error {
	r, e := a.r, a.e
	chain := func(format string, args ...any) error {
		return &Alarm{Room: r.Room, Seq: e.Seq, Kind: AlarmChain, Text: fmt.Sprintf(format, args...)}
	}
	switch {
	case e.Room != r.Room:
		return chain("entry of %s was given to %s", e.Room, r.Room)
	case e.Seq != r.Seq+1:
		return errGap
	case e.Prev != r.Hash:
		a := chain("entry %d follows %s, here is %s: the hub shows two histories", e.Seq, e.Prev, r.Hash)
		a.(*Alarm).Kind = AlarmFork
		return a
	case e.AcceptedAt < r.Time:
		return chain("entry %d: time runs backwards", e.Seq)
	case e.BodyHash != sha256.Sum256(e.Body):
		return chain("entry %d: its body has another hash", e.Seq)
	}
	return nil
}

// errGap says that entries are missing between the cursor and what came.
var errGap = errors.New("entries are missing")

// body does what the entry says.
func (a *applier) body() error {
	switch a.e.Kind {
	case groups.KindCreate:
		return a.create()
	case groups.KindCommit:
		return a.commit()
	case groups.KindProposal:
		return a.proposal()
	case groups.KindMessage:
		return a.message()
	case groups.KindKeyRecord:
		return a.keyRecord()
	case groups.KindFlag:
		return a.flag()
	}
	a.line.Note = "of a kind that this version does not know"
	return nil
}

// stamp notes who submitted the entry, and compares the history its sender
// had seen with ours: a hub that shows two is found here.
func (a *applier) stamp(s groups.AuthenticatedData) error {
	a.line.Device, a.line.ID = s.Device, MessageID(s.ID)
	if s.Seq == 0 || s.Seq < a.r.Joined {
		return nil // from before our time
	}
	ours, known := a.r.Hash, s.Seq == a.r.Seq
	if !known && s.Seq < a.r.Seq {
		b, err := a.tx.Get(TableLog, seqKey(a.r.Room, uint64(s.Seq)))
		if err != nil || b == nil {
			return err
		}
		var line LogEntry
		if err := unpackRow(TableLog, b, &line); err != nil {
			return err
		}
		ours, known = line.Hash, true
	}
	if known && ours == s.Hash {
		return nil
	}
	a.r.alarm(&Alarm{
		Seq: a.e.Seq, Kind: AlarmFork, Device: s.Device,
		Text: fmt.Sprintf("%s has seen entry %d as %s, here it is %s: the hub shows two histories", s.Device, s.Seq, s.Hash, ours),
	})
	return nil
}

// create takes the first entry, which only the room's maker sees.
func (a *applier) create() error {
	g, err := groups.ParseGenesis(a.e.Body)
	if err != nil {
		a.line.Note = err.Error()
		return nil
	}
	a.line.Device, a.line.ID = g.Stamp.Device, MessageID(g.Stamp.ID)
	if a.r.State != RoomCreating || string(a.e.Body) != string(a.r.Genesis) {
		return &Alarm{
			Room: a.r.Room, Seq: a.e.Seq, Kind: AlarmForged, Device: g.Stamp.Device,
			Text: fmt.Sprintf("%s does not begin as this device made it", a.r.Room),
		}
	}
	a.r.State, a.r.Genesis = RoomLive, nil
	a.r.Joined, a.r.KeyMade, a.r.KeyMaker = a.e.Seq, a.e.AcceptedAt, g.Stamp.Device
	a.r.tell(Event{Kind: EventRoom})
	if g.KeyRecord != nil {
		if err := a.d.openGroup(a.tx, a.r); err != nil {
			return err
		}
		if err := a.takeRecord(a.r.group, g.KeyRecord, groups.KeyEpoch{}); err != nil {
			return err
		}
	}
	return a.changed(&Change{Added: []groups.DeviceID{g.Stamp.Device}}, g.Stamp.Device)
}

// unusable notes an entry that members can not use.
func (a *applier) unusable(what string, err error) {
	a.line.Note = "unusable " + what + ": " + err.Error()
	a.d.cfg.Log.Warn("unusable entry", "room", a.r.Room, "seq", a.e.Seq, "kind", a.e.Kind, "error", err)
}

// handshake reads a PublicMessage and its stamp.
func (a *applier) handshake(message []byte) (*wire.PublicMessage, error) {
	m, err := wire.Unmarshal[wire.MLSMessage](message)
	if err != nil {
		return nil, err
	}
	if m.PublicMessage == nil {
		return nil, errors.New("it is not a public message")
	}
	s, err := groups.ParseAuthenticatedData(m.PublicMessage.Content.AuthenticatedData)
	if err != nil {
		return nil, err
	}
	return m.PublicMessage, a.stamp(s)
}

// proposal keeps a proposal until a commit covers it; any member that is
// online commits it after a while.
func (a *applier) proposal() error {
	if _, err := a.handshake(a.e.Body); err != nil {
		a.unusable("proposal", err)
		return nil
	}
	if err := a.d.openGroup(a.tx, a.r); err != nil {
		return err
	}
	result, err := a.r.group.Handle(a.e.Body, a.r.at)
	if err != nil && !errors.Is(err, mls.ErrOwnMessage) {
		a.unusable("proposal", err)
		return nil
	}
	if err == nil && result.Change.Proposal != nil && result.Change.Proposal.Remove != nil {
		a.line.Note = "remove " + string(a.r.roster().byLeaf[result.Change.Proposal.Remove.Removed])
	}
	a.d.attend(a.r.Room, commitDelay(a.r))
	return nil
}

// commit begins a new epoch.
func (a *applier) commit() error {
	bundle, err := groups.ParseCommitBundle(a.e.Body)
	if err != nil {
		return a.badCommit(err)
	}
	if _, err := a.handshake(bundle.Commit); err != nil {
		return a.badCommit(err)
	}
	if err := a.d.openGroup(a.tx, a.r); err != nil {
		return err
	}
	maker := a.line.Device
	if maker == a.d.id {
		next, err := a.d.adoptOwn(a.tx, a.r, a.line.ID, a.e.Body)
		if errors.Is(err, errNotPending) {
			return a.badCommit(err)
		}
		if err != nil {
			return err
		}
		own := groups.KeyEpoch{Author: next.OwnLeaf(), Late: true} // what it did was ours to say
		return a.entered(next, maker, bundle.KeyRecord, own)
	}
	result, err := a.r.group.Handle(bundle.Commit, a.r.at)
	if a.ask && coi.ReasonOf(err) == coi.UnknownSite {
		return errStranger
	}
	if err != nil {
		return a.badCommit(err)
	}
	if err := a.allowed(maker, &result.Change, bundle.Warrants); err != nil {
		return a.badCommit(err)
	}
	if result.Removed {
		why := fmt.Sprintf("this device was removed by %s", maker)
		if a.r.Leaving {
			why = "this device has left"
		}
		a.line.Note = why
		if err := a.changed(&Change{Removed: []groups.DeviceID{a.d.id}}, maker); err != nil {
			return err
		}
		return a.close(why)
	}
	c := &result.Change
	e := groups.KeyEpoch{Author: c.Sender, Added: len(c.Added) > 0, Removed: len(c.Removed) > 0}
	return a.entered(result.Next, maker, bundle.KeyRecord, e)
}

// entered finishes a commit.
func (a *applier) entered(next *mls.Group, maker groups.DeviceID, record []byte, e groups.KeyEpoch) error {
	change, err := a.enter(next, maker)
	if err != nil {
		return err
	}
	a.line.Note = describe(change)
	if err := a.newKey(record, e); err != nil {
		return err
	}
	a.r.tell(Event{Kind: EventRoom})
	a.d.wakeOutbox()
	return a.changed(change, maker)
}

// badCommit notes a commit that breaks a rule although the hub has ordered
// it. The group stays where it was: what follows can not be read until this
// device is added again.
func (a *applier) badCommit(err error) error {
	a.unusable("commit", err)
	a.r.alarm(&Alarm{
		Seq: a.e.Seq, Kind: AlarmCommit, Device: a.line.Device,
		Text: fmt.Sprintf("the hub has ordered a commit that breaks the rules: %v", err),
	})
	return nil
}
