package lint

import (
	"fmt"
	"go/ast"
)

// maxMethods is the largest interface we declare.
const maxMethods = 5

// checkInterfaces: an interface has at most five methods of its own.
func checkInterfaces(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.sources() {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			s, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			i, ok := s.Type.(*ast.InterfaceType)
			if ok && i.Methods.NumFields() > maxMethods {
				out = append(out, t.at(s.Pos(), fmt.Sprintf("interface %s has %d methods, the limit is %d", s.Name.Name, i.Methods.NumFields(), maxMethods),
					"declare what the caller needs where it is used"))
			}
			return true
		})
	}
	return out
}
