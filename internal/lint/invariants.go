package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// invariantsFile lists the invariants and what holds them.
const invariantsFile = "docs/invariants.md"

var (
	invariantRef  = regexp.MustCompile(`\((I\d+(?:, I\d+)*)\)`)
	invariantName = regexp.MustCompile(`^I\d+$`)
	testName      = regexp.MustCompile(`^(Test|Fuzz)\w+$`)
)

// checkInvariants: the rows of docs/invariants.md name files and tests that
// exist, and every (I7) in the tree has a row.
func checkInvariants(t *Tree) []Finding {
	md, ok := t.text(invariantsFile)
	if !ok {
		return []Finding{{File: invariantsFile, Line: 1, What: "missing", Do: "write the table of invariants"}}
	}
	known := map[string]bool{}
	tests := t.testNames()
	var out []Finding
	for i, r := range markdownTable(md, "| enforced in") {
		add := func(what, do string) {
			out = append(out, Finding{File: invariantsFile, Line: r.line, What: what, Do: do})
		}
		if len(r.cells) != 4 {
			add("a row needs 4 cells", "write: name, promise, enforced in, test")
			continue
		}
		name := strings.Trim(r.cells[0], "* ")
		if want := fmt.Sprintf("I%d", i+1); !invariantName.MatchString(name) || name != want {
			add("row "+name+" where "+want+" should be", "number the invariants without gap; never reuse one")
		}
		known[name] = true
		for _, w := range append(codeWords(r.cells[2]), codeWords(r.cells[3])...) {
			if !t.exists(w, tests) {
				add(w+" does not exist", "name the file or test that holds "+name+" today")
			}
		}
	}
	if len(known) == 0 {
		out = append(out, Finding{File: invariantsFile, Line: 1, What: "no table found", Do: "write the table of invariants"})
	}
	return append(out, t.danglingRefs(known)...)
}

// danglingRefs finds references to invariants without a row.
func (t *Tree) danglingRefs(known map[string]bool) []Finding {
	return t.grep(func(line string) []Finding {
		var out []Finding
		for _, m := range invariantRef.FindAllStringSubmatch(line, -1) {
			for _, name := range strings.Split(m[1], ", ") {
				if !known[name] {
					out = append(out, Finding{What: name + " has no row in " + invariantsFile, Do: "add the row, or mend the number"})
				}
			}
		}
		return out
	})
}

// exists says whether a word of the table is a file, folder or test of the
// tree. Words that look like neither are code and are not looked up.
func (t *Tree) exists(word string, tests []string) bool {
	switch {
	case testName.MatchString(word):
		return slices.Contains(tests, word)
	case !strings.ContainsAny(word, "/."):
		return true
	}
	return slices.ContainsFunc(t.Texts, func(x Text) bool {
		return x.Path == word || strings.HasPrefix(x.Path, strings.TrimSuffix(word, "/")+"/")
	})
}

// testNames lists every test and fuzz test of the tree.
func (t *Tree) testNames() []string {
	var out []string
	for _, f := range t.Files {
		if f.Test {
			for name, o := range f.AST.Scope.Objects {
				if o != nil && testName.MatchString(name) {
					out = append(out, name)
				}
			}
		}
	}
	return out
}
