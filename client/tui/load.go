package tui

import (
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"parley/client"
	"parley/groups"
)

// A loadKind is something that is read from the device. Each is read by one
// command at a time; what happens meanwhile makes it read once more.
type loadKind uint8

const (
	loadRooms loadKind = 1 << iota
	loadHistory
	loadMembers
	loadAll = loadRooms | loadHistory | loadMembers
)

// loads says what is being read, and what has to be read again then.
type loads struct{ running, again loadKind }

// forget makes what is being read of another room not count.
func (l *loads) forget(k loadKind) { l.running &^= k; l.again &^= k }

// ended notes the end of a read, and says whether to read again.
func (l *loads) ended(k loadKind) bool {
	again := l.again&k != 0
	l.forget(k)
	return again
}

// maxEvents bounds how many events are taken in one message.
const maxEvents = 256

// The messages of commands.
type (
	tickMsg   time.Time
	eventsMsg []client.Event
	roomsMsg  struct {
		rooms []client.RoomInfo
		err   error
	}
	historyMsg struct {
		room     groups.RoomID
		want     int
		messages []client.Message
		err      error
	}
	membersMsg struct {
		room    groups.RoomID
		members []client.Member
		wishes  []client.Wish
		err     error
	}
	downMsg struct{ err error }
)

// tick tells the time every half minute: ages are shown.
func (m *Model) tick() tea.Cmd {
	return tea.Tick(30*time.Second, func(t time.Time) tea.Msg { return tickMsg(t) })
}

// listen waits for events and takes what is there.
func (m *Model) listen() tea.Cmd {
	events := m.cfg.Events
	return func() tea.Msg {
		e, ok := <-events
		if !ok {
			return nil
		}
		batch := eventsMsg{e}
		for len(batch) < maxEvents {
			select {
			case e, ok := <-events:
				if !ok {
					return batch
				}
				batch = append(batch, e)
			default:
				return batch
			}
		}
		return batch
	}
}

// load reads from the device.
func (m *Model) load(kinds loadKind) tea.Cmd {
	if m.room == "" {
		kinds &= loadRooms
	}
	m.loads.again |= kinds & m.loads.running
	fresh := kinds &^ m.loads.running
	m.loads.running |= fresh
	d, room, want := m.cfg.Device, m.room, m.line.want
	var cmds []tea.Cmd
	if fresh&loadRooms != 0 {
		cmds = append(cmds, func() tea.Msg {
			rooms, err := d.Rooms()
			return roomsMsg{rooms, errors.Join(err, complete(d, rooms, room))}
		})
	}
	if fresh&loadHistory != 0 {
		cmds = append(cmds, func() tea.Msg {
			messages, err := d.History(room, client.HistoryQuery{Limit: want})
			return historyMsg{room, want, messages, err}
		})
	}
	if fresh&loadMembers != 0 {
		cmds = append(cmds, func() tea.Msg {
			members, err := d.Members(room)
			if err != nil {
				return membersMsg{room: room, err: err}
			}
			wishes, err := d.Wishes(room)
			return membersMsg{room, members, wishes, err}
		})
	}
	return tea.Batch(cmds...)
}

// complete adds to the room shown what is not in the list: its authenticator.
func complete(d Reader, rooms []client.RoomInfo, room groups.RoomID) error {
	for i := range rooms {
		if rooms[i].Room == room {
			full, err := d.Room(room)
			if err != nil {
				return err
			}
			rooms[i] = full
		}
	}
	return nil
}

// events takes what has happened.
func (m *Model) events(batch eventsMsg) tea.Cmd {
	var kinds loadKind
	for _, e := range batch {
		here := e.Room == m.room
		switch e.Kind {
		case client.EventConnection:
			m.connection, m.lost = e.Connection, e.Err
		case client.EventMessage, client.EventDelivery:
			kinds |= loadRooms
			if here {
				kinds |= loadHistory
			}
		case client.EventRoom:
			kinds |= loadRooms
			if here {
				kinds |= loadAll
			}
		case client.EventAlarm:
			m.fail("ALARM in " + m.names.Room(e.Room) + ": " + e.Alarm.Text)
			kinds |= loadRooms
		case client.EventRefresh:
			m.connection = m.cfg.Device.Connection()
			kinds |= loadAll
		}
	}
	return m.load(kinds)
}

// takeRooms takes the list of rooms, and shows one if none is shown.
func (m *Model) takeRooms(msg roomsMsg) tea.Cmd {
	var cmd tea.Cmd
	if m.loads.ended(loadRooms) {
		cmd = m.load(loadRooms)
	}
	if msg.err != nil {
		m.fail(words(msg.err))
		return cmd
	}
	first := len(m.rooms) == 0
	m.rooms = msg.rooms
	switch {
	case m.room == "" && len(m.rooms) > 0:
		return tea.Batch(cmd, m.show(m.liveliest()))
	case first && m.room != "":
		return tea.Batch(cmd, m.load(loadHistory|loadMembers))
	}
	return tea.Batch(cmd, m.markRead())
}

// liveliest returns the first room with news, else the first.
func (m *Model) liveliest() groups.RoomID {
	for _, r := range m.rooms {
		if r.Unread > 0 {
			return r.Room
		}
	}
	return m.rooms[0].Room
}

// takeHistory takes the messages of the room shown.
func (m *Model) takeHistory(msg historyMsg) tea.Cmd {
	if msg.room != m.room {
		return nil // another one is shown by now
	}
	var cmd tea.Cmd
	if m.loads.ended(loadHistory) {
		cmd = m.load(loadHistory)
	}
	if msg.err != nil {
		m.fail(words(msg.err))
		return cmd
	}
	if info := m.info(); info != nil && !m.line.loaded {
		m.line.seen = info.Read
	}
	m.line.take(msg.messages, msg.want)
	return tea.Batch(cmd, m.markRead())
}

// takeMembers takes the members of the room shown.
func (m *Model) takeMembers(msg membersMsg) tea.Cmd {
	if msg.room != m.room {
		return nil
	}
	var cmd tea.Cmd
	if m.loads.ended(loadMembers) {
		cmd = m.load(loadMembers)
	}
	if msg.err != nil {
		m.fail(words(msg.err))
		return cmd
	}
	m.members, m.wishes = msg.members, msg.wishes
	return cmd
}

// markRead notes that the person sees the end of the room, if that is so.
func (m *Model) markRead() tea.Cmd {
	info, last := m.info(), m.line.last()
	if info == nil || m.away || m.line.scroll > 0 || last == 0 || last <= info.Read || last <= m.marked[m.room] {
		return nil
	}
	room := m.room
	m.marked[room] = last
	d := m.cfg.Device
	return func() tea.Msg { return doneMsg{err: d.MarkRead(room, last), load: loadRooms} }
}
