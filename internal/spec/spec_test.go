package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestSpecIsCurrent: the pages are what the sources say today.
func TestSpecIsCurrent(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, p := range pages {
		want, err := p.write(os.DirFS(root))
		if err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(filepath.Join(root, p.file))
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != want {
			t.Errorf("%s is stale; run `make gen` and commit it\n%s", p.file, firstDifference(string(have), want))
		}
	}
}

// TestProofs: a test proves what it is named for, and nothing else.
func TestProofs(t *testing.T) {
	text, err := requirementsPage(fstest.MapFS{
		"a/a_test.go":                  {Data: []byte("func TestE16_ChainBroken(t *testing.T) {}\nfunc TestE1_Two(t *testing.T) {}\nfunc TestElse(t *testing.T) {}\n")},
		"a/b_test.go":                  {Data: []byte("func TestE19J3_Both(t *testing.T) {}\n")},
		"cmd/x/testdata/e17_one.txtar": {Data: []byte("exec x\n")},
		"a/a.go":                       {Data: []byte("func TestE2_NoTest() {}\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `a` TestE16_ChainBroken |", "| `a` TestE1_Two |", "| `a` TestE19J3_Both |",
		"| `cmd/x/testdata/e17_one.txtar` |", "no text of a message | **none** |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "TestE19J3_Both"); n != 2 {
		t.Errorf("a test of two requirements is listed %d times", n)
	}
	_, err = requirementsPage(fstest.MapFS{"a/a_test.go": {Data: []byte("func TestE99_No(t *testing.T) {}\n")}})
	if err == nil || !strings.Contains(err.Error(), "E99") {
		t.Errorf("a test for no requirement: %v", err)
	}
}

// TestEveryLineHasATest: what nothing proves is not claimed.
func TestEveryLineHasATest(t *testing.T) {
	found, err := prove(os.DirFS(filepath.Join("..", "..")))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, list := range requirementLists {
		for _, r := range list.rows {
			if len(found[r.id]) == 0 {
				t.Errorf("%s (%s) has no test that is named for it", r.id, r.text)
			}
			if seen[r.id] {
				t.Errorf("%s stands there twice", r.id)
			}
			seen[r.id] = true
		}
	}
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(have, want string) string {
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range min(len(h), len(w)) {
		if h[i] != w[i] {
			return fmt.Sprintf("line %d\nhave %s\nwant %s", i+1, h[i], w[i])
		}
	}
	return fmt.Sprintf("have %d lines, want %d", len(h), len(w))
}

func TestCited(t *testing.T) {
	for text, want := range map[string]string{
		"RFC 9420, Section 12.4.2":                        "RFC 9420/12.4.2",
		"(RFC 9420,\n\tSection 7.8).":                     "RFC 9420/7.8",
		"RFC 9420, Section 6, and 16 bytes":               "RFC 9420/6",
		"RFC 9420, Sections 7.8 and 7.9.2":                "RFC 9420/7.8 RFC 9420/7.9.2",
		"RFC 9420, Sections 5.1.2, 5.1.3 and 8: labels":   "RFC 9420/5.1.2 RFC 9420/5.1.3 RFC 9420/8",
		"Section 5.1.1 of RFC 9180":                       "RFC 9180/5.1.1",
		"RFC 9420, Appendix C":                            "RFC 9420/C",
		"HPKE (RFC 9180) and draft-ietf-mls-extensions.":  "RFC 9180/ draft-ietf-mls-extensions/",
		"section 5 of nothing, Section 3 of the protocol": "",
	} {
		var have []string
		for _, c := range cited(text) {
			have = append(have, c.doc+"/"+c.section)
		}
		if got := strings.Join(have, " "); got != want {
			t.Errorf("%q cites %q, want %q", text, got, want)
		}
	}
}

// pageOf generates the page of a small tree.
func pageOf(t *testing.T, files map[string]string) string {
	t.Helper()
	tree := fstest.MapFS{}
	for name, body := range files {
		tree[name] = &fstest.MapFile{Data: []byte(body)}
	}
	text, err := generate(tree)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestStatus(t *testing.T) {
	text := pageOf(t, map[string]string{
		"a/a.go":      "package a\n\n// Hash follows RFC 9420,\n// Section 7.8, and psk RFC 9420, Section 8.4.\nfunc hash() {}\n\n// RFC 9420, Section 7.9\n",
		"a/a_test.go": "package a\n\nvar name = \"RFC 9420, Section 7.8: tree hash; RFC 9420, Section 8.4\"\n",
		"a/b.go":      "package a\n\n// RFC 9420, Section 7.8; RFC 9180, Section 5.1.\n",
		"a/c.pb.go":   "package a\n\n// RFC 9420, Section 7.7.\n",
	})
	for _, want := range []string{
		"| 7.8 | Tree Hashes | yes | `a/a.go`, `a/b.go` | `a/a_test.go` |",
		"| 7.9 | Parent Hashes | partial | `a/a.go` | - |",
		"| 7.7 | Adding and Removing Leaves | no | - | - |",
		"| 8.4 | Pre-Shared Keys | yes | `a/a.go` | `a/a_test.go` |",
		"| 12.4.3.2 | Joining via External Commits | no | - | - |",
		"| 11.2 | Reinitialization | no | - | - |",
		"| 11.3 | Subgroup Branching | no | - | - |",
		"## RFC 9180, Hybrid",
		"| 5.1 |  | partial | `a/b.go` | - |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "| Introduction |") {
		t.Error("a section that asks for nothing and is not cited has a row")
	}
}

func TestUnknownSectionIsRefused(t *testing.T) {
	_, err := generate(fstest.MapFS{"a/a.go": {Data: []byte("package a\n\n// RFC 9420, Section 7.88.\n")}})
	if err == nil || !strings.Contains(err.Error(), "a/a.go cites RFC 9420, Section 7.88") {
		t.Errorf("have %v", err)
	}
}

func TestEmptyTreeIsRefused(t *testing.T) {
	if _, err := generate(fstest.MapFS{"a.md": {Data: []byte("RFC 9420")}}); err == nil {
		t.Error("a page of nothing was written")
	}
}

// TestRefusalsAreProven: a rule is proven by cases or by a test that is there.
func TestRefusalsAreProven(t *testing.T) {
	tree := func(test string) fstest.MapFS {
		return fstest.MapFS{
			"mls/testdata/negative/rules.json": {Data: []byte(
				`[{"rule":"R-12.2-01","text":"one"},{"rule":"R-SR-02","text":"two","test":"` + test + `"},{"rule":"R-9-01","text":"three","not_tested_because":"of it"}]`)},
			"mls/testdata/negative/a.json": {Data: []byte(`{"cases":[{"rule":"R-12.2-01"},{"rule":"R-12.2-01"}]}`)},
			"mls/x/a_test.go":              {Data: []byte("package x\n\nfunc TestThere(t *testing.T) {}\n")},
		}
	}
	text, err := refusals(tree("TestThere"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"3 rules of RFC 9420, 2 messages", "| R-12.2-01 | 12.2 | one | 2 cases |",
		"| R-SR-02 | draft-ietf-mls-extensions | two | `mls/x/a_test.go` TestThere |", "| R-9-01 | 9 | three | not tested: of it |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, test := range []string{"", "TestGone"} {
		if _, err := refusals(tree(test)); err == nil {
			t.Errorf("proven by %q", test)
		}
	}
}
