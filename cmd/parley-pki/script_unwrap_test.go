package main

import (
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// until PATTERN COMMAND ...: runs a command, whatever its status, until what it
// prints matches.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND ...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	deadline := time.Now().Add(30 * time.Second)
	for {
		_ = ts.Exec(args[1], args[2:]...) // its status is the script's to ask for afterwards
		out := ts.ReadFile("stdout")
		if want.MatchString(out) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no match for %q in\n%s", args[0], out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
