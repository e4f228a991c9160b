package storage

import (
	"encoding/binary"

	"parley/groups"
)

// A segment is a run of consecutive entries of one room as one row. A batch
// makes one segment a room, so that a busy room costs Badger a row a batch and
// not a row a message (which is five times as much work), and a quiet room one
// row a message.
//
//	struct {
//	  uint8 version;                  // 1
//	  uint16 count;
//	  opaque submission[16][count];   // who submitted it, see submissionKey
//	  uint32 end[count];              // where each entry ends
//	  opaque entries[end[count-1]];   // Entry.Marshal, one after the other
//	} Segment;
type segment struct {
	first   groups.Seq
	keys    []byte // 16 bytes an entry
	ends    []byte // 4 bytes an entry
	entries []byte
}

const (
	segmentVersion = 1
	segmentHeader  = 3
	segmentPerItem = submissionKeyLen + 4

	// segmentBytes closes a segment, so that a reader does not load much more
	// than it asked for.
	segmentBytes = 128 << 10
)

// encodeSegment packs entries that are all in order.
func encodeSegment(run []*op) []byte {
	size := segmentHeader
	for _, o := range run {
		size += segmentPerItem + len(o.stored.Bytes)
	}
	b := make([]byte, 0, size)
	b = append(b, segmentVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(len(run)))
	for _, o := range run {
		b = append(b, o.key[:]...)
	}
	end := 0
	for _, o := range run {
		end += len(o.stored.Bytes)
		b = binary.BigEndian.AppendUint32(b, uint32(end))
	}
	for _, o := range run {
		b = append(b, o.stored.Bytes...)
	}
	return b
}

// decodeSegment reads a segment whose last entry is last. What it returns
// aliases b.
func decodeSegment(last groups.Seq, b []byte) (segment, error) {
	f := fields{b: b}
	version, count := f.uint8(), int(f.uint16())
	s := segment{keys: f.take(submissionKeyLen * count), ends: f.take(4 * count), entries: f.rest()}
	if f.done() != nil || version != segmentVersion || count == 0 || groups.Seq(count) > last {
		return s, errCorrupt
	}
	s.first = last - groups.Seq(count) + 1
	before := 0
	for i := range count {
		end := int(binary.BigEndian.Uint32(s.ends[4*i:]))
		if end < before || end > len(s.entries) {
			return s, errCorrupt
		}
		before = end
	}
	if before != len(s.entries) {
		return s, errCorrupt
	}
	return s, nil
}

func (s *segment) count() int { return len(s.ends) / 4 }

// entry returns the bytes of entry i of the segment.
func (s *segment) entry(i int) []byte {
	start := 0
	if i > 0 {
		start = int(binary.BigEndian.Uint32(s.ends[4*(i-1):]))
	}
	end := int(binary.BigEndian.Uint32(s.ends[4*i:]))
	return s.entries[start:end:end]
}

// prefix returns the first n entries as a segment's bytes.
func (s *segment) prefix(n int) []byte {
	end := binary.BigEndian.Uint32(s.ends[4*(n-1):])
	b := []byte{segmentVersion}
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(b, s.keys[:submissionKeyLen*n]...)
	b = append(b, s.ends[:4*n]...)
	return append(b, s.entries[:end]...)
}

// find returns the place of a submission in the segment, or -1.
func (s *segment) find(key submissionKey) int {
	for i := range s.count() {
		if submissionKey(s.keys[submissionKeyLen*i:submissionKeyLen*(i+1)]) == key {
			return i
		}
	}
	return -1
}

// segmentRows appends the rows of a room's run of a batch.
func segmentRows(rows []row, room uint64, run []*op) []row {
	for len(run) > 0 {
		n, size := 1, len(run[0].stored.Bytes)
		for n < len(run) && size+len(run[n].stored.Bytes) <= segmentBytes {
			size += len(run[n].stored.Bytes)
			n++
		}
		rows = append(rows, row{key: segmentKey(room, run[n-1].stored.Seq), value: encodeSegment(run[:n])})
		run = run[n:]
	}
	return rows
}
