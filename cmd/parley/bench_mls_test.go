package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// found is a measurement of suite 1.
func found(op, shape string, members, processors int, ms float64, bytes int64) *mlsResult {
	return &mlsResult{
		result: &result{Op: "mls_" + op, N: 1, P50: ms, Bytes: bytes, Members: members, Suite: "one"},
		Shape:  shape, Processors: processors, CPU: 2 * ms,
	}
}

func TestBenchmarksStandBetweenTheMarks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "benchmarks.md")
	for _, bad := range []string{"", tablesBegin, tablesEnd, tablesEnd + tablesBegin} {
		if err := os.WriteFile(file, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := writeBenchmarks(file, nil); err == nil {
			t.Errorf("wrote into a file of %q", bad)
		}
	}
	if err := os.WriteFile(file, []byte("before\n"+tablesBegin+"old\n"+tablesEnd+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := writeBenchmarks(file, []*mlsResult{
		found("verify", "", 0, 1, 0.068, 64), found("hpke_seal", "", 0, 1, 0.130, 80), found("hpke_open", "", 0, 1, 0.070, 80),
		found("commit", shapeWarm, 5_000, 1, 3, 1900), found("commit", shapeWarm, 50_000, 1, 4, 2200),
		found("commit", shapeWarm, 50_000, 2, 2.5, 2200), found("tree", shapeWarm, 50_000, 2, 0, 13_900_000),
		found("resident", shapeWarm, 50_000, 2, 0, 54_000_000),
		found("commit_plain", shapeWarm, 5_000, 1, 3, 1900), found("commit_record", shapeWarm, 5_000, 1, 3.2, 2788),
		found("record", shapeWarm, 5_000, 1, 0.2, 886), found("commit_plain", shapeWarm, 50_000, 1, 4, 2200),
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, want := range []string{
		"before\n" + tablesBegin, tablesEnd + "after\n",
		"took 2.00 times as long",
		"| commit, warm tree | 5.00 ms | 2.50 ms | 5.00 ms | 1.25 ms |",
		"| growth of commit, 5,000 to 50,000 | 1.5 times | 1.33 times | 1.33 times |  |",
		"| the same with the program's file (VmRSS) | 40.0 MB | 54.0 MB |  |  |",
		"| commit, one processor | 4.00 ms, 2200 B |",
		"| tree | 13.9 MB |",
		"| one | 5000 | 3.00 ms, 1900 B | 6.00 ms | 3.20 ms, 2788 B | 6.40 ms | 888 B | 200.0 µs, 886 B | 400.0 µs |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Count(text, "| one | 5") != 1 {
		t.Error("a table tells of commits of which there is no other to compare with")
	}
	if strings.Contains(text, "old") {
		t.Error("what was there before is there still")
	}
}
