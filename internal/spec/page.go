package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A row is what is known of one section of one document.
type row struct {
	section, title string
	code, tests    []string // files, sorted, once each
}

// status is yes where code and tests cite the section, partial where one of
// them does, no where none does.
func (r row) status() string {
	switch {
	case len(r.code) > 0 && len(r.tests) > 0:
		return "yes"
	case len(r.code)+len(r.tests) > 0:
		return "partial"
	}
	return "no"
}

// page renders docs/spec.md. It fails on a citation of a section that RFC 9420
// does not have.
func page(all []citation) (string, error) {
	rows := map[string][]*row{}
	for _, s := range sections {
		rows["RFC 9420"] = append(rows["RFC 9420"], &row{section: s.number, title: s.title})
	}
	for _, c := range all {
		r := find(rows[c.doc], c.section)
		if r == nil {
			if c.doc == "RFC 9420" && c.section != "" {
				return "", fmt.Errorf("%s cites RFC 9420, Section %s, which does not exist", c.file, c.section)
			}
			r = &row{section: c.section}
			rows[c.doc] = append(rows[c.doc], r)
		}
		if c.test {
			r.tests = append(r.tests, c.file)
		} else {
			r.code = append(r.code, c.file)
		}
	}
	return render(rows), nil
}

// find returns the row of a section, nil if there is none.
func find(rows []*row, section string) *row {
	i := slices.IndexFunc(rows, func(r *row) bool { return r.section == section })
	if i < 0 {
		return nil
	}
	return rows[i]
}

const head = `# What is enforced where

Written by ` + "`make gen`" + ` from the citations in code and tests; do not edit. **yes**: code enforces the section and a test cites it. **partial**: only
one of the two. **no**: nothing cites it.
`

// render writes the page: known documents in their order, others by name.
func render(rows map[string][]*row) string {
	var b strings.Builder
	b.WriteString(head)
	for _, d := range documents {
		renderDocument(&b, d, rows[d.name])
		delete(rows, d.name)
	}
	var rest []string
	for name := range rows {
		rest = append(rest, name)
	}
	slices.Sort(rest)
	for _, name := range rest {
		renderDocument(&b, document{name: name}, rows[name])
	}
	return b.String()
}

// renderDocument writes one document's table, nothing if it has no rows.
func renderDocument(b *strings.Builder, d document, rows []*row) {
	if len(rows) == 0 {
		return
	}
	title := d.name
	if d.title != "" {
		title += ", " + d.title
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	b.WriteString("| section | title | status | enforced in | cited by tests |\n|---|---|---|---|---|\n")
	slices.SortFunc(rows, func(a, b *row) int { return slices.Compare(order(a.section), order(b.section)) })
	for _, r := range rows {
		whole := r.section == "" && len(rows) > 1 // its sections say more
		if whole || len(r.code)+len(r.tests) == 0 && isProse(d.name, r.section) {
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", cmp.Or(r.section, "-"), r.title, r.status(), files(r.code), files(r.tests))
	}
}

// isProse says whether a section of RFC 9420 asks for nothing.
func isProse(doc, number string) bool {
	return doc == "RFC 9420" && slices.ContainsFunc(sections, func(s section) bool {
		return s.number == number && s.kind == prose
	})
}

// order makes section numbers sort as numbers, appendices last.
func order(section string) []int {
	var out []int
	for part := range strings.SplitSeq(section, ".") {
		n, err := strconv.Atoi(part)
		if err != nil && part != "" {
			n = 1000 + int(part[0])
		}
		out = append(out, n)
	}
	return out
}

// files writes a cell of file names.
func files(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return "`" + strings.Join(slices.Compact(names), "`, `") + "`"
}
