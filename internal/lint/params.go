package lint

import (
	"fmt"
	"go/ast"
	"slices"
)

// maxParams is how many parameters a function may have, closures aside.
const maxParams = 5

// sameInARow is how many parameters of one basic type may stand side by side.
// The rule says one; two numbers (left and right) and three byte slices (key,
// message, tag, in the order every crypto package has them) are let through.
func sameInARow(kind string) int {
	switch kind {
	case "string", "bool":
		return 1
	case "[]byte":
		return 3
	}
	return 2
}

// basics are the types whose values can be swapped without the compiler
// seeing it.
var basics = []string{
	"string", "bool", "[]byte", "int", "int32", "int64",
	"uint", "uint8", "uint16", "uint32", "uint64", "float64",
}

// checkParameters: at most five parameters, and in what other packages call no
// run of one basic type: that is where arguments are swapped unseen.
func checkParameters(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.sources() {
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			types := paramTypes(fn.Type)
			if len(types) > maxParams {
				out = append(out, t.at(fn.Pos(), fmt.Sprintf("%s has %d parameters, the limit is %d", fn.Name.Name, len(types), maxParams),
					"make a struct of what belongs together"))
			}
			if kind, n := longestRun(types); exported(fn) && n > sameInARow(kind) {
				out = append(out, t.at(fn.Pos(), fmt.Sprintf("%s takes %d %s in a row", fn.Name.Name, n, kind),
					"give them types of their own, or make a struct"))
			}
		}
	}
	return out
}

// exported says whether other packages can call fn.
func exported(fn *ast.FuncDecl) bool {
	return fn.Name.IsExported() && (fn.Recv == nil || ast.IsExported(receiver(fn)))
}

// paramTypes lists the type of each parameter, "" for one that is not basic.
func paramTypes(ft *ast.FuncType) []string {
	var out []string
	for _, p := range ft.Params.List {
		for range max(len(p.Names), 1) {
			out = append(out, basicType(p.Type))
		}
	}
	return out
}

// basicType names a basic type, "" for any other.
func basicType(e ast.Expr) string {
	name := ""
	switch e := e.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.ArrayType:
		if id, ok := e.Elt.(*ast.Ident); ok && e.Len == nil {
			name = "[]" + id.Name
		}
	}
	if !slices.Contains(basics, name) {
		return ""
	}
	return name
}

// longestRun returns the basic type that stands most often in a row.
func longestRun(types []string) (kind string, n int) {
	run := 0
	for i, k := range types {
		if i > 0 && k == types[i-1] {
			run++
		} else {
			run = 1
		}
		if k != "" && run > n {
			kind, n = k, run
		}
	}
	return kind, n
}

// receiver names the type a method belongs to, "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	return typeName(fn.Recv.List[0].Type)
}

// typeName names a type without its pointer and type arguments.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}
