package tui

import (
	"strings"
	"unicode"
)

// maxMarks is how many combining marks may stand on one letter; more are
// dropped, for they would climb over the lines above.
const maxMarks = 4

// tabWidth is how many spaces a tab becomes.
const tabWidth = 4

// Printable returns what a stranger has written in a form that can be printed:
// it moves no cursor, sets no colour or title, and turns no text around. Line
// breaks and graphic characters stay, tabs become spaces, control characters
// their pictures (ESC is ␛), and everything else the replacement character.
func Printable(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for _, r := range strings.ReplaceAll(s, "\r\n", "\n") {
		if marks = markRun(r, marks); marks > maxMarks {
			continue
		}
		switch {
		case r == '\n', unicode.IsGraphic(r), joins(r):
			b.WriteRune(r)
		case r == '\t':
			b.WriteString(strings.Repeat(" ", tabWidth))
		case r == '\u2028', r == '\u2029':
			b.WriteByte('\n')
		case r < 0x20:
			b.WriteRune('␀' + r)
		case r == 0x7f:
			b.WriteRune('␡')
		default:
			b.WriteRune(unicode.ReplacementChar)
		}
	}
	return b.String()
}

// PrintableLine is Printable on one line.
func PrintableLine(s string) string {
	return strings.Join(strings.Fields(Printable(s)), " ")
}

// markRun counts the combining marks in a row.
func markRun(r rune, before int) int {
	if unicode.In(r, unicode.Mn, unicode.Me) && r != '\ufe0f' && r != '\ufe0e' {
		return before + 1
	}
	return 0
}

// joins says whether an invisible character only shapes its neighbours: those
// in emoji and in the scripts that need joiners. The marks that turn the
// direction of text are not among them.
func joins(r rune) bool { return r == '\u200d' || r == '\u200c' }
