package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// Read returns entries of the room after seq, in order and without gap, of
// maxBytes together but at least one if there is any, and the latest signed
// head. The entries are shared and must not be written to. It tells NotFound
// for an unknown room; a log that can not be read to its head is Internal, and
// parks the room, rather than being shown shorter (I5).
func (s *Store) Read(id groups.RoomID, after groups.Seq, maxBytes int) (groups.Page, error) {
	r := s.find(id)
	if r == nil {
		return groups.Page{}, errNoRoom(id)
	}
	v := r.view.Load()
	if v.last.Seq == 0 {
		return groups.Page{}, errNoRoom(id)
	}
	page := groups.Page{Head: v.signed}
	if after >= v.last.Seq {
		return page, nil
	}
	if oldest := v.last.Seq - groups.Seq(len(v.recent)); after >= oldest {
		page.Entries = upTo(v.recent[after-oldest:], maxBytes)
		return page, nil
	}
	entries, err := s.readLog(r, after, maxBytes)
	if errors.Is(err, errCorrupt) {
		s.damaged(r, fmt.Sprintf("its log can not be read after entry %d: %v", after, err))
	}
	page.Entries = entries
	return page, readError(err)
}

// upTo cuts a run of entries to maxBytes, at least one.
func upTo(run []groups.Stored, maxBytes int) []groups.Stored {
	n, size := 1, len(run[0].Bytes)
	for n < len(run) && size+len(run[n].Bytes) <= maxBytes {
		size += len(run[n].Bytes)
		n++
	}
	return run[:n:n]
}

// readLog reads entries after seq from Badger and checks them against the
// chain: every entry's place, body and link, and that the next entry, or the
// head, confirms the last of them. What does not fit is errCorrupt.
func (s *Store) readLog(r *room, after groups.Seq, maxBytes int) ([]groups.Stored, error) {
	last := r.view.Load().last
	c := chain{next: after + 1, maxBytes: maxBytes}
	err := s.segments(r, after+1, func(g segment) (bool, error) {
		g.entries = bytes.Clone(g.entries)
		for i := range g.count() {
			seq := g.first + groups.Seq(i)
			if seq < c.next {
				continue // before what was asked for, or twice after a refill
			}
			if seq > last.Seq {
				return false, nil // became durable after we looked
			}
			if more, err := c.link(seq, g.entry(i)); err != nil || !more {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	if c.next == last.Seq+1 && !c.confirmed {
		c.confirmed = c.prev == last.Hash
	}
	if !c.confirmed {
		return nil, fmt.Errorf("%w: entry %d", errCorrupt, c.next)
	}
	return c.run, nil
}

// A chain collects consecutive entries and checks that they hold together.
type chain struct {
	next      groups.Seq
	prev      groups.Hash // of the last entry's header
	maxBytes  int
	bytes     int
	run       []groups.Stored
	confirmed bool // the entry after the run names the last of it
}

// link checks an entry, keeps its bytes, and adds it to the run, unless the run is full: then the
// entry only confirms it and ends the reading.
func (c *chain) link(seq groups.Seq, b []byte) (more bool, err error) {
	e, err := groups.ParseEntry(b)
	if err != nil || seq != c.next || e.Seq != seq {
		return false, fmt.Errorf("%w: entry %d", errCorrupt, c.next)
	}
	if len(c.run) > 0 && e.Prev != c.prev {
		return false, fmt.Errorf("%w: link of entry %d", errCorrupt, seq)
	}
	if len(c.run) > 0 && c.bytes+len(b) > c.maxBytes {
		c.confirmed = true
		return false, nil
	}
	if groups.HashOf(e.Body) != e.BodyHash {
		return false, fmt.Errorf("%w: body of entry %d", errCorrupt, seq)
	}
	c.run = append(c.run, groups.Stored{Seq: seq, Kind: e.Kind, Bytes: b})
	c.bytes += len(b)
	c.prev = e.EntryHeader.Hash()
	c.next++
	return true, nil
}

// segments calls each with the room's segments, from the one that holds seq to
// the one that ends the log. What lies behind it is not looked at: after a cut
// that is what was damaged (see mend.go). What each is given is valid during the
// call only.
func (s *Store) segments(r *room, seq groups.Seq, each func(segment) (bool, error)) error {
	end := r.view.Load().last.Seq
	return s.db.View(func(txn *badger.Txn) error {
		return scan(txn, numberKey(rowSegment, r.number), segmentKey(r.number, seq), func(key, value []byte) (bool, error) {
			if len(key) != segmentKeyLen {
				return false, errCorrupt
			}
			last := groups.Seq(binary.BigEndian.Uint64(key[9:]))
			if last > end {
				return false, nil
			}
			g, err := decodeSegment(last, value)
			if err != nil {
				return false, err
			}
			return each(g)
		})
	})
}

const segmentKeyLen = 17

// findSubmission looks for a submission among the entries from first to last.
func (s *Store) findSubmission(r *room, key submissionKey, first, last groups.Seq) (found *groups.Entry, err error) {
	err = s.segments(r, first, func(g segment) (bool, error) {
		if g.first > last {
			return false, nil
		}
		i := g.find(key)
		if i < 0 {
			return true, nil
		}
		var err error
		found, err = groups.ParseEntry(append([]byte(nil), g.entry(i)...))
		return false, err
	})
	if err != nil {
		s.damaged(r, fmt.Sprintf("its submissions can not be read: %v", err))
	}
	return found, readError(err)
}

// fillFilter makes the room's filter from its log.
func (s *Store) fillFilter(r *room) error {
	first := groups.Seq(1)
	if room := groups.Seq(maxFilterRuns * filterRunLen); r.tipAt.Seq > room {
		first = r.tipAt.Seq - room
	}
	return s.segments(r, first, func(g segment) (bool, error) {
		for i := range g.count() {
			key := submissionKey(g.keys[submissionKeyLen*i : submissionKeyLen*(i+1)])
			r.filter.add(key, g.first+groups.Seq(i))
		}
		return true, nil
	})
}
