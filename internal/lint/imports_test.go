package lint

import (
	"strings"
	"testing"
)

func TestImportTable(t *testing.T) {
	src := func(pkg string, imports ...string) string {
		s := "package " + pkg + "\n"
		for _, i := range imports {
			s += "import _ \"parley/" + i + "\"\n"
		}
		return s
	}
	hold(t, []broken{
		{"down", "", "b/x.go", src("b", "a"), ""},
		{"up", "imports", "a/x.go", src("a", "b"), "a/x.go:2: [imports] a may not import b"},
		{"sideways", "imports", "b/x.go", src("b", "secret"), "b may not import secret"},
		{"up in a test", "", "a/x_test.go", src("a", "b"), ""},
		{"a test kit in a test", "", "b/x_test.go", src("b", "kit"), ""},
		{"a test kit in a program", "imports", "b/x.go", src("b", "kit"), "b imports kit outside a test"},
		{"a command", "imports", "b/x_test.go", src("b", "cmd/x"), "imports the command cmd/x"},
		{"no row", "imports", "new/x_test.go", src("new"), "package new has no row"},
	})
}

// The gateway "never imports mls, even transitively".
func TestClosedPackageIsFollowedThroughOthers(t *testing.T) {
	doc := func(p string) string {
		return "// Package " + p + " knows.\n//\n//\tx\n//\n// It must not.\npackage " + p + "\n"
	}
	files := map[string]string{
		"secret/doc.go": doc("secret"),
		"c/doc.go":      doc("c"),
		"d/doc.go":      doc("d"),
		"d/d.go":        "package d\nimport _ \"parley/c\"\n",
		"c/c_test.go":   "package c\nimport _ \"parley/secret\"\n",
	}
	if found := Check(small(t, files)); len(found) != 0 {
		t.Errorf("a test does not open the way: %v", found)
	}
	files["c/c.go"] = "package c\nimport _ \"parley/secret\"\n"
	found := Check(small(t, files))
	if len(found) != 1 || !strings.Contains(found[0].What, "d -> c -> secret") {
		t.Errorf("want the path d -> c -> secret, have %v", found)
	}
}

func TestTableMustBeThere(t *testing.T) {
	for _, md := range []string{"# nothing\n", "| package | may import, of ours | kind |\n|---|---|---|\n"} {
		found := Check(small(t, map[string]string{architectureFile: md}))
		if len(found) == 0 || found[0].Rule != "imports" {
			t.Errorf("no table in %q, have %v", md, found)
		}
	}
}

// The tables of this tree hold what the design asks of them.
func TestOwnTableKeepsTheGatewayClosed(t *testing.T) {
	md, _ := house(t).text(architectureFile)
	table, err := readTable(md)
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{"gateway", "federation", "storage", "groups", "cmd/parleyd"} {
		for _, secret := range []string{"mls", "coi/wrap"} {
			found := checkClosed(table, []importEdge{
				{from: pkg, to: "between", file: &File{Path: "x.go"}},
				{from: "between", to: secret, file: &File{Path: "y.go"}},
			})
			if len(found) == 0 {
				t.Errorf("%s may reach %s", pkg, secret)
			}
		}
	}
}
