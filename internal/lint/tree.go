package lint

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxText is the largest file, in bytes, that is read as text. Larger ones are
// test data and are not looked into.
const maxText = 1 << 20

// A Tree is the sources of one module, parsed once for all rules.
type Tree struct {
	Module string  // module path from go.mod
	Files  []*File // Go files in the order of their paths
	Texts  []Text  // all text files, Go files included
	Fset   *token.FileSet
}

// A File is one parsed Go file.
type File struct {
	Path      string // slash path from the root
	Dir       string // its folder; "." for the root
	Test      bool   // its name ends in _test.go
	Generated bool   // a generator wrote it: exempt from the style
	Lines     int
	AST       *ast.File
}

// A Text is one text file as it stands.
type Text struct {
	Path string
	Body string
}

// Load reads and parses the tree under fsys. Folders that are not sources
// (.git, bin, node_modules) are left out; Go files in testdata are not parsed.
// It fails on the first file that can not be read and reports every file that
// does not parse.
func Load(fsys fs.FS) (*Tree, error) {
	t := &Tree{Module: "parley", Fset: token.NewFileSet()}
	var broken []error
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone between listing and reading
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && skipDir(d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if err := t.add(fsys, name, d); err != nil {
			broken = append(broken, err)
		}
		return nil
	})
	return t, errors.Join(append(broken, err)...)
}

// skipDir says whether a folder holds no sources of ours.
func skipDir(name string) bool {
	return slices.Contains([]string{".git", "bin", "node_modules"}, name)
}

// add reads one file into the tree.
func (t *Tree) add(fsys fs.FS, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxText {
		return nil // a vanished file, a socket or a blob is no source
	}
	body, err := fs.ReadFile(fsys, name)
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	if bytes.IndexByte(body, 0) >= 0 {
		return nil
	}
	t.Texts = append(t.Texts, Text{Path: name, Body: string(body)})
	if name == "go.mod" {
		t.Module = moduleOf(string(body))
	}
	if path.Ext(name) != ".go" || strings.Contains("/"+name, "/testdata/") {
		return nil
	}
	f, err := parser.ParseFile(t.Fset, name, body, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	t.Files = append(t.Files, &File{
		Path:      name,
		Dir:       path.Dir(name),
		Test:      strings.HasSuffix(name, "_test.go"),
		Generated: ast.IsGenerated(f),
		Lines:     bytes.Count(body, []byte("\n")),
		AST:       f,
	})
	return nil
}

// moduleOf returns the module path a go.mod names.
func moduleOf(mod string) string {
	for line := range strings.Lines(mod) {
		if p, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(p)
		}
	}
	return ""
}

// sources yields the files whose style is ours to keep: neither tests nor
// generated.
func (t *Tree) sources() []*File {
	var out []*File
	for _, f := range t.Files {
		if !f.Test && !f.Generated {
			out = append(out, f)
		}
	}
	return out
}

// text returns the text file of that path.
func (t *Tree) text(name string) (string, bool) {
	for _, x := range t.Texts {
		if x.Path == name {
			return x.Body, true
		}
	}
	return "", false
}

// packages groups files by folder, in order of path.
func packages(files []*File) (dirs []string, by map[string][]*File) {
	by = map[string][]*File{}
	for _, f := range files {
		if by[f.Dir] == nil {
			dirs = append(dirs, f.Dir)
		}
		by[f.Dir] = append(by[f.Dir], f)
	}
	return dirs, by
}
