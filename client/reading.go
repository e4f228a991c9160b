package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/coi"
	"parley/groups"
	"parley/mls/wire"
)

// A reading is a room that this device reads without being a member, at one
// place of its log: it follows the log as another site does, by the public rules
// alone. It is a value, as a ledger is: take returns the next one.
//
// What it has read is durable, entry by entry, but shown only as far as the hub
// has signed it: that is roomRow.Seq. What lies beyond may be a gateway's
// invention, and is thrown away if it is.
type reading struct {
	ledger *groups.Ledger
	// recent are the epochs of which a message may still come, the current one
	// last; at most PastEpochs+1.
	recent []*pastEpoch
	base   int // bytes of the last checkpoint
	since  int // bytes of the entries after it
}

// liveDirectory judges credentials under the trust of the moment: what a ledger
// could not vouch for yesterday it may today.
type liveDirectory struct{ d *Device }

// Device implements groups.Directory.
func (l liveDirectory) Device(cred wire.Credential, signatureKey []byte, now time.Time) (groups.DeviceID, error) {
	return Directory{l.d.self.Load().trust}.Device(cred, signatureKey, now)
}

// take applies the next entry. What is wrong with it is an *Alarm, or errGap, or
// errStranger; nothing has changed then.
func (rd *reading) take(e *groups.Entry, raw []byte) (*reading, *groups.Step, error) {
	head := rd.ledger.Head()
	if e.Room == head.Room && e.Seq > head.Seq+1 {
		return nil, nil, errGap
	}
	step, err := rd.ledger.Replay(e)
	if err != nil {
		return nil, nil, rd.wrong(e, err)
	}
	next := &reading{ledger: step.Next, recent: rd.recent, base: rd.base, since: rd.since + len(raw)}
	switch e.Kind {
	case groups.KindCreate, groups.KindCommit:
		from := max(len(rd.recent)-groups.PastEpochs, 0)
		next.recent = append(slices.Clone(rd.recent[from:]), followedEpoch(step.Next))
	case groups.KindKeyRecord:
		next.recent = append(slices.Clone(rd.recent[:len(rd.recent)-1]), followedEpoch(step.Next))
	}
	return next, step, nil
}

// wrong says in what way an entry is wrong.
func (rd *reading) wrong(e *groups.Entry, err error) error {
	head := rd.ledger.Head()
	a := &Alarm{Room: head.Room, Seq: e.Seq, Kind: AlarmChain, Text: err.Error()}
	switch {
	case coi.ReasonOf(err) == coi.UnknownSite:
		return fmt.Errorf("%w: %w", errStranger, err)
	case e.Room == head.Room && e.Seq == head.Seq+1 && e.Prev != head.Hash:
		a.Kind = AlarmFork
		a.Text = fmt.Sprintf("entry %d follows %s, here is %s: the hub shows two histories", e.Seq, e.Prev, head.Hash)
	case e.Kind == groups.KindCommit:
		a.Kind = AlarmCommit
	}
	return a
}

// followedEpoch is the epoch that a ledger stands in.
func followedEpoch(l *groups.Ledger) *pastEpoch {
	return &pastEpoch{Past: l.Past(), ledger: l}
}

// epoch finds an epoch of which a message may still come, nil if it is not one.
func (rd *reading) epoch(n groups.Epoch) *pastEpoch {
	for _, e := range rd.recent {
		if groups.Epoch(e.Context.Epoch) == n {
			return e
		}
	}
	return nil
}

// minSince and leafBytes bound what is replayed after a restart: at most as much
// as the checkpoint is long, which is written once for that much. So following
// costs two writes of each byte, whatever the size of the room.
const (
	minSince  = 256 << 10
	leafBytes = 1 << 10 // of a member in a ledger, roughly
)

// due says whether it is time for a checkpoint.
func (rd *reading) due() bool {
	return rd.since > max(minSince, rd.base, rd.ledger.Members()*leafBytes*len(rd.recent))
}

// The kinds of row in TableReading, after the room's key.
const (
	readCheckpoint = 'c' // ledgers, as of the end of each recent epoch
	readEntry      = 'e' // entries since, by place
	readHeld       = 'h' // what entries leave behind that the hub has not signed yet, by place
	readEpoch      = 'k' // an epoch with messages that wait for its key, by number
	readProof      = 'p' // where a sender of such a message was, by epoch and leaf
)

func readingKey(room groups.RoomID, kind byte) []byte { return append(roomKey(room), kind) }

func readingSeq(room groups.RoomID, kind byte, n uint64) []byte {
	key := readingKey(room, kind)
	for shift := 56; shift >= 0; shift -= 8 {
		key = append(key, byte(n>>shift))
	}
	return key
}

// readingOf returns where this device has come in a room, from memory or from
// the store. The caller holds d.mu.
func (d *Device) readingOf(tx Tx, r *room) (*reading, error) {
	if r.reading != nil {
		return r.reading, nil
	}
	rd, err := d.loadReading(tx, r.Room)
	if err != nil {
		return nil, fmt.Errorf("load the reading of %s: %w", r.Room, err)
	}
	r.reading = rd
	return rd, nil
}

func (d *Device) loadReading(tx Tx, room groups.RoomID) (*reading, error) {
	rd := &reading{ledger: groups.NewLedger(room, liveDirectory{d})}
	b, err := tx.Get(TableReading, readingKey(room, readCheckpoint))
	if err != nil {
		return nil, err
	}
	if b != nil {
		if err := rd.restore(slices.Clone(b), liveDirectory{d}); err != nil {
			return nil, damaged(TableReading, err)
		}
	}
	var bad error
	err = tx.Scan(TableReading, Range{Prefix: readingKey(room, readEntry)}, func(_, value []byte) bool {
		raw := slices.Clone(value)
		e, err := groups.ParseEntry(raw)
		if err == nil {
			var next *reading
			if next, _, err = rd.take(e, raw); err == nil {
				rd = next
			}
		}
		bad = err
		return bad == nil
	})
	if bad != nil {
		bad = damaged(TableReading, bad)
	}
	return rd, errors.Join(err, bad)
}

// checkpoint writes the ledgers, and forgets the entries that led to them:
//
//	struct { uint8 version; opaque ledger<V>; /* one or more */ } Checkpoint;
func (rd *reading) checkpoint(tx Tx, room groups.RoomID) error {
	w := wire.NewWriter(nil)
	w.Uint8(rowVersion)
	for i, e := range rd.recent {
		l := e.ledger
		if i == len(rd.recent)-1 {
			l = rd.ledger
		}
		w.Opaque(l.Snapshot())
	}
	b := w.Bytes()
	if err := deleteAll(tx, TableReading, readingKey(room, readEntry)); err != nil {
		return err
	}
	rd.base, rd.since = len(b), 0
	return tx.Put(TableReading, readingKey(room, readCheckpoint), b)
}

// restore reads what checkpoint wrote.
func (rd *reading) restore(b []byte, dir groups.Directory) error {
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != rowVersion {
		return fmt.Errorf("%w: checkpoint of version %d", wire.ErrMalformed, v)
	}
	for r.Err() == nil && r.Len() > 0 {
		l, err := groups.LoadLedger(r.Opaque(), dir)
		if err != nil {
			return err
		}
		if l.Past() == nil || len(rd.recent) > groups.PastEpochs {
			return fmt.Errorf("%w: checkpoint", wire.ErrMalformed)
		}
		rd.ledger, rd.recent = l, append(rd.recent, followedEpoch(l))
	}
	rd.base = len(b)
	return r.Done()
}
