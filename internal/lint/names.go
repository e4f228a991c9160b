package lint

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// noNouns are names that say nothing about what is inside.
var noNouns = []string{
	"util", "utils", "common", "types", "helper", "helpers", "misc",
	"shared", "base", "pkg", "lib", "core", "impl", "internal", "stuff",
}

// fileName is what a Go file may be called.
var fileName = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*\.go$`)

// checkNames: a package is a noun, a folder and its package have one name, and
// a file's name says its idea.
func checkNames(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.Files {
		if f.Generated {
			continue
		}
		out = append(out, t.checkPackageName(f)...)
		name := path.Base(f.Path)
		stem := strings.TrimSuffix(strings.TrimSuffix(name, ".go"), "_test")
		if !fileName.MatchString(name) || slices.Contains(noNouns, stem) {
			out = append(out, t.at(f.AST.Package, "file name "+name+" does not say one idea",
				"rename it: lower case, underscores, the noun it holds"))
		}
	}
	return out
}

// checkPackageName checks the package clause of one file.
func (t *Tree) checkPackageName(f *File) []Finding {
	name := f.AST.Name.Name
	if f.Test {
		name = strings.TrimSuffix(name, "_test")
	}
	switch {
	case slices.Contains(noNouns, name) && !f.Test:
		return []Finding{t.at(f.AST.Name.Pos(), "package name "+name+" is no noun of docs/architecture.md",
			"name it for what it holds")}
	case name != "main" && f.Dir != "." && name != path.Base(f.Dir):
		return []Finding{t.at(f.AST.Name.Pos(), "package "+name+" stands in folder "+f.Dir,
			"give both one name")}
	}
	return nil
}
