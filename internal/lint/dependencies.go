package lint

import (
	"slices"
	"strings"
)

// dependenciesFile says of each direct dependency what it beats.
const dependenciesFile = "docs/design/dependencies.md"

// checkDependencies: go.mod and docs/design/dependencies.md name the same
// modules.
func checkDependencies(t *Tree) []Finding {
	mod, _ := t.text("go.mod")
	md, _ := t.text(dependenciesFile)
	required := directModules(mod)
	var out []Finding
	var listed []string
	for _, r := range markdownTable(md, "| rather than") {
		for _, m := range codeWords(r.cells[0]) {
			listed = append(listed, m)
			if required[m] == 0 {
				out = append(out, Finding{File: dependenciesFile, Line: r.line, What: m + " is not in go.mod", Do: "delete the line"})
			}
		}
	}
	for m, line := range required {
		if !slices.Contains(listed, m) {
			out = append(out, Finding{File: "go.mod", Line: line, What: m + " has no line in " + dependenciesFile,
				Do: "say there what it beats"})
		}
	}
	return out
}

// directModules returns the modules go.mod requires for our own imports, with
// their lines.
func directModules(mod string) map[string]int {
	out := map[string]int{}
	n, in := 0, false
	for line := range strings.Lines(mod) {
		n++
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "require" && len(words) > 1 && words[1] == "(":
			in = true
		case words[0] == ")":
			in = false
		case strings.Contains(line, "// indirect"):
		case in && len(words) >= 2:
			out[words[0]] = n
		case words[0] == "require" && len(words) >= 3:
			out[words[1]] = n
		}
	}
	return out
}
