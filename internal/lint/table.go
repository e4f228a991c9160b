package lint

import (
	"fmt"
	"regexp"
	"strings"
)

// architectureFile holds the import table.
const architectureFile = "docs/architecture.md"

// An importTable is what docs/architecture.md says about imports.
type importTable struct {
	rows   []importRow
	closed []closedRow
}

// An importRow says what some packages may import, of ours.
type importRow struct {
	packages []string // patterns
	may      []string // patterns
	anything bool
	kind     string // "pure", "tests only", ...
	line     int
}

// A closedRow says what some packages never reach, directly or through others.
type closedRow struct {
	packages []string
	never    []string
	line     int
}

// readTable finds the two tables by their header lines.
func readTable(md string) (importTable, error) {
	var t importTable
	for _, r := range markdownTable(md, "may import, of ours") {
		if len(r.cells) != 3 {
			return t, fmt.Errorf("%s:%d: a row needs 3 cells", architectureFile, r.line)
		}
		t.rows = append(t.rows, importRow{
			packages: codeWords(r.cells[0]),
			may:      codeWords(r.cells[1]),
			anything: strings.HasPrefix(r.cells[1], "anything"),
			kind:     r.cells[2],
			line:     r.line,
		})
	}
	for _, r := range markdownTable(md, "never reaches") {
		if len(r.cells) != 2 {
			return t, fmt.Errorf("%s:%d: a row needs 2 cells", architectureFile, r.line)
		}
		t.closed = append(t.closed, closedRow{codeWords(r.cells[0]), codeWords(r.cells[1]), r.line})
	}
	if len(t.rows) == 0 || len(t.closed) == 0 {
		return t, fmt.Errorf("%s: no import table found", architectureFile)
	}
	return t, nil
}

// row returns the row for a package: the one with the most exact pattern.
func (t importTable) row(pkg string) (importRow, bool) {
	best, found := -1, importRow{}
	for _, r := range t.rows {
		for _, p := range r.packages {
			if n := matchLen(p, pkg); n > best {
				best, found = n, r
			}
		}
	}
	return found, best >= 0
}

// matchLen returns how exactly a pattern matches a package: -1 for not at all,
// more for a longer fixed part, most for the name itself. `mls/...` is mls and
// all below it.
func matchLen(pattern, pkg string) int {
	if pattern == pkg {
		return 2 * len(pattern)
	}
	prefix, wild := strings.CutSuffix(pattern, "/...")
	if wild && (pkg == prefix || strings.HasPrefix(pkg, prefix+"/")) {
		return len(prefix)
	}
	return -1
}

// matchAny says whether one of the patterns matches the package.
func matchAny(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if matchLen(p, pkg) >= 0 {
			return true
		}
	}
	return false
}

// A tableRow is one body row of a markdown table.
type tableRow struct {
	cells []string
	line  int
}

// markdownTable returns the rows of the first table whose header holds mark.
func markdownTable(md, mark string) []tableRow {
	var rows []tableRow
	in := false
	n := 0
	for line := range strings.Lines(md) {
		n++
		line = strings.TrimSpace(line)
		switch {
		case !in && strings.HasPrefix(line, "|") && strings.Contains(line, mark):
			in = true
		case in && !strings.HasPrefix(line, "|"):
			return rows
		case in && !strings.HasPrefix(line, "|-") && !strings.HasPrefix(line, "| -"):
			rows = append(rows, tableRow{cells: splitCells(line), line: n})
		}
	}
	return rows
}

// splitCells cuts one table line into its trimmed cells.
func splitCells(line string) []string {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

var codeWord = regexp.MustCompile("`([^`]+)`")

// codeWords returns what stands between backquotes.
func codeWords(s string) []string {
	var out []string
	for _, m := range codeWord.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}
