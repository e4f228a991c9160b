package storage

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
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
