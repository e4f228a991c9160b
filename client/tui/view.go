package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// The sizes at which parts of the screen give way.
const (
	minWidth, minHeight = 20, 7 // smaller screens show only that they are too small
	roomsFrom           = 60    // cells from which the list of rooms is beside the timeline
	membersFrom         = 70    // cells from which the members are beside the timeline
	badgeFrom           = 10    // rows from which the badge is shown
	helpFrom            = 14    // rows from which the line of keys is shown
	roomsWidth          = 20
	membersWidth        = 24
)

// A frame is how the screen is divided.
type frame struct {
	left, middle, right int // widths; 0 if it is not there
	body                int // rows of timeline
	badge, help         bool
}

// frame divides the screen.
func (m *Model) frame() frame {
	f := frame{middle: m.width, badge: m.height >= badgeFrom, help: m.height >= helpFrom}
	if m.width >= roomsFrom {
		f.left = min(roomsWidth, m.width/4)
		f.middle -= f.left + 1
	}
	if m.showMembers && m.width >= membersFrom {
		f.right = membersWidth
		f.middle -= f.right + 1
	}
	rows := 4 + m.input.Height() // head, two rules, status, composer
	if m.about != nil {
		rows++
	}
	if f.badge {
		rows++
	}
	if f.help {
		rows++
	}
	f.body = max(m.height-rows, 1)
	return f
}

// layout lays out what the View shows, after every change.
func (m *Model) layout() {
	m.input.MaxHeight = min(max(m.height-minHeight+1, 1), maxInputLines)
	m.input.SetWidth(max(m.width-2, 1))
	f := m.frame()
	keep, blocks := m.line.keep, m.line.blocks
	if !keep.set {
		keep = m.line.anchor()
	}
	if m.line.width != f.middle {
		m.line.width, blocks = f.middle, m.blocks(f.middle)
	}
	m.line.place(blocks, f.body, keep)
}

// View shows the screen.
func (m *Model) View() tea.View {
	v := tea.NewView("")
	v.AltScreen, v.ReportFocus = true, true
	v.WindowTitle = m.title()
	if m.width < minWidth || m.height < minHeight {
		v.Content = clip("make me larger", m.width)
		return v
	}
	f := m.frame()
	rows := []string{m.head()}
	if f.badge {
		rows = append(rows, m.badge())
	}
	rows = append(rows, rule(f, "┬"))
	rows = append(rows, m.body(f)...)
	rows = append(rows, rule(f, "┴"))
	if m.about != nil {
		rows = append(rows, m.context())
	}
	top := len(rows)
	rows = append(rows, m.composer()...)
	rows = append(rows, m.status())
	if f.help {
		rows = append(rows, m.keysLine())
	}
	v.Content = strings.Join(rows, "\n")
	if c := m.input.Cursor(); c != nil && m.focus == paneComposer && !m.help {
		c.X += 2
		c.Y += top
		v.Cursor = c
	}
	return v
}

// title is the window's: room names are letters, digits and the like.
func (m *Model) title() string {
	unread := 0
	for _, r := range m.rooms {
		unread += r.Unread
	}
	title := "parley"
	if m.room != "" {
		title += " " + m.names.Room(m.room)
	}
	if unread > 0 {
		title += fmt.Sprintf(" (%d)", unread)
	}
	return title
}

// rule is a line that meets the lines between panes.
func rule(f frame, joint string) string {
	s := strings.Repeat("─", f.middle)
	if f.left > 0 {
		s = strings.Repeat("─", f.left) + joint + s
	}
	if f.right > 0 {
		s += joint + strings.Repeat("─", f.right)
	}
	return faint(s)
}

// body is the panes side by side.
func (m *Model) body(f frame) []string {
	middle := m.timelinePane(f)
	switch {
	case m.help:
		middle = m.helpPane(f)
	case m.focus == paneRooms && f.left == 0:
		middle = m.roomsPane(f.middle, f.body)
	case m.showMembers && f.right == 0:
		middle = m.membersPane(f.middle, f.body)
	}
	var left, right []string
	if f.left > 0 {
		left = m.roomsPane(f.left, f.body)
	}
	if f.right > 0 {
		right = m.membersPane(f.right, f.body)
	}
	bar := faint("│")
	rows := make([]string, f.body)
	for i := range rows {
		rows[i] = fit(at(middle, i), f.middle)
		if f.left > 0 {
			rows[i] = fit(at(left, i), f.left) + bar + rows[i]
		}
		if f.right > 0 {
			rows[i] += bar + fit(at(right, i), f.right)
		}
	}
	return rows
}

// at is line i, or an empty one.
func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// composer is where the person writes.
func (m *Model) composer() []string {
	prompt := faint("> ")
	if m.focus == paneComposer {
		prompt = strong("> ")
	}
	in := m.input
	in.Placeholder = ""
	if m.room != "" {
		in.Placeholder = "write to " + m.names.Room(m.room)
	}
	lines := strings.Split(in.View(), "\n")
	for i, l := range lines {
		if i > 0 {
			prompt = "  "
		}
		lines[i] = fit(prompt+l, m.width)
	}
	return lines
}

// context says what the composer's text is about.
func (m *Model) context() string {
	what := "reply to "
	if m.about.edit {
		what = "change "
	}
	t := &m.about.message
	return fit(warning("↳ "+what)+m.names.Device(t.Device)+": "+faint(m.gist(t)), m.width)
}

// status is the line about the last act, or about what can not be seen.
func (m *Model) status() string {
	text := ""
	switch {
	case m.notice.bad:
		text = bad(PrintableLine(m.notice.text))
	case m.notice.text != "":
		text = good(PrintableLine(m.notice.text))
	case m.down != nil:
		text = bad("the gateway refuses this device: " + PrintableLine(m.names.Plain(words(m.down))))
	case m.lost != nil:
		text = faint(PrintableLine(m.names.Plain(words(m.lost))))
	}
	right := ""
	switch {
	case m.loads.running&loadHistory != 0 && m.line.want > pageMessages && m.line.loaded:
		right = faint("reading …")
	case m.line.scroll > 0:
		right = warning(fmt.Sprintf("↓ %d lines below", m.line.scroll))
	}
	return spread(" "+text, right, m.width)
}

// keysLine reminds of the keys that are not obvious.
func (m *Model) keysLine() string {
	keys := " enter send · tab panes · ^n ^p rooms · ^r reply · ^g help · ^c quit · ^t members · alt+enter line"
	switch m.focus {
	case paneRooms:
		keys = " ↑ ↓ rooms · enter write · tab timeline · ^g help · ^c quit"
	case paneTimeline:
		keys = " ↑ ↓ select · enter reply · /react /edit /delete /save · pgup older · esc write · ^g help"
	}
	return fit(faint(keys), m.width)
}
