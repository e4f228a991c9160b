package client

import (
	"errors"
	"slices"

	"parley/groups"
)

// A pastNote is what an entry that is no message leaves behind: a line of the
// log, what it changed, and the record of a key.
type pastNote struct {
	Line   LogEntry
	Change *Change
	Key    *keyRow
}

// note keeps what an entry that is no message leaves behind, if it is from
// before our time.
func (p *past) note(e *groups.Entry, step *groups.Step) error {
	if e.Seq < p.upto {
		p.notes = append(p.notes, noteOf(e, step))
	}
	return nil
}

// noteOf is what an entry that is no message leaves behind.
func noteOf(e *groups.Entry, step *groups.Step) pastNote {
	n := pastNote{Line: LogEntry{
		Seq: e.Seq, Hash: e.Hash(), Epoch: e.Epoch, Kind: e.Kind, Device: step.Stamp.Device,
		ID: MessageID(step.Stamp.ID), Time: millis(e.AcceptedAt), Size: len(e.Body),
	}}
	if e.Kind == groups.KindCommit || e.Kind == groups.KindCreate {
		n.Change = &Change{Epoch: step.Next.Head().Epoch, Added: step.Added, Removed: step.Removed}
		n.Line.Note = describe(n.Change)
	}
	if k := step.KeyRecord; k != nil {
		n.Key = &keyRow{Seq: e.Seq, At: e.AcceptedAt, Record: k.Marshal()}
		if leaf, ok := step.Next.Past().Tree.Leaf(leafIndex(k)); ok {
			n.Key.Author, n.Key.Key = certificatesOf(&leaf.Credential), leaf.SignatureKey
		}
	}
	return n
}

// writeNotes makes the notes durable, of a log that has been verified to its
// end.
func (p *past) writeNotes() error {
	for part := range slices.Chunk(p.notes, openBatchSize) {
		err := p.d.change(p.room, func(tx Tx, r *room) error {
			for i := range part {
				if err := writeNote(p.d, tx, r, &part[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	p.notes = nil
	return nil
}

// writeNote puts a note where a member has it, unless it is there.
func writeNote(d *Device, tx Tx, r *room, n *pastNote) error {
	at := seqKey(r.Room, uint64(n.Line.Seq))
	if there, err := tx.Get(TableLog, at); err != nil || there != nil {
		return err
	}
	e := &groups.Entry{EntryHeader: groups.EntryHeader{Room: r.Room, Seq: n.Line.Seq, Epoch: n.Line.Epoch, AcceptedAt: uint64(n.Line.Time.UnixMilli())}}
	a := &applier{d: d, tx: tx, r: r, e: e, line: n.Line}
	if n.Change != nil {
		if err := a.changed(n.Change, n.Line.Device); err != nil {
			return err
		}
	}
	if n.Key != nil {
		k, err := groups.ParseKeyRecord(n.Key.Record)
		if err != nil {
			return err
		}
		if err := putJSON(tx, TableKeys, seqKey(r.Room, uint64(k.Epoch)), n.Key); err != nil {
			return err
		}
	}
	return tx.Put(TableLog, at, packRow(&n.Line))
}

// mend applies edits, deletions and reactions that came before what they are
// about could be read.
func (p *past) mend() error {
	var waiting []Message
	err := p.d.cfg.Store.View(func(tx Tx) error {
		var bad error
		err := tx.Scan(TableMessages, Range{Prefix: roomKey(p.room)}, func(_, value []byte) bool {
			m := Message{Room: p.room}
			if bad = unpackRow(TableMessages, value, &m); bad != nil {
				return false
			}
			if m.Problem != "" && m.Content.Amends() {
				waiting = append(waiting, m)
			}
			return len(waiting) < maxMend
		})
		return errors.Join(err, bad)
	})
	if err != nil || len(waiting) == 0 {
		return err
	}
	return p.d.change(p.room, func(tx Tx, r *room) error {
		a := &applier{d: p.d, tx: tx, r: r}
		for i := range waiting {
			m := &waiting[i]
			done, err := a.amend(m)
			if err == nil && done {
				r.moved = true
				err = errors.Join(tx.Delete(TableMessages, seqKey(p.room, uint64(m.Seq))), tx.Delete(TableIDs, idKey(p.room, m.ID)))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// maxMend bounds what is mended in one run; the next one goes on.
const maxMend = 1 << 16
