package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// testsOnly is the kind of a package that only tests import.
const testsOnly = "tests only"

// An importEdge is one import of a package of ours by another.
type importEdge struct {
	from, to string
	file     *File
	index    int // in file.AST.Imports
}

// checkImports holds every import of ours against the import table: each
// package has a row, imports what its row names, and never reaches what is
// closed to it. Tests may import any package but the commands.
func checkImports(t *Tree) []Finding {
	md, ok := t.text(architectureFile)
	if !ok {
		return []Finding{{File: architectureFile, Line: 1, What: "missing", Do: "write the import table"}}
	}
	table, err := readTable(md)
	if err != nil {
		return []Finding{{File: architectureFile, Line: 1, What: err.Error(), Do: "mend the import table"}}
	}
	edges := t.edges()
	out := t.unlisted(table)
	for _, e := range edges {
		out = append(out, t.checkEdge(table, e)...)
	}
	return append(out, checkClosed(table, edges)...)
}

// kind returns what the import table calls a package, "" where it has no row.
func (t *Tree) kind(dir string) string {
	md, _ := t.text(architectureFile)
	table, err := readTable(md)
	if err != nil {
		return "" // checkImports reports it
	}
	row, _ := table.row(dir)
	return row.kind
}

// edges lists every import of ours, tests included.
func (t *Tree) edges() []importEdge {
	var out []importEdge
	for _, f := range t.Files {
		for i, spec := range f.AST.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			if to, ours := strings.CutPrefix(p, t.Module+"/"); ours {
				out = append(out, importEdge{from: f.Dir, to: to, file: f, index: i})
			}
		}
	}
	return out
}

// unlisted finds packages that the table does not name.
func (t *Tree) unlisted(table importTable) []Finding {
	var out []Finding
	dirs, by := packages(t.Files)
	for _, dir := range dirs {
		if _, ok := table.row(dir); !ok {
			out = append(out, Finding{File: by[dir][0].Path, Line: 1,
				What: "package " + dir + " has no row in the import table",
				Do:   "add it to " + architectureFile + ", or move the code to a package that is there"})
		}
	}
	return out
}

// checkEdge checks one import against the importer's row.
func (t *Tree) checkEdge(table importTable, e importEdge) []Finding {
	to, known := table.row(e.to)
	pos := e.file.AST.Imports[e.index].Pos()
	switch {
	case known && strings.Contains(to.kind, "nobody imports"):
		return []Finding{t.at(pos, e.from+" imports the command "+e.to, "move what is shared below it")}
	case e.file.Test:
		return nil
	case known && to.kind == testsOnly:
		return []Finding{t.at(pos, e.from+" imports "+e.to+" outside a test", "use it in _test.go files only")}
	}
	from, ok := table.row(e.from)
	if !ok || from.anything || matchAny(from.may, e.to) {
		return nil
	}
	return []Finding{t.at(pos, e.from+" may not import "+e.to,
		fmt.Sprintf("see its row at %s:%d: %s", architectureFile, from.line, strings.Join(from.may, ", ")))}
}

// checkClosed follows imports of non-test files from each closed package and
// reports the path to what it must never reach.
func checkClosed(table importTable, edges []importEdge) []Finding {
	next := map[string][]string{}
	at := map[string]string{}
	for _, e := range edges {
		if !e.file.Test {
			next[e.from] = append(next[e.from], e.to)
			at[e.from] = e.file.Path
		}
	}
	var out []Finding
	for _, row := range table.closed {
		for _, from := range row.packages {
			if path := reach(next, from, row.never); path != nil {
				out = append(out, Finding{File: at[from], Line: 1,
					What: "reaches what is closed to it: " + strings.Join(path, " -> "),
					Do:   fmt.Sprintf("cut the path, see %s:%d", architectureFile, row.line)})
			}
		}
	}
	return out
}

// reach returns the shortest import path from a package to one of the
// patterns, nil if there is none.
func reach(next map[string][]string, from string, never []string) []string {
	seen := map[string]bool{from: true}
	for queue := [][]string{{from}}; len(queue) > 0; queue = queue[1:] {
		path := queue[0]
		last := path[len(path)-1]
		if len(path) > 1 && matchAny(never, last) {
			return path
		}
		for _, to := range next[last] {
			if !seen[to] {
				seen[to] = true
				queue = append(queue, append(slices.Clone(path), to))
			}
		}
	}
	return nil
}
