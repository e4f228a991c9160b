package storage

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"parley/groups"
)

// The journal is a file of records, each a batch:
//
//	struct {
//	  opaque mark[4];        // 0x9e 'P' 'J' 0x01
//	  uint32 length;         // of the payload
//	  uint32 crc;            // CRC-32C of length and payload
//	  uint64 serial;         // of the batch: the payload begins here
//	  JournalItem items[];   // to the end of the payload
//	} JournalRecord;
//
//	struct {
//	  uint8 kind;
//	  uint64 room;                                 // its number
//	  select (kind) {
//	    case name(1):  uint16 length; opaque name[length];
//	    case head(2):  uint64 seq; opaque hash[32];
//	    case doubt(3): ;                           // no record vouches for it
//	  };
//	} JournalItem;
const (
	journalMark   = "\x9ePJ\x01"
	journalHeader = len(journalMark) + 8

	itemName  = 1
	itemHead  = 2
	itemDoubt = 3

	// maxJournalPayload is more than a batch, or a piece of a rewritten
	// journal, can fill: 1,024 rooms with names of 255 bytes.
	maxJournalPayload = 1 << 19
)

// A journalHead is where a room's log stood when receipts were given.
type journalHead struct {
	name  groups.RoomID
	seq   groups.Seq
	hash  groups.Hash
	doubt bool
}

// A recordWriter builds one record.
type recordWriter struct{ b []byte }

func (w *recordWriter) begin(serial uint64) {
	w.b = append(w.b[:0], journalMark...)
	w.b = append(w.b, 0, 0, 0, 0, 0, 0, 0, 0)
	w.b = binary.BigEndian.AppendUint64(w.b, serial)
}

func (w *recordWriter) item(kind byte, room uint64) {
	w.b = append(w.b, kind)
	w.b = binary.BigEndian.AppendUint64(w.b, room)
}

func (w *recordWriter) name(room uint64, name groups.RoomID) {
	w.item(itemName, room)
	w.b = appendName(w.b, name)
}

func (w *recordWriter) head(room uint64, seq groups.Seq, hash groups.Hash) {
	w.item(itemHead, room)
	w.b = binary.BigEndian.AppendUint64(w.b, uint64(seq))
	w.b = append(w.b, hash[:]...)
}

func (w *recordWriter) end() []byte {
	payload := w.b[journalHeader:]
	if len(payload) > maxJournalPayload {
		panic("BUG: journal record too long")
	}
	head := w.b[len(journalMark):journalHeader]
	binary.BigEndian.PutUint32(head, uint32(len(payload)))
	binary.BigEndian.PutUint32(head[4:], recordSum(head[:4], payload))
	return w.b
}

func recordSum(length, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(length, table), table, payload)
}

// nextRecord returns the payload of the record at the start of b and what
// follows it; false if there is no whole one.
func nextRecord(b []byte) (payload, rest []byte, ok bool) {
	if len(b) < journalHeader || string(b[:len(journalMark)]) != journalMark {
		return nil, nil, false
	}
	head := b[len(journalMark):journalHeader]
	n := binary.BigEndian.Uint32(head)
	if n > maxJournalPayload || int(n) > len(b)-journalHeader {
		return nil, nil, false
	}
	payload = b[journalHeader : journalHeader+int(n)]
	if binary.BigEndian.Uint32(head[4:]) != recordSum(head[:4], payload) {
		return nil, nil, false
	}
	return payload, b[journalHeader+int(n):], true
}

// findRecord returns b from the next whole record on, nil if there is none.
func findRecord(b []byte) []byte {
	for {
		i := bytes.Index(b, []byte(journalMark))
		if i < 0 {
			return nil
		}
		b = b[i:]
		if _, _, ok := nextRecord(b); ok {
			return b
		}
		b = b[1:]
	}
}

// A journalState is what a journal says.
type journalState struct {
	serial  uint64
	rooms   map[uint64]journalHead
	damaged bool // a record is unreadable, and whole ones follow it
	torn    bool // it ends inside a record: the node died while writing it
}

// readJournal reads a whole journal. The last record may be torn. After a
// damaged one, only rooms that a later record names are vouched for; the
// others are left in doubt.
func readJournal(b []byte) journalState {
	s := journalState{rooms: make(map[uint64]journalHead)}
	for len(b) > 0 {
		payload, rest, ok := nextRecord(b)
		if ok && s.apply(payload) == nil {
			b = rest
			continue
		}
		b = findRecord(b[1:])
		if b == nil {
			s.torn = true
			break
		}
		s.damaged = true
		for n, h := range s.rooms {
			h.doubt = true
			s.rooms[n] = h
		}
	}
	return s
}

// apply takes over what one record says.
func (s *journalState) apply(payload []byte) error {
	f := fields{b: payload}
	serial := f.uint64()
	for len(f.b) > 0 && !f.bad {
		kind, room := f.uint8(), f.uint64()
		h := s.rooms[room]
		switch kind {
		case itemName:
			h.name = groups.RoomID(f.name())
		case itemHead:
			h.seq, h.hash, h.doubt = groups.Seq(f.uint64()), f.hash(), false
		case itemDoubt:
			h.doubt = true
		default:
			return errCorrupt
		}
		s.rooms[room] = h
	}
	if err := f.done(); err != nil {
		return err
	}
	s.serial = max(s.serial, serial)
	return nil
}
