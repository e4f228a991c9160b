package storage

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// persist makes a batch durable. The order of writes is what every promise of
// the node rests on (I2):
//
//  1. The heads of the batch are signed, with one signature. Nothing of it
//     leaves the node before 4, so a crash from here on leaves no trace.
//  2. One Badger transaction writes the entries, what follows from them, the
//     signed heads and the batch's serial, and syncs. A crash before its end
//     leaves none of it, one after its end all of it: then the log holds
//     entries that nobody has a receipt for, and a submission that is tried
//     again finds its first place.
//  3. The heads go to the journal, which syncs. It must come after Badger: a
//     journal ahead of Badger is how the fence knows that Badger lost
//     something. A crash between 2 and 3 leaves Badger ahead, which is no loss.
//  4. Readers see the entries, receipts are given, those who wait are woken.
//
// The first step that fails stops the store: after a failed sync nobody knows
// what is on the disk, and asking again would not tell.
func (s *Store) persist(batch []*op, touched []*room, soft []row) error {
	if e := s.failed.Load(); e != nil {
		return e
	}
	if err := s.signHeads(touched); err != nil {
		return err
	}
	serial := s.serial.Load() + 1
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	rows := []row{{key: []byte{rowSerial}, value: uint64Value(serial)}}
	for _, r := range touched {
		var err error
		if rows, err = s.roomRows(rows, r); err != nil {
			return err
		}
	}
	for _, o := range batch {
		rows = append(rows, o.rows...)
	}
	rows = append(rows, soft...)
	for _, w := range rows {
		if err := put(txn, w); err != nil {
			return fmt.Errorf("batch of %d: %w", len(batch), err)
		}
	}
	if err := s.disk.step("badger commit", func() error { return s.commit(txn) }); err != nil {
		return fmt.Errorf("commit batch of %d: %w", len(batch), err)
	}
	if err := s.journal.append(serial, touched); err != nil {
		return err
	}
	// COMMIT POINT
	s.serial.Store(serial)
	return nil
}

// commit makes a transaction durable.
func (s *Store) commit(txn *badger.Txn) error {
	if err := txn.Commit(); err != nil {
		return err
	}
	return s.says.synced()
}

func put(txn *badger.Txn, w row) error {
	if w.gone {
		return txn.Delete(w.key)
	}
	e := &badger.Entry{Key: w.key, Value: w.value}
	if w.life > 0 {
		e = e.WithTTL(w.life)
	}
	return txn.SetEntry(e)
}

// signHeads signs the heads of the rooms that this node orders, and hangs each
// on its room's last op. Followed rooms bring their heads along.
func (s *Store) signHeads(touched []*room) error {
	heads := make([]groups.Head, 0, len(touched))
	last := make([]*op, 0, len(touched))
	for _, r := range touched {
		if o := r.run[len(r.run)-1]; o.owned {
			heads = append(heads, o.head)
			last = append(last, o)
		}
	}
	if len(heads) == 0 {
		return nil
	}
	s.sign.Lock()
	signed, err := groups.SignHeads(heads, s.cfg.Signer)
	s.sign.Unlock()
	if err != nil {
		return err
	}
	for i, o := range last {
		o.signed = &signed[i]
	}
	return nil
}

// roomRows appends the rows of a room's run: its entries and where its log
// stands after them. What comes back from a copy takes the place of what is left
// of it here.
func (s *Store) roomRows(rows []row, r *room) (_ []row, err error) {
	o := r.run[len(r.run)-1]
	if f := r.refilling(); f != nil {
		to := o.head.Seq
		if to >= f.head.Seq {
			to = endOfLog
		}
		if rows, err = s.rowsBehind(rows, r, r.view.Load().last.Seq, to, 2*maxBatch); err != nil {
			return nil, err
		}
	}
	rows = segmentRows(rows, r.number, r.run)
	record := headRecord{last: o.head, signed: o.signed}
	return append(rows, row{key: numberKey(rowHead, r.number), value: record.encode()}), nil
}
