package lint

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// smallTable and smallInvariants are the documents every tree needs.
const smallTable = "| package | may import, of ours | kind |\n|---|---|---|\n" +
	"| `a` | - | pure |\n| `b` | `a` | disk |\n| `secret` | - | pure |\n| `c` | `b`, `secret` | disk |\n" +
	"| `d` | `c` | disk |\n| `kit` | - | tests only |\n| `cmd/...` | anything | wiring; nobody imports them |\n\n" +
	"| package | never reaches |\n|---|---|\n| `d` | `secret` |\n"

const smallInvariants = "| | promise | enforced in | test |\n|---|---|---|---|\n| I1 | holds | `b/b.go` | - |\n"

// small makes a tree of the given files around a clean one.
func small(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	all := fstest.MapFS{}
	add := func(name, body string) { all[name] = &fstest.MapFile{Data: []byte(body)} }
	add("go.mod", "module parley\n")
	add(architectureFile, smallTable)
	add(invariantsFile, smallInvariants)
	for _, p := range []string{"a", "b"} {
		add(p+"/doc.go", "// Package "+p+" is small.\n//\n//\tin --> out\n//\n// It knows nothing and must not know more.\npackage "+p+"\n")
	}
	add("b/b.go", "package b\n")
	for name, body := range files {
		add(name, body)
	}
	tree, err := Load(all)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestCleanTreePasses(t *testing.T) {
	for _, f := range Check(small(t, nil)) {
		t.Error(f)
	}
}

// A broken is a tree that breaks one rule at one line; with want empty it is
// one that looks alike and breaks none.
type broken struct {
	name, rule string
	file, body string
	want       string // file:line: [rule] ... must start with file:line and hold this
}

// hold checks each case: the finding is there, and no other.
func hold(t *testing.T, cases []broken) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			found := Check(small(t, map[string]string{c.file: c.body}))
			if c.want == "" {
				for _, f := range found {
					t.Errorf("allowed, but: %v", f)
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("want one finding of %q, have %d: %v", c.rule, len(found), found)
			}
			if got := found[0].String(); found[0].Rule != c.rule || !strings.Contains(got, c.want) {
				t.Errorf("have %s\nwant [%s] with %q", got, c.rule, c.want)
			}
		})
	}
}

// lines returns n lines of code.
func lines(n int, line string) string { return strings.Repeat(line+"\n", n) }

func TestShapeRules(t *testing.T) {
	var cases strings.Builder
	for i := range 40 {
		fmt.Fprintf(&cases, "case %d:\nx++\n", i)
	}
	hold(t, []broken{
		{"a file named for nothing", "names", "b/helpers.go", "package b\n", "b/helpers.go:1:"},
		{"a file name in capitals", "names", "b/myFile.go", "package b\n", "myFile.go"},
		{"a folder with another name", "names", "b/x.go", "package other\n", "package other stands in folder b"},
		{"401 lines", "file length", "b/x.go", "package b\n" + lines(400, "// x"), "401 lines"},
		{"a long table", "", "b/x.go", "package b\nvar x = []int{\n" + lines(500, "1,") + "}\n", ""},
		{"a long test file", "", "b/x_test.go", "package b\n" + lines(500, "// x"), ""},
		{"61 lines of function", "function length", "b/x.go", "package b\nfunc f(x int) {\n" + lines(61, "x++") + "}\n", "b/x.go:2: [function length] f has 61"},
		{"60 lines of function", "", "b/x.go", "package b\nfunc f(x int) {\n" + lines(60, "x++") + "}\n", ""},
		{"a flat switch", "", "b/x.go", "package b\nfunc f(x int) {\nswitch x {\n" + cases.String() + "}\n}\n", ""},
		{"a switch with long cases", "function length", "b/x.go", "package b\nfunc f(x int) {\nswitch x {\ncase 1:\n" + lines(61, "x++") + "}\n}\n", "f has 64"},
		{"six parameters", "parameters", "b/x.go", "package b\nfunc f(a int, b string, c int, d string, e int, f string) {}\n", "6 parameters"},
		{"two strings in a row", "parameters", "b/x.go", "package b\n// F is a function.\nfunc F(from, to string) {}\n", "F takes 2 string in a row"},
		{"four byte slices in a row", "parameters", "b/x.go", "package b\n// F is a function.\nfunc F(d, k, n, m []byte) {}\n", "4 []byte"},
		{"three byte slices in a row", "", "b/x.go", "package b\n// F is a function.\nfunc F(k, n, m []byte) {}\n", ""},
		{"three numbers in a row", "parameters", "b/x.go", "package b\n// F is a function.\nfunc F(x, y, z int) {}\n", "3 int"},
		{"two numbers in a row", "", "b/x.go", "package b\n// F is a function.\nfunc F(left, right int) {}\n", ""},
		{"six methods", "interface size", "b/x.go", "package b\ntype i interface {\nA()\nB()\nC()\nD()\nE()\nF()\n}\n", "i has 6 methods"},
	})
}

func TestTooManyLongFunctions(t *testing.T) {
	var body strings.Builder
	body.WriteString("package b\n")
	for i := range 2 {
		fmt.Fprintf(&body, "func f%d(x int) {\nswitch x {\n", i)
		for j := range 40 {
			fmt.Fprintf(&body, "case %d:\nx++\n", j)
		}
		body.WriteString("}\n}\n")
	}
	found := Check(small(t, map[string]string{"b/x.go": body.String()}))
	if len(found) != 2 {
		t.Errorf("two flat functions of two are over 3 %%, have %v", found)
	}
}

func TestPurityRules(t *testing.T) {
	pure := func(imports, code string) string { return "package a\n" + imports + "\n" + code + "\n" }
	hold(t, []broken{
		{"a goroutine", "purity", "a/x.go", pure("", "func f() { go f() }"), "a/x.go:3: [purity] pure package a has a goroutine"},
		{"a channel", "purity", "a/x.go", pure("", "func f(c chan int) {}"), "a channel"},
		{"a lock", "purity", "a/x.go", pure(`import "sync"`, "type x struct { m sync.Mutex }"), "imports sync"},
		{"a context", "purity", "a/x.go", pure(`import "context"`, "func f(context.Context) {}"), "imports context"},
		{"a logger", "purity", "a/x.go", pure(`import "log/slog"`, "func f(*slog.Logger) {}"), "imports log/slog"},
		{"the disk", "purity", "a/x.go", pure(`import "os"`, "func f() { os.Exit(1) }"), "imports os"},
		{"the network", "purity", "a/x.go", pure(`import "net/http"`, "func f(http.Header) {}"), "imports net/http"},
		{"a module from outside", "purity", "a/x.go", pure(`import "example.org/x"`, "func f() { x.F() }"), "imports example.org/x"},
		{"the clock", "purity", "a/x.go", pure(`import "time"`, "func f() { _ = time.Now() }"), "time.Now"},
		{"a time as an argument", "", "a/x.go", pure(`import "time"`, "func f(now time.Time) {}"), ""},
		{"a URL", "", "a/x.go", pure(`import "net/url"`, "func f(*url.URL) {}"), ""},
		{"a goroutine where it may be", "", "b/x.go", "package b\nfunc f() { go f() }\n", ""},
		{"a goroutine in a test", "", "a/x_test.go", pure("", "func f() { go f() }"), ""},
	})
}

func TestDecodingRules(t *testing.T) {
	const dec = "package b\n// ParseX parses x.\nfunc ParseX(b []byte) error { return nil }\n"
	const read = "package b\nfunc f(r reader) []byte {\nn := int(r.Uint32())\n"
	hold(t, []broken{
		{"a decoder without fuzz test", "fuzz", "b/x.go", dec, "ParseX in a package without a fuzz test"},
		{"a size from the wire", "allocation", "b/x.go", read + "return make([]byte, n)\n}\n", "b/x.go:4: [allocation] makes as much"},
		{"a size compared first", "", "b/x.go", read + "if n > r.Len() {\nreturn nil\n}\nreturn make([]byte, n)\n}\n", ""},
		{"a size bounded by min", "", "b/x.go", read + "return make([]byte, 0, min(n, 16))\n}\n", ""},
		{"a size read in place", "allocation", "b/x.go", "package b\nfunc f(r reader) []byte { return make([]byte, r.Varint()) }\n", "makes as much"},
		{"a nameless limit", "allocation", "b/x.go", "package b\nfunc f(r reader) { r.OpaqueMax(1 << 20) }\n", "a limit without a name"},
		{"a body without limit", "allocation", "b/x.go", "package b\nfunc f(r request) { io.ReadAll(r.Body) }\n", "reads a body without a limit"},
	})
}

func TestDecoderMustBeInTheFuzzTest(t *testing.T) {
	tree := map[string]string{
		"b/x.go":      "package b\n// ParseX parses x.\nfunc ParseX(b []byte) error { return nil }\n",
		"b/x_test.go": "package b\nfunc FuzzY() { ParseY() }\n",
	}
	if found := Check(small(t, tree)); len(found) != 1 || found[0].Rule != "fuzz" {
		t.Errorf("ParseX is in no fuzz test, have %v", found)
	}
	tree["b/x_test.go"] = "package b\nfunc FuzzX() { ParseX(nil) }\n"
	if found := Check(small(t, tree)); len(found) != 0 {
		t.Errorf("ParseX is in a fuzz test, have %v", found)
	}
}

func TestStateRules(t *testing.T) {
	hold(t, []broken{
		{"init", "no init", "b/x.go", "package b\nfunc init() {}\n", "an init function"},
		{"an option function", "no option functions", "b/x.go", "package b\n// WithX sets x.\nfunc WithX(x int) func(int) { return nil }\n", "WithX"},
		{"an option type", "no option functions", "b/x.go", "package b\n// ServerOption sets something.\ntype ServerOption func(int)\n", "ServerOption"},
		{"an options struct", "no option functions", "b/x.go", "package b\n// Options are many things.\ntype Options struct{}\n", "Options"},
		{"a struct of arguments", "", "b/x.go", "package b\n// OpenOptions are what Open takes.\ntype OpenOptions struct{}\n", ""},
		{"a counter", "no package state", "b/x.go", "package b\nvar n int\nfunc f() { n++ }\n", "b/x.go:3: [no package state] assigns to package variable n"},
		{"a cache", "no package state", "b/x.go", "package b\nvar m = map[int]int{}\nfunc f() { m[1] = 2 }\n", "variable m"},
		{"a lock", "no package state", "b/x.go", "package b\nimport \"sync\"\nvar mu sync.Mutex\n", "sync.Mutex"},
		{"a metric", "no package state", "b/x.go", "package b\nvar hits = prometheus.NewCounter(x)\n", "prometheus.NewCounter"},
		{"a flag", "no package state", "b/x.go", "package b\nvar home string\nfunc f() { bind(&home) }\n", "points at package variable home"},
		{"a local of the same name", "", "b/x.go", "package b\nvar n = 1\nfunc f() { n := 2; n++; _ = n }\n", ""},
		{"an error", "", "b/x.go", "package b\nimport \"errors\"\n// ErrX says that x.\nvar ErrX = errors.New(\"x\")\n", ""},
		{"a silent config field", "config", "b/x.go", "package b\n// Config configures it.\ntype Config struct {\n\t// Size in bytes.\n\tSize int\n}\n", "b/x.go:5: [config] Config.Size"},
		{"a config field that says zero", "", "b/x.go", "package b\n// Config configures it.\ntype Config struct {\n\t// Size in bytes; zero means 4096.\n\tSize int\n}\n", ""},
	})
}

func TestStateSetFromAnotherFile(t *testing.T) {
	found := Check(small(t, map[string]string{
		"b/x.go":      "package b\nvar clock = 1\n",
		"b/x_test.go": "package b\nfunc f() { clock = 2 }\n",
	}))
	if len(found) != 1 || found[0].File != "b/x_test.go" || found[0].Rule != "no package state" {
		t.Errorf("a test swaps a package variable, have %v", found)
	}
}
