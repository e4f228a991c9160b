package storage

import (
	"os"
	"path/filepath"
	"testing"

	"parley/groups"
)

// TestBelowTheLowWaterMark: "writes are refused with no_space before any
// receipt, reads go on, writes resume by themselves".
func TestBelowTheLowWaterMark(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	c.Ballast = 1 << 20
	s := openTest(t, c)
	ballast := filepath.Join(c.Dir, ballastName)
	if st, err := os.Stat(ballast); err != nil || st.Size() != 1<<20 {
		t.Fatal("no ballast: ", err)
	}
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	free, _, err := freeSpace(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	mark := func(n uint64) {
		s.cfg.LowWater = n
		s.checkSpace()
	}
	mark(free + free/2)
	sub := alice.say("no room")
	wantKind(t, submit(s, sub).Err, groups.NoSpace)
	wantKind(t, s.Ready(), groups.NoSpace)
	_, _, err = s.PutBlob(groups.HashOf([]byte("x")), 1, 0, []byte("x"))
	wantKind(t, err, groups.NoSpace)
	if n := len(readAll(t, s, alice.room, 1<<20)); n != 1 {
		t.Fatal(n)
	}
	if err := s.SaveCursors(alice.device, map[groups.RoomID]groups.Seq{alice.room: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ballast); err != nil {
		t.Fatal("the ballast is given up too early")
	}
	mark(3 * free)
	if _, err := os.Stat(ballast); err == nil {
		t.Fatal("the ballast is not given up")
	}
	mark(1)
	mustSubmit(t, s, sub)
	if _, err := os.Stat(ballast); err != nil {
		t.Fatal("the ballast does not come back: ", err)
	}
}
