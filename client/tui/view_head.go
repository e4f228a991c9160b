package tui

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"parley/client"
)

// head is the room and the connection.
func (m *Model) head() string {
	left := strong(" parley")
	info := m.info()
	switch {
	case info != nil:
		left = " " + strong("# "+m.names.Room(m.room))
		switch info.State {
		case client.RoomClosed:
			left += "  " + bad("closed: "+PrintableLine(orElse(info.Why, "this device was removed")))
		case client.RoomCreating:
			left += "  " + warning("being made")
		case client.RoomReading:
			left += m.reading(info)
		case client.RoomLive:
			left += m.live(info)
		}
	case m.room != "":
		left = " " + strong("# "+m.names.Room(m.room))
	}
	return spread(left, m.online()+" ", m.width)
}

// live says who is in a room, or what keeps it from going on.
func (m *Model) live(info *client.RoomInfo) string {
	switch {
	case info.Parked:
		return "  " + bad("can not be followed")
	case info.Leaving:
		return "  " + warning("leaving")
	}
	return "  " + faint(fmt.Sprintf("%s, hub %s", plural(info.Users, "person", "people"), info.Room.Site()))
}

// reading says that this device only reads a room, or why not.
func (m *Model) reading(info *client.RoomInfo) string {
	sealed := 0
	for _, n := range info.Sealed {
		sealed += n
	}
	switch {
	case info.Parked:
		return "  " + bad("can not be followed")
	case info.Why != "":
		return "  " + warning("not served: "+PrintableLine(info.Why))
	case sealed > 0:
		return "  " + warning("reader: "+plural(sealed, "message", "messages")+" can not be read")
	}
	return "  " + faint(fmt.Sprintf("reader, %s, hub %s", plural(info.Users, "person", "people"), info.Room.Site()))
}

// online is the state of the connection.
func (m *Model) online() string {
	me := ""
	if m.width >= roomsFrom {
		me = faint(m.names.Device(m.cfg.Device.ID())) + " "
	}
	switch {
	case m.down != nil:
		return me + bad("✗ refused")
	case m.connection == client.Online:
		return me + good("● online")
	case m.connection == client.Syncing:
		return me + warning("◐ syncing")
	case m.connection == client.Connecting:
		return me + warning("◌ connecting")
	}
	return me + bad("○ offline")
}

// badge says how the room is encrypted, or what is wrong with it. What does
// not fit is left out, from the least telling on.
func (m *Model) badge() string {
	info := m.info()
	if info == nil {
		return fit("", m.width)
	}
	if n := len(info.Alarms); n > 0 {
		a := info.Alarms[n-1]
		text := fmt.Sprintf(" ALARM %s at entry %d: %s ", a.Kind, a.Seq, PrintableLine(a.Text))
		return fit(alarm(clip(text, m.width)), m.width)
	}
	age := m.now.Sub(info.KeyMade)
	key := "key " + Age(age)
	if worn(info, age) {
		key = warning(key + " (old)")
	}
	parts := []struct {
		text string
		rank int
	}{
		{good("end-to-end"), 5},
		{"MLS " + cipher(info.Suite), 0},
		{fmt.Sprintf("epoch %d", info.Epoch), 3},
		{key, 2},
		{plural(info.Devices, "device", "devices"), 1},
		{"code " + strong(Code(info.Authenticator)), 4},
	}
	for rank := 0; ; rank++ {
		var fits []string
		for _, p := range parts {
			if p.rank >= rank {
				fits = append(fits, p.text)
			}
		}
		line := " " + strings.Join(fits, faint(" · "))
		if lipgloss.Width(line) <= m.width || rank == 5 {
			return fit(line, m.width)
		}
	}
}

// worn says whether the policy ends the key soon: nine tenths of its life are
// over.
func worn(info *client.RoomInfo, age time.Duration) bool {
	p := info.Policy
	return p.MaxKeyAge > 0 && age > p.MaxKeyAge/10*9 ||
		p.MaxKeyMessages > 0 && info.KeyMessages*10 > p.MaxKeyMessages*9
}

// cipher shortens a suite's name (RFC 9420, Section 17.1) to its algorithms.
func cipher(suite string) string {
	suite = strings.TrimPrefix(suite, "MLS_")
	return strings.ReplaceAll(suite, "_", " ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
