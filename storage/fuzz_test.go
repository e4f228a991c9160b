package storage

import (
	"bytes"
	"testing"

	"parley/groups"
)

// FuzzRecords: no stored bytes make a decoder panic or take much memory, and
// what it takes is what would be written.
func FuzzRecords(f *testing.F) {
	head := groups.Head{Room: "mimi://alpha.example/r/ops", Seq: 7, Epoch: 3, Term: 2, Time: 5}
	signed, err := groups.SignHeads([]groups.Head{head}, newOrdering(alpha))
	if err != nil {
		f.Fatal(err)
	}
	run := []*op{{stored: groups.Stored{Seq: 4, Bytes: []byte("first")}}, {stored: groups.Stored{Seq: 5, Bytes: []byte("second")}}}
	f.Add(roomRecord{number: 3, owned: true, owner: "mimi://alpha.example/n/a1"}.encode())
	f.Add(headRecord{last: head, signed: &signed[0]}.encode())
	f.Add(fenceRecord{seq: 4, term: 9, shown: &signed[0]}.encode())
	f.Add((&info{members: 2, sites: []groups.SiteID{alpha, beta}, left: map[groups.SiteID]groups.Seq{"c.example": 9}, readers: []groups.SiteID{beta}, history: groups.HistoryAll}).encode())
	f.Add(encodeSegment(run))
	f.Add(welcomeRecord{epoch: 4}.encode())
	f.Add(snapshotRecord{seq: 8, size: 9}.encode())
	f.Add(blobRecord{size: 10, have: 4, touched: 1}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(name string, err error, again func() []byte) {
			if err == nil && !bytes.Equal(again(), b) {
				t.Errorf("%s %x is written as %x", name, b, again())
			}
		}
		room, err := decodeRoomRecord(b)
		check("room", err, room.encode)
		h, err := decodeHeadRecord(head.Room, b)
		check("head", err, h.encode)
		fence, err := decodeFenceRecord(b)
		check("fence", err, fence.encode)
		wel, err := decodeWelcomeRecord(b)
		check("welcome", err, wel.encode)
		snap, err := decodeSnapshotRecord(b)
		check("snapshot", err, snap.encode)
		blob, err := decodeBlobRecord(b)
		check("blob", err, blob.encode)
		if in, err := decodeInfo(b); err == nil {
			again, err := decodeInfo(in.encode())
			if err != nil || !bytes.Equal(again.encode(), in.encode()) {
				t.Errorf("info %x", b)
			}
		}
		user := nameKey(rowKeyPackage, groups.UserID("mimi://alpha.example/u/alice"))
		if k, _, err := new(Store).readKeyPackage(user, append(bytes.Clone(user), b...), b); err == nil && len(k.name)+len(k.bytes) > 2*len(b) {
			t.Errorf("key package %x", b)
		}
		splitCursorKey(b)
		g, err := decodeSegment(1<<40, b)
		check("segment", err, func() []byte {
			var run []*op
			for i := range g.count() {
				o := &op{stored: groups.Stored{Bytes: g.entry(i)}}
				copy(o.key[:], g.keys[submissionKeyLen*i:])
				run = append(run, o)
			}
			return encodeSegment(run)
		})
	})
}

// FuzzJournal: whatever stands in the file, reading ends, and what was
// understood can be written and read again.
func FuzzJournal(f *testing.F) {
	j := someJournal(f, f.TempDir())
	var all bytes.Buffer
	if _, err := j.writeAll(&all); err != nil {
		f.Fatal(err)
	}
	j.close()
	f.Add(all.Bytes())
	f.Add(append(all.Bytes(), journalMark...))
	f.Add(append([]byte("noise"), all.Bytes()...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := readJournal(b)
		for n, h := range s.rooms {
			if len(h.name) > groups.MaxName {
				delete(s.rooms, n) // never written, and too long for a record
			}
		}
		var again bytes.Buffer
		if _, err := (&journal{journalState: s}).writeAll(&again); err != nil {
			t.Fatal(err)
		}
		r := readJournal(again.Bytes())
		if r.serial != s.serial || len(r.rooms) != len(s.rooms) || r.damaged || r.torn {
			t.Fatalf("%+v is read again as %+v", s, r)
		}
		for n, h := range s.rooms {
			if r.rooms[n] != h {
				t.Fatalf("room %d: %+v is read again as %+v", n, h, r.rooms[n])
			}
		}
	})
}
