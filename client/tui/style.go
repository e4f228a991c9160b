package tui

import (
	"hash/fnv"
	"strings"

	"charm.land/lipgloss/v2"

	"parley/groups"
)

// The looks of things, in the sixteen colours of the person's own terminal.
func faint(s string) string   { return lipgloss.NewStyle().Faint(true).Render(s) }
func strong(s string) string  { return lipgloss.NewStyle().Bold(true).Render(s) }
func good(s string) string    { return colour("2", s) }
func warning(s string) string { return colour("3", s) }
func bad(s string) string     { return colour("1", s) }
func alarm(s string) string {
	return lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("15")).Background(lipgloss.Color("1")).Render(s)
}

func colour(c, s string) string {
	return lipgloss.NewStyle().Foreground(lipgloss.Color(c)).Render(s)
}

// authorColours are told apart on dark and light backgrounds; red is for what
// is wrong.
var authorColours = [...]string{"6", "5", "4", "2", "3", "13", "14", "12"}

// author writes a person's name in the person's colour.
func author(u groups.UserID, name string) string {
	h := fnv.New32a()
	h.Write([]byte(u))
	c := authorColours[h.Sum32()%uint32(len(authorColours))]
	return lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color(c)).Render(name)
}

// clip shortens a line to a width, in cells.
func clip(s string, width int) string {
	if lipgloss.Width(s) <= width {
		return s
	}
	if width <= 1 {
		return strings.Repeat("…", max(width, 0))
	}
	return lipgloss.NewStyle().MaxWidth(width-1).Render(s) + "…"
}

// fit makes a line exactly as wide as it has to be.
func fit(s string, width int) string {
	s = clip(s, width)
	return s + strings.Repeat(" ", max(width-lipgloss.Width(s), 0))
}

// spread puts one text at the left edge and one at the right; the left one
// gives way.
func spread(left, right string, width int) string {
	right = clip(right, width)
	rest := width - lipgloss.Width(right)
	if rest <= 1 {
		return fit(right, width)
	}
	return fit(left, rest-1) + " " + right
}

// wrap breaks text into lines of at most a width.
func wrap(s string, width int) []string {
	return strings.Split(lipgloss.Wrap(s, max(width, 1), ""), "\n")
}
