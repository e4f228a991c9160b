package tui

import (
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"parley/client"
)

const (
	// maxInputLines bounds the composer on the screen; what is longer scrolls.
	maxInputLines = 5
	// maxDraftLines bounds what can be typed.
	maxDraftLines = 500
)

// newInput makes the composer.
func newInput() textarea.Model {
	in := textarea.New()
	in.ShowLineNumbers = false
	in.Prompt = ""
	in.DynamicHeight, in.MinHeight, in.MaxHeight, in.MaxContentHeight = true, 1, maxInputLines, maxDraftLines
	in.KeyMap.InsertNewline = key.NewBinding(key.WithKeys("alt+enter", "ctrl+j", "shift+enter"))
	in.SetVirtualCursor(false)
	plain := textarea.StyleState{Placeholder: lipgloss.NewStyle().Faint(true)}
	s := in.Styles()
	s.Focused, s.Blurred = plain, plain
	s.Focused.Selection = lipgloss.NewStyle().Reverse(true)
	in.SetStyles(s)
	return in
}

// key takes a key: first those that mean the same everywhere.
func (m *Model) key(msg tea.KeyPressMsg) tea.Cmd {
	switch msg.String() {
	case "ctrl+c":
		return tea.Quit
	case "ctrl+g", "f1":
		m.help = !m.help
		return nil
	case "ctrl+n":
		return m.step(1)
	case "ctrl+p":
		return m.step(-1)
	case "ctrl+t":
		return m.toggleMembers()
	case "ctrl+r":
		return m.reply()
	case "tab":
		return m.turnTo((m.focus + 1) % panes)
	case "shift+tab":
		return m.turnTo((m.focus + panes - 1) % panes)
	case "pgup":
		return m.scroll(max(m.line.height-1, 1))
	case "pgdown":
		return m.scroll(-max(m.line.height-1, 1))
	case "esc":
		m.help, m.about, m.line.selected, m.notice = false, nil, none, notice{}
		return m.turnTo(paneComposer)
	}
	if m.help {
		m.help = false
		return nil
	}
	switch m.focus {
	case paneRooms:
		return m.keyRooms(msg)
	case paneTimeline:
		return m.keyTimeline(msg)
	}
	return m.keyComposer(msg)
}

// turnTo gives the keys to a pane.
func (m *Model) turnTo(p pane) tea.Cmd {
	m.focus = p
	switch p {
	case paneTimeline:
		if m.line.selected == none {
			m.line.choose(-1)
		}
	default:
		m.line.selected = none
	}
	if p == paneComposer {
		return m.input.Focus()
	}
	m.input.Blur()
	return nil
}

// step shows the n-th room from the one shown.
func (m *Model) step(n int) tea.Cmd {
	if len(m.rooms) == 0 {
		return nil
	}
	i := max(m.index(m.room), 0) + n
	return m.show(m.rooms[(i+len(m.rooms))%len(m.rooms)].Room)
}

// scroll moves the timeline up by n lines. At the top it reads what is older,
// back at the end it lets that go.
func (m *Model) scroll(n int) tea.Cmd {
	if top := m.line.scrollBy(n); top && n > 0 {
		return m.older()
	}
	if m.line.scroll == 0 {
		m.line.want = pageMessages
		return m.markRead()
	}
	return nil
}

// older reads an older page, if there is one and none is being read.
func (m *Model) older() tea.Cmd {
	if m.line.complete || !m.line.loaded || m.loads.running&loadHistory != 0 {
		return nil
	}
	if m.line.want >= maxMessages {
		m.tell("older messages: parley read " + m.names.Room(m.room))
		return nil
	}
	m.line.want += pageMessages
	return m.load(loadHistory)
}

func (m *Model) toggleMembers() tea.Cmd {
	m.showMembers = !m.showMembers
	return m.load(loadMembers)
}

// keyRooms takes a key while the list of rooms has the focus.
func (m *Model) keyRooms(msg tea.KeyPressMsg) tea.Cmd {
	switch msg.String() {
	case "up":
		return m.step(-1)
	case "down":
		return m.step(1)
	case "enter", "right":
		return m.turnTo(paneComposer)
	}
	return m.typed(msg)
}

// keyTimeline takes a key while the timeline has the focus.
func (m *Model) keyTimeline(msg tea.KeyPressMsg) tea.Cmd {
	switch msg.String() {
	case "up":
		before := m.line.selected
		m.line.choose(-1)
		if m.line.selected == before {
			return tea.Batch(m.scroll(1), m.older())
		}
		return nil
	case "down":
		before := m.line.selected
		m.line.choose(1)
		if m.line.selected == before {
			return m.turnTo(paneComposer)
		}
		return nil
	case "home":
		m.line.scroll = m.line.lines(0)
		return m.scroll(0)
	case "end":
		return m.scroll(-m.line.scroll)
	case "enter":
		return m.reply()
	}
	return m.typed(msg)
}

// typed moves to the composer and types there, if the key has a character.
func (m *Model) typed(msg tea.KeyPressMsg) tea.Cmd {
	if msg.Text == "" {
		return nil
	}
	selected := m.line.selected
	cmd := m.turnTo(paneComposer)
	m.line.selected = selected // what a command typed now is about
	return tea.Batch(cmd, m.keyComposer(msg))
}

// keyComposer takes a key while the composer has the focus.
func (m *Model) keyComposer(msg tea.KeyPressMsg) tea.Cmd {
	switch msg.String() {
	case "enter":
		return m.enter()
	case "up":
		if m.input.Value() == "" {
			return m.turnTo(paneTimeline)
		}
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(msg)
	return cmd
}

// reply begins an answer to the message selected, or to the last one of
// somebody else.
func (m *Model) reply() tea.Cmd {
	target := m.target(func(t *client.Message) bool { return t.State == client.Received })
	if target == nil {
		m.fail("there is no message to reply to")
		return nil
	}
	m.about = &about{message: *target}
	return m.turnTo(paneComposer)
}

// target returns the message selected, or else the last one that fits.
func (m *Model) target(fits func(*client.Message) bool) *client.Message {
	if m.line.selected != none {
		return &m.line.messages[m.line.selected]
	}
	for i := len(m.line.messages) - 1; i >= 0; i-- {
		t := &m.line.messages[i]
		if t.Content.Kind != 0 && !t.Deleted && t.ID != (client.MessageID{}) && fits(t) {
			return t
		}
	}
	return nil
}

// mine says whether this person has said something that others have, from
// whatever device.
func (m *Model) mine(t *client.Message) bool {
	return t.Device.User() == m.cfg.Device.ID().User() && t.State != client.Failed
}

// enter sends what is in the composer, or does what it says.
func (m *Model) enter() tea.Cmd {
	text := strings.TrimSpace(m.input.Value())
	if text == "" {
		return nil
	}
	if command, ok := strings.CutPrefix(text, "/"); ok && !strings.HasPrefix(command, "/") {
		m.notice = notice{}
		m.input.Reset()
		m.about = nil
		return m.command(command, text)
	}
	text = strings.TrimPrefix(text, "/") // //path says /path
	if why := m.mute(); why != "" {
		m.fail(why)
		return nil
	}
	if len(text) > client.MaxText {
		m.fail("the text is too long for one message: send it as a file, /file PATH")
		return nil
	}
	content := client.Text(text)
	switch a := m.about; {
	case a != nil && a.edit:
		content = client.Edit(a.message.ID, text)
	case a != nil:
		content = client.Reply(a.message.ID, text)
	}
	m.input.Reset()
	m.about, m.notice, m.line.selected = nil, notice{}, none
	return m.send(content)
}

// mute says why nothing can be sent, "" if something can.
func (m *Model) mute() string {
	info := m.info()
	switch {
	case info == nil:
		return "no room is shown: /create NAME makes one"
	case info.State == client.RoomClosed:
		return "this device is no longer in " + m.names.Room(m.room) + ": " + orElse(info.Why, "it was removed")
	case info.State == client.RoomReading:
		return "this device reads " + m.names.Room(m.room) + " without being a member: it can not send"
	case len(m.outbox) >= maxSends:
		return "the device is busy: wait a moment"
	}
	return ""
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
