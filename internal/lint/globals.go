package lint

import (
	"go/ast"
	"go/token"
	"slices"
)

// stateTypes are packages whose values are state by their nature.
var stateTypes = []string{"sync", "atomic", "prometheus", "promauto", "expvar", "rate"}

// stateless are members of those packages that hold nothing a program can see:
// a pool, and a constant that is computed when first asked for.
var stateless = []string{"Pool", "OnceValue", "OnceValues", "OnceFunc", "NewDesc", "DefBuckets"}

// checkInit: no init functions.
func checkInit(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.Files {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && !f.Generated && fn.Recv == nil && fn.Name.Name == "init" {
				out = append(out, t.at(fn.Pos(), "an init function", "do it in a constructor, or where main wires"))
			}
		}
	}
	return out
}

// checkState: a package-level variable is a constant in all but name: never
// assigned to, never pointed at, and not a lock, counter or limiter.
func checkState(t *Tree) []Finding {
	var out []Finding
	dirs, by := packages(t.Files)
	for _, dir := range dirs {
		vars := map[string]bool{}
		for _, f := range by[dir] {
			if !f.Test && !f.Generated {
				out = append(out, t.packageVars(f, vars)...)
			}
		}
		for _, f := range by[dir] {
			if !f.Generated {
				out = append(out, t.writes(f, vars)...)
			}
		}
	}
	return out
}

// packageVars notes the variables a file declares and reports those that are
// state by their type.
func (t *Tree) packageVars(f *File, vars map[string]bool) []Finding {
	var out []Finding
	for _, d := range f.AST.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for _, name := range v.Names {
				vars[name.Name] = name.Name != "_"
			}
			for _, e := range append([]ast.Expr{v.Type}, v.Values...) {
				if what := stateOf(e); what != "" {
					out = append(out, t.at(v.Pos(), v.Names[0].Name+" is package state ("+what+")",
						"make it a field of the value that owns it"))
				}
			}
		}
	}
	return out
}

// stateOf names the member of a stateful package that an expression is or
// calls, "" for none. Function literals are not looked into.
func stateOf(e ast.Expr) string {
	found := ""
	if e == nil {
		return ""
	}
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && x.Obj == nil && slices.Contains(stateTypes, x.Name) && !slices.Contains(stateless, n.Sel.Name) {
				found = x.Name + "." + n.Sel.Name
			}
		}
		return true
	})
	return found
}

// writes finds assignments to package variables and pointers taken to them.
func (t *Tree) writes(f *File, vars map[string]bool) []Finding {
	var out []Finding
	add := func(e ast.Expr, what string) {
		if id := root(e); id != nil && vars[id.Name] && packageLevel(f, id) {
			out = append(out, t.at(e.Pos(), what+" package variable "+id.Name, "make it a field of the value that owns it"))
		}
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, l := range n.Lhs {
				if n.Tok != token.DEFINE {
					add(l, "assigns to")
				}
			}
		case *ast.IncDecStmt:
			add(n.X, "assigns to")
		case *ast.UnaryExpr:
			if _, plain := n.X.(*ast.Ident); plain && n.Op == token.AND {
				add(n.X, "points at")
			}
		}
		return true
	})
	return out
}

// root is the variable an assignable expression starts from.
func root(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return root(e.X)
	case *ast.IndexExpr:
		return root(e.X)
	case *ast.StarExpr:
		return root(e.X)
	}
	return nil
}

// packageLevel says whether an identifier is the package's variable of that
// name: this file declares it at its top, or another file does.
func packageLevel(f *File, id *ast.Ident) bool {
	return id.Obj == nil || f.AST.Scope.Lookup(id.Name) == id.Obj
}
