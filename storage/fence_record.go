package storage

import (
	"encoding/binary"

	"parley/groups"
)

// A fenceRecord is what is remembered of a room's fence over a restart: what an
// operator has given up, and the head that a follower has shown. It stays when
// the room is live again: the next start finds that the log holds the head.
type fenceRecord struct {
	seq   groups.Seq  // entries after this one were given up; term 0: nothing was
	hash  groups.Hash // of the header at seq
	term  groups.Term // heads of an earlier term that the log does not hold do not count any more
	shown *groups.SignedHead
}

func (f fenceRecord) encode() []byte {
	b := make([]byte, 0, 512)
	b = binary.BigEndian.AppendUint64(b, uint64(f.seq))
	b = append(b, f.hash[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(f.term))
	if f.shown != nil {
		b = append(b, f.shown.Marshal()...)
	}
	return b
}

func decodeFenceRecord(b []byte) (fenceRecord, error) {
	f := fields{b: b}
	r := fenceRecord{seq: groups.Seq(f.uint64()), hash: f.hash(), term: groups.Term(f.uint64())}
	shown := f.rest()
	if err := f.done(); err != nil || len(shown) == 0 {
		return r, err
	}
	var err error
	r.shown, err = groups.ParseSignedHead(shown)
	return r, err
}

// lost says whether a head that the log does not hold belongs to what was given
// up.
func (f *fenceRecord) lost(h *groups.Head) bool { return h.Term < f.term }

// gaveUp says whether what follows last was given up, and nothing was ordered
// since.
func (f *fenceRecord) gaveUp(last groups.Head) bool {
	return f.term > 0 && f.seq == last.Seq && f.hash == last.Hash
}
