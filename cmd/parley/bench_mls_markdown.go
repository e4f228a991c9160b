package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

// What bench mls writes stands between these marks.
const (
	tablesBegin = "<!-- begin: parley bench mls -->\n"
	tablesEnd   = "<!-- end: parley bench mls -->\n"
)

// writeBenchmarks replaces what is between the marks in a file.
func writeBenchmarks(file string, results []*mlsResult) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begun := bytes.Cut(old, []byte(tablesBegin))
	_, after, ended := bytes.Cut(rest, []byte(tablesEnd))
	if !begun || !ended {
		return fmt.Errorf("%s has no lines %q and %q to write between", file, strings.TrimSpace(tablesBegin), strings.TrimSpace(tablesEnd))
	}
	var out bytes.Buffer
	out.Write(before)
	out.WriteString(tablesBegin)
	newFindings(results).write(&out)
	out.WriteString(tablesEnd)
	out.Write(after)
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// A finding is which measurement it is.
type finding struct {
	suite, shape, op string
	members          int
	single           bool // on one processor
}

// findings are all measurements.
type findings struct {
	list   []*mlsResult
	by     map[finding]*mlsResult
	suites []string
	sizes  []int
}

func newFindings(results []*mlsResult) *findings {
	f := &findings{list: results, by: make(map[finding]*mlsResult)}
	for _, r := range results {
		f.by[finding{r.Suite, r.Shape, strings.TrimPrefix(r.Op, "mls_"), r.Members, r.Processors == 1}] = r
		if !slices.Contains(f.suites, r.Suite) {
			f.suites = append(f.suites, r.Suite)
		}
		if r.Members > 0 && !slices.Contains(f.sizes, r.Members) {
			f.sizes = append(f.sizes, r.Members)
		}
	}
	slices.Sort(f.sizes)
	return f
}

// write writes all tables.
func (f *findings) write(out *bytes.Buffer) {
	if len(f.list) == 0 {
		return
	}
	fmt.Fprintf(out, "\nMeasured: %s.\n", f.list[0].environment)
	f.writePrimitives(out)
	f.writeGoals(out)
	f.writeRecords(out)
	for _, s := range f.suites {
		for _, shape := range shapes {
			f.writeShape(out, s, shape)
		}
	}
	fmt.Fprintln(out)
}

// row writes one row of a table.
func row(out *bytes.Buffer, cells ...string) {
	fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
}

// head writes the first two rows.
func head(out *bytes.Buffer, cells ...string) {
	row(out, cells...)
	fmt.Fprintln(out, strings.Repeat("|---", len(cells))+"|")
}

// primitives are what is measured of a suite alone, with what the machine took
// that the goals were set on (suite 1, milliseconds; zero: not known).
var primitives = []struct {
	op, what string
	goal     float64
}{
	{"sign", "sign 200 bytes", 0},
	{"verify", "verify that", 0.034},
	{"hpke_seal", "HPKE seal a path secret", 0.065},
	{"hpke_open", "HPKE open it", 0.035},
	{"derive_key", "derive an HPKE key pair", 0},
}

func (f *findings) writePrimitives(out *bytes.Buffer) {
	fmt.Fprint(out, "\n### What everything is made of\n\nMedian of one, on one processor.\n\n")
	cells := []string{"operation"}
	cells = append(append(cells, f.suites...), "suite 1 on the machine of the goals")
	head(out, cells...)
	for _, p := range primitives {
		cells := []string{p.what}
		for _, s := range f.suites {
			cells = append(cells, millisOf(f.by[finding{s, "", p.op, 0, true}]))
		}
		row(out, append(cells, millis(p.goal))...)
	}
	fmt.Fprintf(out, "\nThis machine, during this run, took %.2f times as long as that of the goals for them.\n", f.slowness())
}

// slowness is how much slower this machine is than that of the goals, by the
// primitives of suite 1.
func (f *findings) slowness() float64 {
	sum, n := 0.0, 0
	for _, p := range primitives {
		if r := f.by[finding{f.suites[0], "", p.op, 0, true}]; r != nil && p.goal > 0 {
			sum += r.P50 / p.goal
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// millisOf writes the median of a result.
func millisOf(r *mlsResult) string {
	if r == nil {
		return "-"
	}
	return millis(r.P50)
}

// kilobytes writes a size.
func kilobytes(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// operations are the rows of a room's table.
var operations = []struct {
	op, what    string
	timed, size bool
}{
	{"add", "add all others in one commit; commit and Welcome", true, true},
	{"join", "join; Welcome and tree", true, true},
	{"commit", "commit", true, true},
	{"process", "process it, other half of the tree", true, false},
	{"process_sibling", "process it, sibling of the committer", true, false},
	{"remove", "commit that removes a member", true, true},
	{"remove_process", "process that", true, false},
	{"group_info", "GroupInfo without tree", true, true},
	{"external_join", "external join; commit", true, true},
	{"external_process", "process that", true, false},
	{"seal", "seal 300 bytes", true, true},
	{"open", "open that", true, false},
	{"own_records", "records written for an own commit", false, true},
	{"records", "records written for another's", false, true},
	{"tree", "tree", false, true},
	{"welcome", "Welcome of all", false, true},
	{"live", "heap of a process with one member", false, true},
	{"anonymous", "memory of its own of that process (RssAnon)", false, true},
	{"resident", "all memory of that process (VmRSS)", false, true},
	{"idle", "the same before it had the member", false, true},
}

// writeShape writes the table of the rooms of one suite and shape.
func (f *findings) writeShape(out *bytes.Buffer, suite, shape string) {
	var sizes []int
	for _, n := range f.sizes {
		if f.by[finding{suite, shape, "tree", n, false}] != nil {
			sizes = append(sizes, n)
		}
	}
	if len(sizes) == 0 {
		return
	}
	fmt.Fprintf(out, "\n### %s, %s\n\n", suite, shape)
	cells := []string{"operation"}
	for _, n := range sizes {
		cells = append(cells, fmt.Sprintf("%d members", n))
	}
	head(out, cells...)
	for _, o := range operations {
		for _, single := range []bool{true, false} {
			cells, some := []string{o.what}, false
			if single && o.timed {
				cells[0] += ", one processor"
			}
			for _, n := range sizes {
				r := f.by[finding{suite, shape, o.op, n, single}]
				cell := "-"
				if r != nil {
					some = true
					cell = r.cell(o.timed, o.size)
				}
				cells = append(cells, cell)
			}
			if some {
				row(out, cells...)
			}
		}
	}
}

// cell is a result in a table.
func (r *mlsResult) cell(timed, size bool) string {
	var parts []string
	if timed {
		parts = append(parts, millis(r.P50))
	}
	if size {
		parts = append(parts, kilobytes(r.Bytes))
	}
	return strings.Join(parts, ", ")
}
