package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"parley/client"
	"parley/groups"
)

// actTimeout is how long an act that needs a gateway may take.
const actTimeout = 60 * time.Second

// A doneMsg says what became of an act.
type doneMsg struct {
	text string // for the person; empty if nothing is to be said
	err  error
	room groups.RoomID // to be shown; empty leaves the one that is
	load loadKind      // what has changed
}

// act does something that takes time. What fn returns is told.
func (m *Model) act(fn func(ctx context.Context) doneMsg) tea.Cmd {
	parent := m.ctx
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(parent, actTimeout)
		defer cancel()
		return fn(ctx)
	}
}

// done tells what became of an act.
func (m *Model) done(msg doneMsg) tea.Cmd {
	cmd := m.load(msg.load)
	if msg.room != "" && msg.err == nil {
		cmd = tea.Batch(cmd, m.show(msg.room))
	}
	switch {
	case msg.err != nil:
		m.fail(words(msg.err))
	case msg.text != "":
		m.tell(msg.text)
	}
	return cmd
}

// A send is a message that is to be queued. They are queued one after the
// other: commands run side by side, and people's sentences have an order.
type send struct {
	room    groups.RoomID
	content client.Content
}

// maxSends bounds the messages that wait to be queued; more are not taken from
// the composer.
const maxSends = 100

// A sentMsg says that the first send is in the device's outbox, or why not.
type sentMsg struct{ err error }

// send queues a message behind those under way.
func (m *Model) send(content client.Content) tea.Cmd {
	m.outbox = append(m.outbox, send{m.room, content})
	if len(m.outbox) > 1 {
		return nil
	}
	return m.sendFirst()
}

func (m *Model) sendFirst() tea.Cmd {
	d, s := m.cfg.Device, m.outbox[0]
	return func() tea.Msg {
		_, err := d.Send(s.room, s.content)
		return sentMsg{err}
	}
}

// sent goes on with the next message. A text that could not be queued goes
// back to the composer, if nothing else stands there.
func (m *Model) sent(msg sentMsg) tea.Cmd {
	s := m.outbox[0]
	m.outbox = m.outbox[1:]
	if msg.err != nil {
		m.fail("not sent: " + words(msg.err))
		if m.input.Value() == "" && s.room == m.room {
			m.input.SetValue(s.content.Text)
		}
	} else {
		m.line.scroll = 0
	}
	cmd := m.load(loadRooms | loadHistory)
	if len(m.outbox) > 0 {
		cmd = tea.Batch(cmd, m.sendFirst())
	}
	return cmd
}
