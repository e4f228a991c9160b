package main

import (
	"os/exec"
	"regexp"
	"testing"
)

// A new device reads all there is, under every key, or the benchmark fails.
func TestBenchHistoryReadsEverything(t *testing.T) {
	b := builtPrograms(t)
	out, err := exec.Command(b.parley, "bench", "history", "--messages", "40", "--epochs", "3", "--json", "--parleyd", b.parleyd).CombinedOutput()
	if err != nil {
		t.Fatalf("parley bench history: %v\n%s", err, out)
	}
	for _, line := range []string{
		`(?m)^{"op":"history","n":40,`, `(?m)^{"op":"history_log","n":40,`,
		`(?m)^{"op":"history_keys","n":3,`, `(?m)^{"op":"history_decrypt","n":40,`,
	} {
		if !regexp.MustCompile(line).Match(out) {
			t.Errorf("no line %s in:\n%s", line, out)
		}
	}
}
