package lint

import (
	"go/ast"
	"go/token"
	"slices"
)

// lengthReads are calls that return a number a peer chose.
var lengthReads = []string{"Uint16", "Uint32", "Uint64", "Varint", "Uvarint", "ReadUvarint", "ReadVarint", "ConsumeVarint"}

// limitCalls take a limit as their last argument, which must have a name.
var limitCalls = []string{"OpaqueMax", "LimitReader", "MaxBytesReader"}

// checkAllocation: a length that a peer chose is compared with a bound before
// anything is made of that size, a limit has a name, and nothing foreign is
// read to its end without one (I9).
func checkAllocation(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.sources() {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				out = append(out, t.foreignSizes(fn.Body)...)
				out = append(out, t.namelessLimits(fn.Body)...)
			}
		}
	}
	return out
}

// foreignSizes finds make and slices.Grow with a size that was read and not
// compared before.
func (t *Tree) foreignSizes(body *ast.BlockStmt) []Finding {
	var out []Finding
	foreign := map[string]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				id, ok := l.(*ast.Ident)
				if ok && len(n.Rhs) == len(n.Lhs) {
					foreign[id.Name] = isForeign(n.Rhs[i], foreign)
				} else if ok && i == 0 {
					foreign[id.Name] = isForeign(n.Rhs[0], foreign)
				}
			}
		case *ast.BinaryExpr:
			if n.Op == token.LSS || n.Op == token.GTR || n.Op == token.LEQ || n.Op == token.GEQ || n.Op == token.NEQ {
				clear := func(m ast.Node) bool {
					if id, ok := m.(*ast.Ident); ok {
						delete(foreign, id.Name)
					}
					return true
				}
				ast.Inspect(n.X, clear)
				ast.Inspect(n.Y, clear)
			}
		case *ast.CallExpr:
			if size := sizeOf(n); size != nil && isForeign(size, foreign) {
				out = append(out, t.at(n.Pos(), "makes as much as a peer asks for",
					"compare the length with what is left and with a named limit first"))
			}
		}
		return true
	})
	return out
}

// sizeOf returns the largest size argument of a call that allocates.
func sizeOf(c *ast.CallExpr) ast.Expr {
	name := callee(c)
	if (name == "make" || name == "Grow") && len(c.Args) > 1 {
		return c.Args[len(c.Args)-1]
	}
	return nil
}

// isForeign says whether an expression holds a number a peer chose. min()
// bounds it.
func isForeign(e ast.Expr, foreign map[string]bool) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if callee(n) == "min" || callee(n) == "len" {
				return false
			}
			found = found || slices.Contains(lengthReads, callee(n))
		case *ast.Ident:
			found = found || foreign[n.Name]
		}
		return true
	})
	return found
}

// namelessLimits finds limits written as a number, and reads without a limit.
func (t *Tree) namelessLimits(body *ast.BlockStmt) []Finding {
	var out []Finding
	ast.Inspect(body, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok || len(c.Args) == 0 {
			return true
		}
		last := c.Args[len(c.Args)-1]
		switch {
		case slices.Contains(limitCalls, callee(c)) && isNumber(last):
			out = append(out, t.at(last.Pos(), "a limit without a name", "make it a constant that says what happens there"))
		case callee(c) == "ReadAll" && endsInBody(last):
			out = append(out, t.at(c.Pos(), "reads a body without a limit", "wrap it in io.LimitReader with a named limit"))
		}
		return true
	})
	return out
}

// isNumber says whether an expression is made of literals only.
func isNumber(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return isNumber(e.X) && isNumber(e.Y)
	case *ast.ParenExpr:
		return isNumber(e.X)
	}
	return false
}

// endsInBody says whether an expression is the Body of a request or response.
func endsInBody(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Body"
}

// callee names what a call calls, without its package or receiver.
func callee(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
