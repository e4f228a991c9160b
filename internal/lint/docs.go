package lint

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// minDocWords is the shortest comment that can promise anything.
const minDocWords = 3

// stdMethods are promised by the standard library, under these names.
var stdMethods = []string{
	"Error", "String", "Unwrap", "Is", "As", "Len", "Less", "Swap", "Close", "Read", "Write", "ServeHTTP",
	"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "LogValue", "Init", "Update", "View",
}

// knows and ignores are what a package comment says of its limits.
var (
	knows   = regexp.MustCompile(`(?i)\bknow`)
	ignores = regexp.MustCompile(`(?i)must\s+(not|never)|\bnever\b`)
)

// checkPackageDoc: doc.go in every package holds one sentence, one picture,
// what the package knows and what it must not know.
func checkPackageDoc(t *Tree) []Finding {
	var out []Finding
	dirs, by := packages(t.sources())
	for _, dir := range dirs {
		var doc *File
		for _, f := range by[dir] {
			if path.Base(f.Path) == "doc.go" {
				doc = f
			}
		}
		if doc == nil {
			out = append(out, Finding{File: by[dir][0].Path, Line: 1, What: dir + " has no doc.go",
				Do: "add one: a sentence, a picture, what it knows, what it must not know"})
			continue
		}
		for _, what := range lacks(dir, doc.AST.Doc.Text()) {
			out = append(out, t.at(doc.AST.Package, "the comment of "+dir+" lacks "+what, "say it in doc.go"))
		}
	}
	return out
}

// lacks lists what a package comment does not have.
func lacks(dir, text string) []string {
	var out []string
	need := func(ok bool, what string) {
		if !ok {
			out = append(out, what)
		}
	}
	first, _, _ := strings.Cut(text, " ")
	need(first == "Package" || first == "Command" || strings.EqualFold(first, path.Base(dir)), "a sentence that starts with the name")
	need(strings.Contains(text, "\n\t") || strings.Contains(text, "\n  "), "a picture (indented lines)")
	need(knows.MatchString(text), "what it knows")
	need(ignores.MatchString(text), "what it must not know")
	return out
}

// checkDocs: every exported name has a comment of its own, which starts with
// the name where it is a function or a type.
func checkDocs(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.sources() {
		if f.AST.Name.Name == "main" {
			continue // nobody imports it
		}
		for _, d := range f.AST.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				std := d.Recv != nil && slices.Contains(stdMethods, d.Name.Name)
				if exported(d) && !std {
					out = append(out, t.docOf(d.Name, d.Doc.Text(), true)...)
				}
			case *ast.GenDecl:
				out = append(out, t.specDocs(d)...)
			}
		}
	}
	return out
}

// specDocs checks the types, constants and variables of one declaration. A
// group of constants or variables may be documented as one.
func (t *Tree) specDocs(g *ast.GenDecl) []Finding {
	var out []Finding
	for _, s := range g.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			doc := s.Doc.Text()
			if !g.Lparen.IsValid() {
				doc = g.Doc.Text()
			}
			if s.Name.IsExported() {
				out = append(out, t.docOf(s.Name, doc, true)...)
			}
		case *ast.ValueSpec:
			if s.Names[0].IsExported() {
				out = append(out, t.docOf(s.Names[0], g.Doc.Text()+s.Doc.Text()+s.Comment.Text(), false)...)
			}
		}
	}
	return out
}

// docOf checks the comment of one name.
func (t *Tree) docOf(name *ast.Ident, doc string, starts bool) []Finding {
	words := strings.Fields(doc)
	at := slices.Index(words[:min(2, len(words))], name.Name)
	switch {
	case len(words) < minDocWords:
		return []Finding{t.at(name.Pos(), name.Name+" has no comment that promises anything",
			"say what it promises, its units, limits, errors and source")}
	case starts && at < 0 && !strings.HasPrefix(words[0], name.Name):
		return []Finding{t.at(name.Pos(), "the comment of "+name.Name+" does not start with its name",
			"start it with "+name.Name)}
	}
	return nil
}
