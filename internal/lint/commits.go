package lint

import (
	"fmt"
	"regexp"
	"unicode/utf8"
)

// maxSubject is the longest subject of a commit, in characters.
const maxSubject = 60

// subject is `package: what it does now`: one or more packages or files, and a
// sentence that starts in lower case, with a flag or with an abbreviation.
var subject = regexp.MustCompile(`^[a-zA-Z0-9./_*-]+(, [a-zA-Z0-9./_*-]+)*: ((--)?[a-z0-9.]|[A-Z][A-Z0-9]|I\d)`)

// CheckSubject says what is wrong with the first line of a commit message, ""
// for nothing.
func CheckSubject(s string) string {
	switch n := utf8.RuneCountInString(s); {
	case n > maxSubject:
		return fmt.Sprintf("%d characters, the limit is %d", n, maxSubject)
	case !subject.MatchString(s):
		return "not `package: what it does now`, in lower case"
	}
	return ""
}
