package main

import (
	"bytes"
	"fmt"
)

// A goal is what was asked for a room of 50,000 members, suite 1.
type goal struct {
	what   string
	of     finding
	most   float64 // milliseconds, or megabytes of a size; zero: nothing was asked
	size   bool
	growth bool // from 5,000 members; most is a factor
}

// goalMembers and growthMembers are the sizes that the goals are about.
const (
	goalMembers   = 50_000
	growthMembers = 5_000
)

// goals are those of the table in the issue "RFC 9420 complete, and fast". They
// were set on a machine of 34 us per verification.
var goals = []goal{
	{"commit, warm tree", finding{shape: shapeWarm, op: "commit"}, 5, false, false},
	{"process it, other half of the tree", finding{shape: shapeWarm, op: "process", single: true}, 1.5, false, false},
	{"process it, sibling of the committer", finding{shape: shapeWarm, op: "process_sibling", single: true}, 1.5, false, false},
	{"commit right after a bulk add, one core", finding{shape: shapeBulk, op: "commit", single: true}, 4000, false, false},
	{"full join, bulk, one core", finding{shape: shapeBulk, op: "join", single: true}, 3000, false, false},
	{"full join, batched, one core", finding{shape: shapeBatched, op: "join", single: true}, 3000, false, false},
	{"full join, warm, one core", finding{shape: shapeWarm, op: "join", single: true}, 3000, false, false},
	{"full join, churned, one core", finding{shape: shapeChurned, op: "join", single: true}, 3000, false, false},
	{"add 49,999 members in one commit, all cores", finding{shape: shapeBulk, op: "add"}, 8000, false, false},
	{"written to storage per commit", finding{shape: shapeWarm, op: "own_records"}, 0.010, true, false},
	{"memory of a process with one member, its own (RssAnon)", finding{shape: shapeWarm, op: "anonymous"}, 40, true, false},
	{"the same with the program's file (VmRSS)", finding{shape: shapeWarm, op: "resident"}, 40, true, false},
	{"the same before it had the member", finding{shape: shapeWarm, op: "idle"}, 0, true, false},
	{"seal a message", finding{shape: shapeWarm, op: "seal", single: true}, 0.035, false, false},
	{"open a message", finding{shape: shapeWarm, op: "open", single: true}, 0.060, false, false},
	{"growth of commit, 5,000 to 50,000", finding{shape: shapeWarm, op: "commit", single: true}, 1.5, false, true},
	{"growth of process, other half", finding{shape: shapeWarm, op: "process", single: true}, 1.5, false, true},
	{"growth of process, sibling", finding{shape: shapeWarm, op: "process_sibling", single: true}, 1.5, false, true},
}

// cpuMeans explains the columns of the goals.
const cpuMeans = `CPU time is the mean of what one takes of all processors together, with the collection of
garbage: by this a run is judged that has to share the machine. The last column is the lower
of the two on one core, and what was seen on all,`

// writeGoals compares what was seen with what was asked.
func (f *findings) writeGoals(out *bytes.Buffer) {
	if f.by[finding{f.suites[0], shapeWarm, "commit", goalMembers, false}] == nil {
		return
	}
	slow := f.slowness()
	fmt.Fprintf(out, "\n### Asked and seen: 50,000 members, suite 1\n\n%s divided by %.2f.\n\n", cpuMeans, slow)
	head(out, "what", "asked, at most", "seen", "CPU time", "at the speed of the machine of the goals")
	for _, g := range goals {
		row(out, append([]string{g.what}, f.seen(g, slow)...)...)
	}
}

// seen writes what was asked and what was seen of a goal.
func (f *findings) seen(g goal, slow float64) []string {
	g.of.suite, g.of.members = f.suites[0], goalMembers
	r := f.by[g.of]
	if r == nil {
		return []string{"", "-", "", ""}
	}
	switch {
	case g.growth:
		return f.grown(g, r)
	case g.size && g.most == 0:
		return []string{"", kilobytes(r.Bytes), "", ""}
	case g.size:
		return []string{kilobytes(int64(g.most * 1e6)), kilobytes(r.Bytes), "", ""}
	}
	fair := r.P50
	if g.of.single && r.CPU > 0 {
		fair = min(fair, r.CPU)
	}
	return []string{millis(g.most), millis(r.P50), millis(r.CPU), millis(fair / slow)}
}

// grown compares a result with that of a smaller room.
func (f *findings) grown(g goal, r *mlsResult) []string {
	asked := fmt.Sprintf("%.1f times", g.most)
	g.of.members = growthMembers
	small := f.by[g.of]
	if small == nil || small.P50 <= 0 || small.CPU <= 0 {
		return []string{asked, "-", "", ""}
	}
	return []string{asked, fmt.Sprintf("%.2f times", r.P50/small.P50), fmt.Sprintf("%.2f times", r.CPU/small.CPU), ""}
}
