package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// load reads the tree this package stands in, once for all tests: parsing it is
// most of what they cost.
var load = sync.OnceValues(func() (*Tree, error) { return Load(os.DirFS(top)) })

// house returns the tree this package stands in. It must not be changed.
func house(t *testing.T) *Tree {
	t.Helper()
	tree, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// top is the root of the tree, seen from this package.
var top = filepath.Join("..", "..")

// TestHouseStyle holds the whole tree against every rule.
func TestHouseStyle(t *testing.T) {
	tree := house(t)
	if len(tree.Files) == 0 {
		t.Fatal("no Go files found: this test would prove nothing")
	}
	for _, f := range Check(tree) {
		t.Error(f)
	}
}

// TestCommits holds the subjects that are not pushed yet against rule 41:
// "package: what it does now, at most 60 characters, lower case". What is
// pushed can not be mended by who runs this.
func TestCommits(t *testing.T) {
	if _, err := os.Stat(filepath.Join(top, ".git")); err != nil {
		t.Skip("no history here")
	}
	out, err := exec.Command("git", "-C", top, "log", "--no-merges", "--format=%h %s", "HEAD", "--not", "--remotes").Output()
	if err != nil {
		t.Skipf("git log: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		hash, subject, _ := strings.Cut(strings.TrimSpace(line), " ")
		if wrong := CheckSubject(subject); wrong != "" {
			t.Errorf("commit %s %q: %s", hash, subject, wrong)
		}
	}
}

// TestPureBuildsForBrowser: pure packages "build for GOOS=js GOARCH=wasm".
func TestPureBuildsForBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the standard library for another machine")
	}
	pure := house(t).purePackages()
	if len(pure) == 0 {
		t.Fatal("no pure packages found: this test would prove nothing")
	}
	args := []string{"build"}
	for _, p := range pure {
		args = append(args, "./"+p)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// TestEveryRuleIsExplainedAndCanFail: each rule has a row in docs/HACKING.md
// and a bad tree in these tests.
func TestEveryRuleIsExplainedAndCanFail(t *testing.T) {
	tree := house(t)
	hacking, _ := tree.text("docs/HACKING.md")
	for _, r := range Rules {
		if !strings.Contains(hacking, "| "+r.Name+" |") {
			t.Errorf("docs/HACKING.md does not explain rule %q", r.Name)
		}
		tried := slices.ContainsFunc(tree.Texts, func(x Text) bool {
			return strings.HasPrefix(x.Path, "internal/lint/") && strings.HasSuffix(x.Path, "_test.go") && strings.Contains(x.Body, `"`+r.Name+`", "`)
		})
		if !tried {
			t.Errorf("no test breaks rule %q", r.Name)
		}
	}
}
