package lint

import (
	"fmt"
	"go/ast"
)

const (
	maxFileLines  = 400 // of a file that is neither test, table nor generated
	maxFuncLines  = 60  // of a function's body
	flatRest      = 20  // lines of a long function outside its switch or table
	flatClause    = 15  // lines of one case of a flat switch
	longFuncShare = 3   // of a hundred functions may be long, flat ones
)

// checkFileLength: at most 400 lines. A file of which more than half is one
// package-level literal is a table and may be longer.
func checkFileLength(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.sources() {
		if f.Lines <= maxFileLines || 2*t.tableLines(f) > f.Lines {
			continue
		}
		out = append(out, Finding{File: f.Path, Line: maxFileLines,
			What: fmt.Sprintf("%d lines, the limit is %d", f.Lines, maxFileLines),
			Do:   "it is two ideas: split it by them"})
	}
	return out
}

// tableLines counts the lines of a file's package-level composite literals.
func (t *Tree) tableLines(f *File) int {
	n := 0
	for _, d := range f.AST.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			if v, ok := s.(*ast.ValueSpec); ok {
				for _, e := range v.Values {
					n += t.span(e)
				}
			}
		}
	}
	return n
}

// span is how many lines a node covers after its first.
func (t *Tree) span(n ast.Node) int {
	return t.Fset.Position(n.End()).Line - t.Fset.Position(n.Pos()).Line
}

// checkFunctionLength: a body has at most 60 lines. A flat switch or a table
// may have more, and at most three functions of a hundred are such.
func checkFunctionLength(t *Tree) []Finding {
	var out, long []Finding
	total := 0
	for _, f := range t.sources() {
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			total++
			lines := t.span(fn.Body) - 1
			if lines <= maxFuncLines {
				continue
			}
			found := t.at(fn.Pos(), fmt.Sprintf("%s has %d lines, the limit is %d", fn.Name.Name, lines, maxFuncLines),
				"name its steps and make them functions")
			if t.flat(fn.Body) {
				long = append(long, found)
			} else {
				out = append(out, found)
			}
		}
	}
	if len(long)*100 > max(total*longFuncShare, 100) {
		out = append(out, long...)
	}
	return out
}

// flat says whether a body is one switch of short cases, or one table, and
// little else.
func (t *Tree) flat(body *ast.BlockStmt) bool {
	best := 0
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SwitchStmt:
			best = max(best, t.flatSwitch(n.Body))
		case *ast.TypeSwitchStmt:
			best = max(best, t.flatSwitch(n.Body))
		case *ast.CompositeLit:
			best = max(best, t.span(n))
			return false
		}
		return true
	})
	return t.span(body)-best <= flatRest
}

// flatSwitch returns the lines of a switch whose cases are all short, else 0.
func (t *Tree) flatSwitch(body *ast.BlockStmt) int {
	for _, c := range body.List {
		if t.span(c) > flatClause {
			return 0
		}
	}
	return t.span(body)
}
