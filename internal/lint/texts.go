package lint

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// unfinished are the words of work that is not done. What is not built is not
// there, and the README says so. (Written in halves, so that this file passes.)
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

// excuses are words that announce less than what stands there.
var excuses = regexp.MustCompile(`(?i)//.*\b(simpli` + `fied (version|for)|for n` + `ow\b|not (yet )?implem` + `ented|in a re` + `al (system|deployment))`)

// foreign are paths of one machine and hosts of one registry, which mean
// nothing on another.
var foreign = regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])/(wo` + `rk|ro` + `ot|home/\w+|Us` + `ers/\w+)/` +
	`|proxy\.gol` + `ang\.org|sum\.gol` + `ang\.org|registry\.n` + `pmjs\.org|py` + `pi\.org`)

// written are the extensions of what people write here.
var written = []string{".go", ".md", ".proto", ".sh", ".toml", ".txtar", ".ts", ".css", ".html", ""}

// checkUnfinished: no marker of unfinished work, no excuse for it.
func checkUnfinished(t *Tree) []Finding {
	return t.grep(func(line string) []Finding {
		if w := unfinished.FindString(line); w != "" {
			return []Finding{{What: "a " + w, Do: "do it, or delete it and say in the README that it is not there"}}
		}
		if excuses.MatchString(line) {
			return []Finding{{What: "an excuse in a comment", Do: "say what it does, or do it"}}
		}
		return nil
	})
}

// checkForeignPaths: no path of one machine, no host of a registry.
func checkForeignPaths(t *Tree) []Finding {
	return t.grep(func(line string) []Finding {
		if w := foreign.FindString(line); w != "" {
			return []Finding{{What: "names one machine: " + strings.TrimSpace(w), Do: "use a path relative to the tree, or a flag"}}
		}
		return nil
	})
}

// grep runs check over each line of what people write.
func (t *Tree) grep(check func(line string) []Finding) []Finding {
	var out []Finding
	for _, x := range t.Texts {
		if !slices.Contains(written, path.Ext(x.Path)) {
			continue
		}
		n := 0
		for line := range strings.Lines(x.Body) {
			n++
			for _, f := range check(line) {
				f.File, f.Line = x.Path, n
				out = append(out, f)
			}
		}
	}
	return out
}
