package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// A log that is damaged within, by bits that flipped on the disk, is mended in two
// steps. Whoever finds it parks the room and leaves a row that says so. The next
// start, before anybody reads, looks through the log from its first entry and moves
// the room's head back to the last entry that is certainly what was ordered: the
// next one names its hash. From then on it is a log that is too short, and comes
// back as any of them does (fence.go).
//
// The cut moves the head and deletes no entry. What lies behind the head is seen by
// nobody, is replaced by what comes back, and goes when an operator gives it up.

// endOfLog is after every entry.
const endOfLog = groups.Seq(1<<64 - 1)

// damaged parks a room whose log can not be read, and has the next start mend it.
func (s *Store) damaged(r *room, reason string) {
	s.park(r, reason+": it is mended at the next start of this node")
	if !r.damaged.Swap(true) {
		s.soft.put(row{key: numberKey(rowMend, r.number), value: []byte{1}})
	}
}

// mend looks through a room's log and cuts it back to what holds together. All that
// it changes beside the journal is one transaction: a crash leaves the room as it
// was, to be mended by the next start. A log that the ledger refuses, though it is
// what was ordered, is left as it is.
func (s *Store) mend(r *room) error {
	known := r.view.Load().last.Seq > 0
	if !known {
		if found, err := s.promisedView(r); err != nil || !found {
			return err
		}
	}
	was := r.view.Load()
	s.cfg.Log.Warn("room is looked through", "room", string(r.id), "entries", uint64(was.last.Seq))
	b := s.rebuilt(r)
	if err := b.whole(was.last.Seq); err != nil {
		s.park(r, fmt.Sprintf("its log can not be replayed: %v", err))
		r.tipAt = was.last
		return nil
	}
	at := b.ledger.Head()
	if !known {
		var err error
		if was, err = s.signedView(r, at); err != nil {
			return err
		}
	}
	rows := []row{{key: numberKey(rowMend, r.number), gone: true}}
	in := infoOf(b.ledger, b.groupInfo)
	rows = append(rows, row{key: numberKey(rowInfo, r.number), value: in.encode()})
	rows, err := s.staleRows(rows, r)
	if err != nil {
		return err
	}
	if at.Seq < was.last.Seq || !known {
		if rows, err = s.cutRows(rows, r, at); err != nil {
			return err
		}
	}
	if err := s.putRows(rows); err != nil {
		return err
	}
	r.damaged.Store(false)
	r.tipAt, r.info = at, in
	r.view.Store(&view{last: at, signed: was.signed, info: in})
	if was.signed != nil {
		s.aim(r, &was.signed.Head, at.Seq)
	}
	if at.Seq < was.last.Seq {
		s.cfg.Log.Error("room is cut back to what is whole of its log", "room", string(r.id), "held", uint64(at.Seq), "was", uint64(was.last.Seq))
	}
	return nil
}

// promisedView gives a room whose head can not be read the one that was promised.
// The room is parked if there is none, or if its log goes on behind it.
func (s *Store) promisedView(r *room) (found bool, err error) {
	promised := s.journal.rooms[r.number]
	rows, err := s.rowsBehind(nil, r, promised.seq, endOfLog, 1)
	if err != nil {
		return false, err
	}
	if promised.seq == 0 || promised.doubt || len(rows) > 0 {
		s.park(r, "its head can not be read")
		return false, nil
	}
	r.view.Store(&view{last: groups.Head{Room: r.id, Seq: promised.seq, Hash: promised.hash}, info: r.info})
	return true, nil
}

// signedView signs, for a room ordered here whose signed head was lost, where its
// log ends.
func (s *Store) signedView(r *room, at groups.Head) (*view, error) {
	v := *r.view.Load()
	if r.owned && at.Seq > 0 && s.cfg.Signer != nil {
		signed, err := groups.SignHeads([]groups.Head{at}, s.cfg.Signer)
		if err != nil {
			return nil, err
		}
		v.signed = &signed[0]
	}
	r.view.Store(&v)
	return &v, nil
}

// cutRows appends what moves the head back, after it has promised in the journal
// what was held: what has been read may not be forgotten.
func (s *Store) cutRows(rows []row, r *room, at groups.Head) ([]row, error) {
	v := r.view.Load()
	if v.last.Seq > s.journal.rooms[r.number].seq && v.signed != nil && v.last.Seq <= v.signed.Head.Seq {
		if err := s.journal.promise(r, v.last); err != nil {
			return nil, err
		}
	}
	rows = append(rows, row{key: numberKey(rowHead, r.number), value: headRecord{last: at, signed: v.signed}.encode()})
	if r.proof.gaveUp(at) { // more has been promised since
		r.proof.seq, r.proof.hash = 0, groups.Hash{}
		rows = append(rows, row{key: numberKey(rowFence, r.number), value: r.proof.encode()})
	}
	var err error
	if s.journal.rooms[r.number].seq <= at.Seq {
		// The head was what is wrong, and the room goes on from here at once: what it
		// orders may not meet a batch that nobody has a receipt for.
		rows, err = s.rowsBehind(rows, r, at.Seq, endOfLog, 2*maxBatch)
	}
	if err != nil || at.Seq == 0 {
		return rows, err
	}
	err = s.segments(r, at.Seq, func(g segment) (bool, error) {
		if n := int(at.Seq-g.first) + 1; n < g.count() {
			rows = append(rows, row{key: segmentKey(r.number, at.Seq), value: g.prefix(n)})
		}
		return false, nil
	})
	return rows, err
}

// staleRows appends the deletion of the room's snapshot, which may be what is
// damaged, or of a later entry.
func (s *Store) staleRows(rows []row, r *room) ([]row, error) {
	key := numberKey(rowSnapshot, r.number)
	v, err := s.lookup(key)
	if v == nil || err != nil {
		return rows, err
	}
	rows = append(rows, row{key: key, gone: true})
	if rec, err := decodeSnapshotRecord(v); err == nil && rec.size <= groups.MaxBlob {
		rows = goneRows(rows, rec.hash, int(rec.size))
	}
	return rows, nil
}

// putRows makes rows durable, all or none, while there is no committer.
func (s *Store) putRows(rows []row) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	for _, w := range rows {
		if err := put(txn, w); err != nil {
			return err
		}
	}
	return s.disk.step("cut", func() error { return s.commit(txn) })
}

// whole goes through the log up to last, as far as it holds together.
func (b *rebuilt) whole(last groups.Seq) error {
	for size := replayBytes; b.ledger.Head().Seq < last; b.rows = nil {
		page, err := b.readLog(b.room, b.ledger.Head().Seq, size)
		if errors.Is(err, errCorrupt) && size > 1 {
			size = 1 // entry by entry up to the damage
			continue
		}
		if errors.Is(err, errCorrupt) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, stored := range page {
			if err := b.entry(stored); err != nil {
				return fmt.Errorf("entry %d: %w", stored.Seq, err)
			}
		}
	}
	return nil
}

// rowsBehind appends the deletion of the room's segments that end behind the entry
// after and not behind to; most of them at most, in their order.
func (s *Store) rowsBehind(rows []row, r *room, after, to groups.Seq, most int) ([]row, error) {
	prefix := numberKey(rowSegment, r.number)
	err := s.eachKey(prefix, segmentKey(r.number, after+1), func(key []byte) bool {
		if groups.Seq(binary.BigEndian.Uint64(key[len(prefix):])) > to {
			return false
		}
		rows = append(rows, row{key: key, gone: true})
		most--
		return most > 0
	})
	return rows, err
}

// eachKey calls each with the keys that have a prefix, in order, from one on, until it
// returns false. They are the caller's. No value is read: it may be damaged.
func (s *Store) eachKey(prefix, from []byte, each func(key []byte) bool) error {
	return readError(s.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchValues = false
		o.Prefix = prefix
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Seek(from); it.ValidForPrefix(prefix) && each(it.Item().KeyCopy(nil)); it.Next() {
		}
		return nil
	}))
}

// dropBehind deletes what the room's log, and what follows from it, has behind its
// head: an operator has given it up. A crash leaves some of it, and the room
// parked. Trees that only given up Welcomes name stay; nothing leads to them.
func (s *Store) dropBehind(r *room) error {
	last := r.view.Load().last.Seq
	for {
		rows, err := s.rowsBehind(nil, r, last, endOfLog, maxBatch)
		if err != nil {
			return err
		}
		if rows, err = s.derivedBehind(rows, r.number, last); err != nil || len(rows) == 0 {
			return err
		}
		if err := s.writeRows(rows); err != nil {
			return err
		}
	}
}

// derivedBehind appends the deletion of what entries after last did to devices: at
// most maxBatch rows.
func (s *Store) derivedBehind(rows []row, number uint64, last groups.Seq) ([]row, error) {
	for _, kind := range []byte{rowStay, rowWelcome, rowTreeUse} {
		most := maxBatch
		err := s.eachKey([]byte{kind}, []byte{kind}, func(key []byte) bool {
			at := fields{b: key[max(0, len(key)-16):]}
			if at.uint64() == number && groups.Seq(at.uint64()) > last && !at.bad {
				rows = append(rows, row{key: key, gone: true})
				most--
			}
			return most > 0
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}
