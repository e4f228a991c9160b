package lint

import (
	"go/ast"
	"regexp"
	"strings"
)

// saysZero finds a word that tells what a field left empty means.
var saysZero = regexp.MustCompile(`(?i)\b(zero|empty|nil|default|defaults|required|must|needed|false|unset|none|0|without)\b`)

// checkOptions: no option functions and no Options structs; a package is
// configured by one Config.
func checkOptions(t *Tree) []Finding {
	var out []Finding
	const do = "make it a field of the package's Config"
	for _, f := range t.sources() {
		for _, d := range f.AST.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if optionFunc(d) {
					out = append(out, t.at(d.Pos(), d.Name.Name+" is an option function", do))
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if ts, ok := s.(*ast.TypeSpec); ok && optionType(ts) {
						out = append(out, t.at(ts.Pos(), ts.Name.Name+" is a type of options", do))
					}
				}
			}
		}
	}
	return out
}

// optionFunc says whether fn is a function WithX that returns a function or an
// Option.
func optionFunc(fn *ast.FuncDecl) bool {
	if fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "With") || fn.Type.Results.NumFields() != 1 {
		return false
	}
	r := fn.Type.Results.List[0].Type
	_, isFunc := r.(*ast.FuncType)
	return isFunc || strings.HasSuffix(typeName(r), "Option")
}

// optionType says whether a type is a package's options: a struct Options or
// Opts, which should be its Config, or a function or interface named Option.
// A struct of one call's arguments (KeyPackageOptions) is not.
func optionType(ts *ast.TypeSpec) bool {
	name := strings.ToLower(ts.Name.Name)
	switch ts.Type.(type) {
	case *ast.StructType:
		return ts.Name.IsExported() && (name == "options" || name == "opts")
	case *ast.FuncType, *ast.InterfaceType:
		return strings.HasSuffix(name, "option")
	}
	return false
}

// checkConfig: every field of a Config says what its zero value means.
func checkConfig(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.sources() {
		for _, d := range f.AST.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.Name == "Config" {
					out = append(out, t.silentFields(ts)...)
				}
			}
		}
	}
	return out
}

// silentFields finds the fields of a struct that do not say what zero means.
func (t *Tree) silentFields(ts *ast.TypeSpec) []Finding {
	st, ok := ts.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	var out []Finding
	for _, field := range st.Fields.List {
		if len(field.Names) == 0 || !field.Names[0].IsExported() {
			continue
		}
		if !saysZero.MatchString(field.Doc.Text() + field.Comment.Text()) {
			out = append(out, t.at(field.Pos(), "Config."+field.Names[0].Name+" does not say what zero means",
				"say what happens when it is left empty, or that it is required"))
		}
	}
	return out
}
