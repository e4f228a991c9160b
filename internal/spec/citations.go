package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// A citation is one mention of a document in a file. Section is "" where the
// whole document is meant.
type citation struct {
	doc, section string
	file         string
	test         bool
}

const (
	docPattern  = `RFC \d{4}|draft-[a-z0-9-]*[a-z0-9]`
	onePattern  = `(?:\d+(?:\.\d+)*|[A-Z](?:\.\d+)*)\b`
	morePattern = onePattern + `(?:(?:, and |, | and | or | to )` + onePattern + `)*`
)

var (
	// after is RFC 9420, Section 7.8 and its plural.
	after = regexp.MustCompile(`(` + docPattern + `)(?:,? (?:(?:Section|Appendix) (` + onePattern + `)|(?:Sections|Appendices) (` + morePattern + `)))?`)
	// before is Section 7.8 of RFC 9420.
	before = regexp.MustCompile(`(?:Section|Appendix|Sections) (` + morePattern + `) of (` + docPattern + `)`)
	number = regexp.MustCompile(onePattern)
)

// cited lists what a text cites. Line breaks count as blanks.
func cited(text string) []citation {
	text = strings.Join(strings.Fields(text), " ")
	var out []citation
	add := func(doc, sections string) {
		for _, s := range number.FindAllString(sections, -1) {
			out = append(out, citation{doc: doc, section: s})
		}
	}
	for _, m := range before.FindAllStringSubmatch(text, -1) {
		add(m[2], m[1])
	}
	for _, m := range after.FindAllStringSubmatch(before.ReplaceAllString(text, ""), -1) {
		if m[2]+m[3] == "" {
			out = append(out, citation{doc: m[1]})
		}
		add(m[1], m[2]+m[3])
	}
	return out
}

// fromFile lists the citations of one file: of a Go file those in comments and
// strings, of any other those anywhere.
func fromFile(name string, body []byte) []citation {
	var out []citation
	add := func(text string) {
		for _, c := range cited(text) {
			c.file, c.test = name, isTest(name)
			out = append(out, c)
		}
	}
	if path.Ext(name) != ".go" {
		add(strings.NewReplacer("//", " ", "#", " ").Replace(string(body)))
		return out
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, body, parser.ParseComments)
	if err != nil || ast.IsGenerated(f) {
		return nil // the compiler reports the one, the .proto holds the other
	}
	for _, c := range f.Comments {
		add(c.Text())
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if s, err := strconv.Unquote(l.Value); err == nil {
				add(s)
			}
		}
		return true
	})
	return out
}

// isTest says whether a file is read by tests only.
func isTest(name string) bool {
	return strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata/") || strings.Contains(name, "internal/vectors/")
}
