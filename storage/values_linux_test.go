package storage

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"parley/groups"
)

// unmapLastPage takes the last page of the value log's mapping in dir away from
// this process.
func unmapLastPage(t *testing.T, dir string) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		name := strings.TrimSpace(line)
		if !strings.Contains(name, dir) || !strings.HasSuffix(name, valueSuffix) {
			continue
		}
		var begin, end uintptr
		if _, err := fmt.Sscanf(name, "%x-%x", &begin, &end); err != nil {
			t.Fatal(err)
		}
		page := uintptr(os.Getpagesize())
		if _, _, errno := syscall.Syscall(syscall.SYS_MUNMAP, end-page, page, 0); errno != 0 {
			t.Fatal(errno)
		}
		return
	}
	t.Fatalf("no value log of %s is mapped:\n%s", dir, maps)
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
	s.Close() // says that the mapping has a hole, or not: the test has made it
}
