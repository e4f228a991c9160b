package storage

import (
	"bytes"
	"errors"
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

// TestAValueLogThatCanNotBeSyncedStopsTheStore: Badger's Commit tells nobody. The
// last page of its file's mapping is taken away, so that the system refuses to
// sync it, while there is room before it to write to.
func TestAValueLogThatCanNotBeSyncedStopsTheStore(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	unmapLastPage(t, c.Dir)
	wantKind(t, submit(s, alice.say("lost?")).Err, groups.Unavailable)
	wantKind(t, s.Ready(), groups.Unavailable)
	if err := s.Ready(); !strings.Contains(err.Error(), "sync value log") {
		t.Fatal(err)
	}
	if n := len(readAll(t, s, alice.room, 1<<20)); n != 1 {
		t.Fatalf("%d entries are shown", n)
	}
	if err := s.Close(); err != nil && errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}
