package lint

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
)

// A Finding is one break of one rule, with what to do about it.
type Finding struct {
	File string // slash path from the root of the tree
	Line int    // 1 and up; 1 when the whole file is meant
	Rule string // the rule's name, as listed in docs/HACKING.md
	What string // what is wrong
	Do   string // what to do
}

// String returns the finding as file:line: rule: what; what to do.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: [%s] %s; %s", f.File, f.Line, f.Rule, f.What, f.Do)
}

// A Rule is one check over a whole tree.
type Rule struct {
	Name  string
	Check func(*Tree) []Finding
}

// Rules are all rules that a tree of files can be checked for. The form of
// commits is checked apart, by CheckSubject, since a tree has no history.
var Rules = []Rule{
	{"imports", checkImports},
	{"names", checkNames},
	{"file length", checkFileLength},
	{"function length", checkFunctionLength},
	{"parameters", checkParameters},
	{"purity", checkPurity},
	{"fuzz", checkFuzz},
	{"allocation", checkAllocation},
	{"interface size", checkInterfaces},
	{"no init", checkInit},
	{"no option functions", checkOptions},
	{"no package state", checkState},
	{"config", checkConfig},
	{"package comment", checkPackageDoc},
	{"doc comment", checkDocs},
	{"unfinished", checkUnfinished},
	{"foreign paths", checkForeignPaths},
	{"invariants", checkInvariants},
	{"dependencies", checkDependencies},
}

// Check runs every rule and returns the findings in the order of the files.
func Check(t *Tree) []Finding {
	var all []Finding
	for _, r := range Rules {
		for _, f := range r.Check(t) {
			f.Rule = r.Name
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return all
}

// at makes a finding at a position of a parsed file.
func (t *Tree) at(pos token.Pos, what, do string) Finding {
	p := t.Fset.Position(pos)
	return Finding{File: p.Filename, Line: p.Line, What: what, Do: do}
}
