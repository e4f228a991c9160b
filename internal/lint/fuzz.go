package lint

import (
	"go/ast"
	"regexp"
	"strings"
)

// decoderName is what a decoder of foreign bytes is called.
var decoderName = regexp.MustCompile(`^(Decode|Parse|Unmarshal|Open[A-Z]\w*Frame)`)

// checkFuzz: every exported function that decodes foreign bytes is named in a
// file of its package's tests that has a Fuzz function.
func checkFuzz(t *Tree) []Finding {
	fuzzed, has := fuzzedNames(t.Files)
	var out []Finding
	for _, f := range t.sources() {
		if t.kind(f.Dir) == testsOnly {
			continue // reads what we keep ourselves
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !isDecoder(fn) || fuzzed[f.Dir][fn.Name.Name] {
				continue
			}
			what := "decoder " + fn.Name.Name + " is in no fuzz test"
			if !has[f.Dir] {
				what = "decoder " + fn.Name.Name + " in a package without a fuzz test"
			}
			out = append(out, t.at(fn.Pos(), what,
				"add it to a FuzzXxx: no panic, bounded allocation, decode-encode-decode equal"))
		}
	}
	return out
}

// isDecoder says whether fn is exported, takes bytes and may fail.
func isDecoder(fn *ast.FuncDecl) bool {
	if !exported(fn) || !decoderName.MatchString(fn.Name.Name) || fn.Type.Params.NumFields() == 0 {
		return false
	}
	first := fn.Type.Params.List[0].Type
	return (basicType(first) == "[]byte" || typeName(first) == "Reader") && returnsError(fn.Type)
}

// returnsError says whether the last result is an error.
func returnsError(ft *ast.FuncType) bool {
	if ft.Results == nil || len(ft.Results.List) == 0 {
		return false
	}
	return typeName(ft.Results.List[len(ft.Results.List)-1].Type) == "error"
}

// fuzzedNames collects, by folder, every name used in test files that hold a
// fuzz test, and which folders have one.
func fuzzedNames(files []*File) (names map[string]map[string]bool, has map[string]bool) {
	names, has = map[string]map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if !f.Test || !hasFuzz(f) {
			continue
		}
		has[f.Dir] = true
		if names[f.Dir] == nil {
			names[f.Dir] = map[string]bool{}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				names[f.Dir][id.Name] = true
			}
			return true
		})
	}
	return names, has
}

// hasFuzz says whether a file declares a fuzz test.
func hasFuzz(f *File) bool {
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz") {
			return true
		}
	}
	return false
}
