package tui

import (
	"fmt"

	"charm.land/lipgloss/v2"

	"parley/client"
	"parley/groups"
)

// roomsPane lists the rooms; the one shown stays in sight.
func (m *Model) roomsPane(width, height int) []string {
	if len(m.rooms) == 0 {
		return []string{faint(" no room yet")}
	}
	lines := make([]string, len(m.rooms))
	for i := range m.rooms {
		lines[i] = m.roomLine(&m.rooms[i], width)
	}
	first := max(min(m.index(m.room)-height/2, len(lines)-height), 0)
	return lines[first:min(first+height, len(lines))]
}

func (m *Model) roomLine(r *client.RoomInfo, width int) string {
	count := ""
	switch {
	case len(r.Alarms) > 0:
		count = bad("!")
	case r.Unread > 0:
		count = warning(fmt.Sprint(r.Unread))
	case r.Outbox > 0:
		count = faint("…")
	}
	name := clip(m.names.Room(r.Room), width-3-lipgloss.Width(count))
	switch {
	case r.Room == m.room && m.focus == paneRooms:
		name = lipgloss.NewStyle().Reverse(true).Render(name)
	case r.Room == m.room || r.Unread > 0:
		name = strong(name)
	case r.State != client.RoomLive && r.State != client.RoomReading:
		name = faint(name)
	}
	mark := "  "
	if r.Room == m.room {
		mark = "▸ "
	}
	return spread(mark+name, count, width)
}

// membersPane lists the devices by person, and who waits to be added.
func (m *Model) membersPane(width, height int) []string {
	lines := []string{" " + faint(fmt.Sprintf("members (%d)", len(m.members)))}
	var last groups.UserID
	for _, d := range m.members {
		if len(lines) >= height {
			break
		}
		if d.User != last {
			name := " " + author(d.User, m.names.User(d.User))
			if d.Admin {
				name += faint(" admin")
			}
			lines, last = append(lines, clip(name, width)), d.User
		}
		name := d.Device.Name()
		if d.Own {
			name += faint(" (this)")
		}
		lines = append(lines, clip("   "+name, width))
	}
	for _, w := range m.wishes {
		lines = append(lines, clip(" "+warning("waiting: ")+m.names.User(w.User), width))
	}
	if info := m.info(); info != nil {
		for _, c := range info.Policy.Readers {
			lines = append(lines, clip(" "+warning("readers: ")+PrintableLine(string(c)), width))
		}
	}
	if len(lines) > height {
		lines = append(lines[:height-1], faint(" …"))
	}
	return lines
}

// helpPane explains keys and commands.
func (m *Model) helpPane(f frame) []string {
	lines := []string{" " + strong("Keys"),
		"  enter send            alt+enter, ctrl+j new line",
		"  tab panes             ctrl+n, ctrl+p rooms",
		"  pgup, pgdn scroll     up select a message",
		"  ctrl+r reply          ctrl+t members   esc back",
		" " + strong("Commands") + faint("  about the message selected, or the last"),
	}
	for _, c := range commands() {
		usage := "/" + c.name
		if c.args != "" {
			usage += " " + c.args
		}
		lines = append(lines, fmt.Sprintf("  %-23s %s", usage, faint(c.what)))
	}
	if len(lines) > f.body { // no room to scroll: the commands matter more
		lines = lines[5:]
	}
	return lines[:min(len(lines), f.body)]
}
