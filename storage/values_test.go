package storage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/groups"
)

// large is a message that goes to the value log.
func large(text string) []byte {
	return bytes.Repeat([]byte(text+" "), 2*bulk/len(text))
}

// TestAFlippedBitInTheValueLogCostsOneEntry: Badger cuts off the value log
// behind it, when it opens.
func TestAFlippedBitInTheValueLogCostsOneEntry(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	for _, text := range []string{"before", "the bit that flips", "after"} {
		mustSubmit(t, s, plain(alice.room, 0, alice.stamp(newID()), large(text)))
	}
	dir := crash(t, c.Dir)
	flip(t, filepath.Join(dir, badgerDir), "*"+valueSuffix, []byte("the bit that flips"))

	c.Dir = dir
	s = openTest(t, c)
	if in, err := s.Room(alice.room); err != nil || in.Head.Seq != 4 {
		t.Fatalf("%+v, %v", in, err)
	}
	page, err := s.Read(alice.room, 3, 1<<20)
	if err != nil || !bytes.Contains(page.Entries[0].Bytes, []byte("after")) {
		t.Fatal(err)
	}
	_, err = s.Read(alice.room, 2, 1<<20)
	wantKind(t, err, groups.Internal)
	if in, _ := s.Room(alice.room); in.Parked == "" {
		t.Fatal("the room is not parked")
	}
	s = reopen(t, s) // it is cut back, and the row of what follows is still there
	if v, err := s.lookup(segmentKey(1, 4)); err != nil || !bytes.Contains(v, []byte("after")) {
		t.Fatal(err)
	}
}

func TestAnUploadWithARottenChunkIsNotReadAround(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	b := someBytes(3 * groups.BlobChunk)
	copy(b[groups.BlobChunk+100:], "the bit that flips")
	h := groups.HashOf(b)
	for i := 0; i < len(b); i += groups.BlobChunk {
		if _, _, err := s.PutBlob(h, uint64(len(b)), uint64(i), b[i:i+groups.BlobChunk]); err != nil {
			t.Fatal(err)
		}
	}
	dir := crash(t, c.Dir)
	flip(t, filepath.Join(dir, badgerDir), "*"+valueSuffix, []byte("the bit that flips"))
	c.Dir = dir
	s = openTest(t, c)
	if got, _, err := s.ReadBlob(h, 0, groups.BlobChunk); err != nil || !bytes.Equal(got, b[:groups.BlobChunk]) {
		t.Fatal(err)
	}
	for _, offset := range []uint64{0, groups.BlobChunk} {
		_, _, err := s.ReadBlob(h, offset, 2*groups.BlobChunk)
		wantKind(t, err, groups.Internal)
	}
}

// TestAStoreInUseIsLeftAlone: a second process adds no file to the value log of
// the first, which is going to make one of the same number.
func TestAStoreInUseIsLeftAlone(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	mustSubmit(t, s, plain(alice.room, 0, alice.stamp(newID()), large("here")))
	before := tables(c.Dir)
	_, err := Open(c)
	wantKind(t, err, groups.Conflict)
	if after := tables(c.Dir); after != before {
		t.Fatalf("files were %s, are %s", before, after)
	}
}

// TestAValueLogThatACrashLeftOpens: what a loss of power can leave of the files that
// were made last. Badger does not open with one that is empty.
func TestAValueLogThatACrashLeftOpens(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	mustSubmit(t, s, plain(alice.room, 0, alice.stamp(newID()), large("here")))
	c.Dir = crash(t, c.Dir)
	for _, left := range []int{0, 1, valueHeader - 1, valueHeader, valueHeader + 1} {
		last, err := lastValueFile(filepath.Join(c.Dir, badgerDir))
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(c.Dir, badgerDir, fmt.Sprintf("%06d%s", last+1, valueSuffix))
		if err := os.WriteFile(name, make([]byte, left), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(c)
		if err != nil {
			t.Fatalf("a file of %d bytes: %v", left, err)
		}
		mustSubmit(t, s, plain(alice.room, 0, alice.stamp(newID()), large("more")))
		if in, _ := s.Room(alice.room); in.Parked != "" {
			t.Fatal(in.Parked)
		}
		closeTest(t, s)
	}
	s = openTest(t, c)
	if n := len(readAll(t, s, alice.room, 1<<20)); n != 7 {
		t.Fatalf("%d entries", n)
	}
}

// TestValueFilesDoNotPileUp: Badger shortens a file only when it closes, and only
// the last one is looked at after a crash.
func TestValueFilesDoNotPileUp(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	const crashes = 3
	for i := range crashes {
		if i == 1 {
			mustSubmit(t, s, plain(alice.room, 0, alice.stamp(newID()), large("here")))
		}
		c.Dir = crash(t, c.Dir)
		closeTest(t, s)
		s = openTest(t, c)
	}
	files, err := filepath.Glob(filepath.Join(c.Dir, badgerDir, "*"+valueSuffix))
	if err != nil || len(files) > 4 {
		t.Fatal(files, err)
	}
	large := 0
	for _, name := range files {
		if in, err := os.Stat(name); err != nil || in.Size() > 1<<20 {
			large++
		}
	}
	if large != 1 {
		t.Fatalf("%d of %d files are as long as the one that is written to", large, len(files))
	}
	if n := len(readAll(t, s, alice.room, 1<<20)); n != 2 {
		t.Fatalf("%d entries", n)
	}
}

func TestZerosOfALogAreTrimmedToItsLastRow(t *testing.T) {
	header := strings.Repeat("h", valueHeader)
	for was, want := range map[string]int{
		"":                                     0,
		"short":                                5,
		header:                                 valueHeader,
		header + "\x00":                        valueHeader,
		header + strings.Repeat("\x00", 3<<20): valueHeader,
		header + "row":                         valueHeader + 3,
		header + "row\x00\x00":                 valueHeader + 5,
		header + "row" + strings.Repeat("\x00", 3<<20):                                 valueHeader + 7,
		header + strings.Repeat("\x00", 2<<20) + "row" + strings.Repeat("\x00", 1<<20): valueHeader + 2<<20 + 7,
	} {
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, []byte(was), 0o600); err != nil {
			t.Fatal(err)
		}
		size, err := trimZeros(name)
		b, rerr := os.ReadFile(name)
		if err != nil || rerr != nil || int(size) != want || string(b) != was[:want] {
			t.Errorf("%d bytes: %d, want %d: %v", len(was), size, want, err)
		}
	}
}
