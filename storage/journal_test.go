package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"parley/groups"
)

// someJournal writes three batches of two rooms and one of the first alone.
func someJournal(t testing.TB, dir string) *journal {
	t.Helper()
	j, err := openJournal(dir, disk{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.settle(); err != nil {
		t.Fatal(err)
	}
	for serial := range uint64(4) {
		var touched []*room
		for number := range uint64(2) {
			if serial == 3 && number == 1 {
				continue
			}
			name := []groups.RoomID{"mimi://alpha.example/r/one", "mimi://alpha.example/r/two"}[number]
			head := groups.Head{Room: name, Seq: groups.Seq(serial + 1), Hash: groups.HashOf([]byte{byte(serial), byte(number)})}
			touched = append(touched, &room{id: name, number: number + 1, run: []*op{{head: head}}})
		}
		if err := j.append(serial+1, touched); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

func TestJournalIsReadAsItWasWritten(t *testing.T) {
	dir := t.TempDir()
	j := someJournal(t, dir)
	check := func(s journalState) {
		t.Helper()
		if s.serial != 4 || len(s.rooms) != 2 || s.rooms[1].seq != 4 || s.rooms[2].seq != 3 ||
			s.rooms[2].name != "mimi://alpha.example/r/two" || s.damaged || s.torn || s.rooms[1].doubt {
			t.Fatalf("%+v", s)
		}
	}
	b, _ := os.ReadFile(j.path())
	check(readJournal(b))
	if err := j.rewrite(); err != nil {
		t.Fatal(err)
	}
	shorter, _ := os.ReadFile(j.path())
	check(readJournal(shorter))
	if len(shorter) >= len(b) {
		t.Fatalf("a rewritten journal has %d bytes, %d before", len(shorter), len(b))
	}
	if err := j.append(5, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openJournal(dir, disk{})
	if err != nil || again.serial != 5 || again.rooms[1].seq != 4 {
		t.Fatal(err)
	}
	again.close()
}

// A torn last record is what a crash leaves: it takes nothing else with it.
func TestATornJournalLosesOnlyItsLastRecord(t *testing.T) {
	j := someJournal(t, t.TempDir())
	defer j.close()
	b, _ := os.ReadFile(j.path())
	last := bytes.LastIndex(b, []byte(journalMark))
	for end := last + 1; end < len(b); end++ {
		for _, tail := range [][]byte{b[:end], append(bytes.Clone(b[:end]), make([]byte, len(b)-end)...)} {
			s := readJournal(tail)
			// zeroes may happen to be what the record ends with
			if s.serial == 4 && bytes.Equal(tail, b) {
				continue
			}
			if !s.torn || s.damaged || s.serial != 3 || s.rooms[1].seq != 3 || s.rooms[1].doubt {
				t.Fatalf("cut at %d of %d: %+v", end, len(b), s)
			}
		}
	}
}

// A flipped bit anywhere but in the last record is found, and only rooms that
// no later record names are in doubt.
func TestAFlippedBitInTheJournalIsFound(t *testing.T) {
	j := someJournal(t, t.TempDir())
	defer j.close()
	b, _ := os.ReadFile(j.path())
	last := bytes.LastIndex(b, []byte(journalMark))
	third := bytes.LastIndex(b[:last], []byte(journalMark))
	for at := range last {
		for bit := range 8 {
			c := bytes.Clone(b)
			c[at] ^= 1 << bit
			s := readJournal(c)
			if !s.damaged || s.serial != 4 || s.rooms[1].seq != 4 || s.rooms[1].doubt {
				t.Fatalf("bit %d of byte %d: %+v", bit, at, s)
			}
			if doubt := at >= third; s.rooms[2].doubt != doubt {
				t.Fatalf("bit %d of byte %d: room two in doubt: %v, want %v", bit, at, s.rooms[2].doubt, doubt)
			}
		}
	}
}

func TestADamagedJournalParksWhatItCanNotVouchFor(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	one := found(t, s, "one", deviceID(t, alpha, "alice", "laptop"))
	two := found(t, s, "two", deviceID(t, alpha, "bob", "desk"))
	mustSubmit(t, s, one.say("later"))
	closeTest(t, s)
	path := filepath.Join(c.Dir, journalName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte(two.room))] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the doubt outlives the journal that was damaged
		s = openTest(t, c)
		if in, err := s.Room(one.room); err != nil || in.Parked != "" {
			t.Fatalf("%+v, %v", in, err)
		}
		if in, err := s.Room(two.room); err != nil || in.Parked == "" {
			t.Fatalf("%+v, %v", in, err)
		}
		mustSubmit(t, s, one.say("goes on"))
		closeTest(t, s)
	}
	if kept, _ := filepath.Glob(path + ".damaged-*"); len(kept) != 1 {
		t.Fatal("the damaged journal is not kept: ", kept)
	}
}
