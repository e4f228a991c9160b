package client

import (
	"errors"
	"slices"

	"parley/groups"
)

// A pastNote is what an entry that is no message leaves behind: a line of the
// log, what it changed, and the record of a key.
type pastNote struct {
	line   LogEntry
	change *Change
	key    *keyRow
}

// note keeps what an entry that is no message leaves behind, if it is from
// before our time.
func (p *past) note(e *groups.Entry, step *groups.Step) error {
	if e.Seq > p.upto || !p.reader && e.Seq == p.upto {
		return nil
	}
	n := pastNote{line: LogEntry{
		Seq: e.Seq, Hash: e.Hash(), Epoch: e.Epoch, Kind: e.Kind, Device: step.Stamp.Device,
		ID: MessageID(step.Stamp.ID), Time: millis(e.AcceptedAt), Size: len(e.Body),
	}}
	if e.Kind == groups.KindCommit || e.Kind == groups.KindCreate {
		n.change = &Change{Epoch: step.Next.Head().Epoch, Added: step.Added, Removed: step.Removed}
		n.line.Note = describe(n.change)
	}
	if k := step.KeyRecord; k != nil {
		n.key = &keyRow{Seq: e.Seq, At: e.AcceptedAt, Record: k.Marshal()}
		if leaf, ok := step.Next.Past().Tree.Leaf(leafIndex(k)); ok {
			n.key.Author, n.key.Key = certificatesOf(&leaf.Credential), leaf.SignatureKey
		}
	}
	p.notes = append(p.notes, n)
	return nil
}

// writeNotes makes the notes durable, of a log that has been verified to its
// end.
func (p *past) writeNotes() error {
	for part := range slices.Chunk(p.notes, openBatchSize) {
		err := p.d.change(p.room, func(tx Tx, r *room) error {
			for i := range part {
				if err := p.writeNote(tx, r, &part[i]); err != nil {
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

func (p *past) writeNote(tx Tx, r *room, n *pastNote) error {
	at := seqKey(p.room, uint64(n.line.Seq))
	if there, err := tx.Get(TableLog, at); err != nil || there != nil {
		return err
	}
	e := &groups.Entry{EntryHeader: groups.EntryHeader{Room: p.room, Seq: n.line.Seq, Epoch: n.line.Epoch, AcceptedAt: uint64(n.line.Time.UnixMilli())}}
	a := &applier{d: p.d, tx: tx, r: r, e: e, line: n.line}
	if n.change != nil {
		if err := a.changed(n.change, n.line.Device); err != nil {
			return err
		}
	}
	if n.key != nil {
		k, err := groups.ParseKeyRecord(n.key.Record)
		if err != nil {
			return err
		}
		if err := putJSON(tx, TableKeys, seqKey(p.room, uint64(k.Epoch)), n.key); err != nil {
			return err
		}
	}
	return tx.Put(TableLog, at, packRow(&n.line))
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
			if m.Problem != "" && m.Content.amends() {
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
