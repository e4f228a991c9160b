package tui

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintableNeutralisesWhatMovesATerminal(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"hello\nworld", "hello\nworld"},
		{"a\r\nb", "a\nb"},
		{"\x1b[2Jgone", "␛[2Jgone"},
		{"\x1b]0;title\x07", "␛]0;title␇"},
		{"a\rb", "a␍b"},
		{"\u009b31mred", "\ufffd31mred"},
		{"tab\there", "tab    here"},
		{"del\x7f", "del␡"},
		{"evil\u202etxt.exe", "evil\ufffdtxt.exe"},
		{"isolate\u2066x\u2069", "isolate\ufffdx\ufffd"},
		{"family 👨‍👩‍👧 and ❤️", "family 👨‍👩‍👧 and ❤️"},
		{"bad\xffutf8", "bad\ufffdutf8"},
		{"para\u2029graph", "para\ngraph"},
		{"z" + strings.Repeat("\u0335", 50), "z" + strings.Repeat("\u0335", maxMarks)},
		{"日本語 اردو", "日本語 اردو"},
	} {
		if got := Printable(c.in); got != c.want {
			t.Errorf("Printable(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := PrintableLine(" two\n lines\t"); got != "two lines" {
		t.Errorf("PrintableLine = %q", got)
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", "text\n", "\x1b[31m", "\u202e\u0301", "\xff\x00", "👨‍👩‍👧"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := Printable(s)
		if !utf8.ValidString(p) {
			t.Fatalf("%q is not UTF-8", p)
		}
		if i := strings.IndexFunc(p, func(r rune) bool {
			return r != '\n' && !joins(r) && !unicode.IsGraphic(r)
		}); i >= 0 {
			t.Fatalf("%q holds a character that is no graphic, at %d", p, i)
		}
		if Printable(p) != p {
			t.Fatalf("%q changes when it is cleaned again: %q", p, Printable(p))
		}
	})
}
