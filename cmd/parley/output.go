package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"

	"parley/client/tui"
)

// printJSON writes one JSON value, indented on a terminal.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	if isTerminal(a.out) {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(v)
}

// printLine writes one JSON value on one line.
func (a *app) printLine(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// print writes for a person; colours are left out where they can not be shown
// or are not wanted (NO_COLOR).
func (a *app) print(format string, args ...any) error {
	_, err := lipgloss.Fprint(a.out, fmt.Sprintf(format, args...))
	return err
}

// say writes for a person, beside the answer.
func (a *app) say(format string, args ...any) error {
	_, err := lipgloss.Fprint(a.err, fmt.Sprintf(format, args...))
	return err
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// The looks of words in answers.
func faint(s string) string { return lipgloss.NewStyle().Faint(true).Render(s) }
func bold(s string) string  { return lipgloss.NewStyle().Bold(true).Render(s) }
func good(s string) string  { return colour("2", s) }
func warn(s string) string  { return colour("3", s) }
func bad(s string) string   { return colour("1", s) }

func colour(c, s string) string {
	return lipgloss.NewStyle().Foreground(lipgloss.Color(c)).Render(s)
}

// A table is rows of aligned cells.
type table struct{ rows [][]string }

// newTable begins a table with its heads.
func newTable(heads ...string) *table {
	for i, h := range heads {
		heads[i] = faint(h)
	}
	return &table{rows: [][]string{heads}}
}

// add adds a row; what strangers wrote is made printable.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// print writes the table, or none if it has no rows.
func (t *table) print(a *app, none string) error {
	if len(t.rows) == 1 {
		return a.say("%s\n", none)
	}
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", widths[i]-lipgloss.Width(cell)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return a.print("%s", b.String())
}

// facts writes names and values, aligned; empty values are left out.
func (a *app) facts(pairs ...string) error {
	width := 0
	for i := 0; i+1 < len(pairs); i += 2 {
		width = max(width, len(pairs[i]))
	}
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(&b, "%s  %s\n", faint(fmt.Sprintf("%-*s", width, pairs[i])), pairs[i+1])
		}
	}
	return a.print("%s", b.String())
}

// clock writes a time in the local zone; today's without the day.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if t = t.Local(); t.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format("2006-01-02 15:04")
}

// day writes a date in the local zone.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateOnly)
}

// since writes how long ago something was.
func since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return tui.Age(time.Since(t))
}

// count writes 1 room, 2 rooms.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// number writes a count of the log.
func number[T ~uint64](n T) string { return strconv.FormatUint(uint64(n), 10) }
