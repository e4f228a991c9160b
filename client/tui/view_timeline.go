package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"parley/client"
)

const (
	// maxBody bounds the lines shown of one message.
	maxBody = 200
	// together is how soon after each other messages of one device stand
	// under one head.
	together = 5 * time.Minute
	// wideFrom is the width from which text stands under its author's name.
	wideFrom = 40
)

// timelinePane is what the window shows of the timeline, at its lower edge.
func (m *Model) timelinePane(f frame) []string {
	if m.room == "" || len(m.rooms) == 0 {
		return m.welcome(f)
	}
	lines, owner := m.line.window()
	for i, l := range lines {
		mark := " "
		if owner[i] == m.line.selected && m.line.selected != none {
			mark = colour("3", "▌")
		}
		lines[i] = mark + l
	}
	if pad := f.body - len(lines); pad > 0 {
		lines = append(make([]string, pad), lines...)
	}
	return lines
}

// welcome says how to come into a room.
func (m *Model) welcome(f frame) []string {
	lines := []string{"", " You are in no room yet.", "",
		" /create ops            makes one",
		" /add bob@beta.example  then adds people", "",
		" Or ask somebody to add " + Home("").User(m.cfg.Device.ID().User()) + ":",
		" the room appears here by itself."}
	return lines[:min(len(lines), f.body)]
}

// blocks lays out all messages for a width.
func (m *Model) blocks(width int) [][]string {
	width = max(width-2, 8) // the mark of the selection, and air
	out := make([][]string, len(m.line.messages))
	fresh := m.firstNew()
	for i := range m.line.messages {
		var before *client.Message
		if i > 0 {
			before = &m.line.messages[i-1]
		}
		out[i] = m.block(&m.line.messages[i], before, blockPlace{width, i > 0 && i == fresh})
	}
	return out
}

// A blockPlace is where a message is laid out.
type blockPlace struct {
	width int
	news  bool // what is new begins with it
}

// block lays out one message under the one before it.
func (m *Model) block(t, before *client.Message, at blockPlace) []string {
	var lines []string
	width := at.width
	fresh := before == nil
	if day := t.Time.In(m.cfg.Zone).Format("Monday, 2 January 2006"); before == nil || day != before.Time.In(m.cfg.Zone).Format("Monday, 2 January 2006") {
		lines, fresh = append(lines, faint(ruled(day, width))), true
	}
	if at.news {
		lines, fresh = append(lines, warning(ruled("new", width))), true
	}
	if t.Change != nil {
		text := t.Time.In(m.cfg.Zone).Format("15:04") + " · " + m.names.What(t.Device, t.Change)
		for _, l := range wrap(text, width) {
			lines = append(lines, faint(l))
		}
		return lines
	}
	indent := "      "
	if width < wideFrom {
		indent = " "
	}
	if fresh || before.Change != nil || before.Device != t.Device || t.Time.Sub(before.Time) > together {
		head := faint(t.Time.In(m.cfg.Zone).Format("15:04")) + " " + author(t.Device.User(), m.names.User(t.Device.User())) + faint("/"+t.Device.Name())
		lines = append(lines, clip(head, width))
	}
	if t.Content.Kind == client.KindReply && !t.Deleted {
		lines = append(lines, clip(indent+faint("│ "+m.quote(t.Content.Target)), width))
	}
	body := wrap(m.text(t), width-len(indent))
	if len(body) > maxBody {
		rest := len(body) - maxBody
		body = append(body[:maxBody], faint(fmt.Sprintf("… %d more lines: parley read shows them", rest)))
	}
	for _, l := range body {
		lines = append(lines, indent+l)
	}
	return append(lines, m.below(t, indent, width)...)
}

// below is what stands under a message: reactions and what went wrong.
func (m *Model) below(t *client.Message, indent string, width int) []string {
	var lines []string
	var counts []string
	for _, c := range Tally(t.Reactions) {
		s := PrintableLine(c.Emoji)
		if c.Count > 1 {
			s += fmt.Sprintf(" %d", c.Count)
		}
		counts = append(counts, s)
	}
	if len(counts) > 0 {
		for _, l := range wrap(strings.Join(counts, "  "), width-len(indent)) {
			lines = append(lines, indent+l)
		}
	}
	if t.State == client.Failed {
		for _, l := range wrap("not accepted: "+PrintableLine(t.Problem)+"; /retry or /discard", width-len(indent)) {
			lines = append(lines, indent+bad(l))
		}
	}
	return lines
}

// text is what a message says and how far it has come.
func (m *Model) text(t *client.Message) string {
	c, text := &t.Content, strings.TrimRight(Printable(t.Content.Text), "\n ")
	switch {
	case t.Deleted:
		text = faint("(deleted)")
	case c.Kind == 0:
		text = bad("(" + orElse(PrintableLine(t.Problem), "this message can not be read") + ")")
	case c.Kind == client.KindEdit:
		text = faint("change: ") + text
	case c.Kind == client.KindDelete:
		text = faint("delete: " + m.quote(c.Target))
	case c.Kind == client.KindReaction, c.Kind == client.KindUnreact:
		text = faint(c.Kind.String()+" ") + text + faint(" on "+m.quote(c.Target))
	case c.File != nil:
		text = m.file(t, text)
	}
	if t.Edited && !t.Deleted {
		text += " " + faint("(edited)")
	}
	if mark := mark(t.State); mark != "" && !t.Deleted {
		text += " " + mark
	}
	return text
}

// file is a file with its caption.
func (m *Model) file(t *client.Message, caption string) string {
	f := t.Content.File
	text := strong("[file] "+PrintableLine(f.Name)) + "  " + Size(f.Size)
	if f.Type != "" {
		text += "  " + faint(PrintableLine(f.Type))
	}
	text += "  " + faint(shortID(t.ID))
	if caption != "" {
		text += "\n" + caption
	}
	return text
}

// mark shows how far a message of our own has come.
func mark(s client.State) string {
	switch s {
	case client.Queued:
		return warning("…")
	case client.Sent:
		return faint("✓")
	case client.Accepted:
		return good("✓✓")
	case client.Failed:
		return bad("✗")
	}
	return ""
}

// quote is a line about another message.
func (m *Model) quote(id client.MessageID) string {
	t := m.line.byID(id)
	if t == nil {
		return "an earlier message, " + shortID(id)
	}
	return m.names.User(t.Device.User()) + ": " + m.gist(t)
}

// gist is what a message says, on one line.
func (m *Model) gist(t *client.Message) string {
	switch {
	case t.Deleted:
		return "(deleted)"
	case t.Content.File != nil:
		return PrintableLine(t.Content.File.Name + " " + t.Content.Text)
	}
	return PrintableLine(t.Content.Text)
}

// firstNew returns the index of the first message of somebody else that the
// person had not seen when the room was shown, or none.
func (m *Model) firstNew() int {
	if m.line.seen == 0 {
		return none
	}
	return slices.IndexFunc(m.line.messages, func(t client.Message) bool {
		return t.State == client.Received && t.Change == nil && t.Seq > m.line.seen
	})
}

// ruled is a line with a word in it.
func ruled(word string, width int) string {
	return spreadRule("── "+word+" ", width)
}

func spreadRule(s string, width int) string {
	return clip(s, width) + strings.Repeat("─", max(width-lipgloss.Width(s), 0))
}

// shortID is enough of an id to name a message in its room.
func shortID(id client.MessageID) string { return id.String()[:8] }
