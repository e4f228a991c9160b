package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// refusalsDir holds the rules by which something is refused, and the messages
// that break them; its README.md describes the files.
const refusalsDir = "mls/testdata/negative"

// A refusal is a rule of rules.json.
type refusal struct {
	Rule, Text, Test string
	Why              string `json:"not_tested_because"`
}

// refusals renders the rules with what proves each, nothing if the tree has
// none. It fails on a rule without a case, a test or a reason, and on a test
// that does not exist.
func refusals(tree fs.FS) (string, error) {
	rules, err := readJSON[[]refusal](tree, path.Join(refusalsDir, "rules.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	cases, err := countCases(tree)
	if err != nil {
		return "", err
	}
	tests, err := testsBelow(tree, path.Dir(path.Dir(refusalsDir)))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	total := 0
	for _, r := range rules {
		proof, err := r.proof(cases[r.Rule], tests)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.Rule, section9420(r.Rule), r.Text, proof)
		total += cases[r.Rule]
	}
	return fmt.Sprintf(refusalsHead, len(rules), total) + b.String(), nil
}

const refusalsHead = `
## What must hold, and is refused where it does not

%d rules of RFC 9420, %d messages that break one each and are right in all else, each beside its twin that must be accepted: ` + "`" + refusalsDir + "`" + `, where any
implementation can read them. ` + "`TestPublishedRefusals`" + ` expects the exact error for each, and a state that is the same to the byte.

| rule | section | what holds | proven by |
|---|---|---|---|
`

// section9420 is the section in a rule's number.
func section9420(rule string) string {
	section := strings.TrimPrefix(rule, "R-")
	if i := strings.LastIndexByte(section, '-'); i >= 0 {
		section = section[:i]
	}
	if section == "SR" {
		return "draft-ietf-mls-extensions"
	}
	return section
}

// proof says what proves a rule.
func (r *refusal) proof(cases int, tests map[string]string) (string, error) {
	switch {
	case cases == 1:
		return "1 case", nil
	case cases > 1:
		return fmt.Sprintf("%d cases", cases), nil
	case r.Why != "":
		return "not tested: " + r.Why, nil
	}
	where, ok := tests[r.Test]
	if !ok {
		return "", fmt.Errorf("rule %s is proven by no case, and there is no test %q", r.Rule, r.Test)
	}
	return fmt.Sprintf("`%s` %s", where, r.Test), nil
}

// countCases counts the cases of each rule.
func countCases(tree fs.FS) (map[string]int, error) {
	count := make(map[string]int)
	names, err := fs.Glob(tree, path.Join(refusalsDir, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if path.Base(name) == "rules.json" {
			continue
		}
		file, err := readJSON[struct{ Cases []struct{ Rule string } }](tree, name)
		if err != nil {
			return nil, err
		}
		for _, c := range file.Cases {
			count[c.Rule]++
		}
	}
	return count, nil
}

// testsBelow maps the tests in the packages below a folder to their file.
func testsBelow(tree fs.FS, dir string) (map[string]string, error) {
	found := make(map[string]string)
	err := fs.WalkDir(tree, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		body, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(string(body), "\n") {
			if rest, ok := strings.CutPrefix(line, "func Test"); ok {
				if end := strings.IndexByte(rest, '('); end > 0 {
					found["Test"+rest[:end]] = name
				}
			}
		}
		return nil
	})
	return found, err
}

// readJSON decodes a file.
func readJSON[T any](tree fs.FS, name string) (v T, err error) {
	b, err := fs.ReadFile(tree, name)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}
