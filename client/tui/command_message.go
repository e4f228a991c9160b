package tui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"parley/client"
	"parley/groups"
)

func received(t *client.Message) bool { return t.State == client.Received }

func (m *Model) doReply(args []string) tea.Cmd {
	t, rest := m.pick(args, received)
	if t == nil {
		return nil
	}
	if text := whole(rest); text != "" {
		return m.sendChecked(client.Reply(t.ID, text))
	}
	m.about = &about{message: *t}
	return m.turnTo(paneComposer)
}

func (m *Model) doReact(args []string) tea.Cmd   { return m.react(args, client.React) }
func (m *Model) doUnreact(args []string) tea.Cmd { return m.react(args, client.Unreact) }

func (m *Model) react(args []string, content func(client.MessageID, string) client.Content) tea.Cmd {
	if !m.needs(args, 1, "/react 👍") {
		return nil
	}
	t, rest := m.pick(args, received)
	if t == nil || !m.needs(rest, 1, "/react "+args[0]+" 👍") {
		return nil
	}
	if len(rest[0]) > client.MaxEmoji {
		m.fail("that is too long for a reaction")
		return nil
	}
	return m.sendChecked(content(t.ID, rest[0]))
}

func (m *Model) doEdit(args []string) tea.Cmd {
	t, rest := m.pick(args, m.mine)
	switch {
	case t == nil:
		return nil
	case !m.mine(t):
		m.fail("only your own messages can be changed, once they are accepted")
		return nil
	case len(rest) > 0:
		return m.sendChecked(client.Edit(t.ID, whole(rest)))
	}
	m.about = &about{message: *t, edit: true}
	m.input.SetValue(t.Content.Text)
	return m.turnTo(paneComposer)
}

func (m *Model) doDelete(args []string) tea.Cmd {
	t, _ := m.pick(args, m.mine)
	if t == nil {
		return nil
	}
	if !m.mine(t) {
		m.fail("only your own messages can be taken back, once they are accepted")
		return nil
	}
	return m.sendChecked(client.Delete(t.ID))
}

// sendChecked sends what a command made, if something can be sent.
func (m *Model) sendChecked(content client.Content) tea.Cmd {
	if why := m.mute(); why != "" {
		m.fail(why)
		return nil
	}
	return m.send(content)
}

func (m *Model) doRetry(args []string) tea.Cmd {
	return m.onFailed(args, Device.Retry, "queued again")
}

func (m *Model) doDiscard(args []string) tea.Cmd {
	return m.onFailed(args, Device.Discard, "dropped")
}

// onFailed does something to a message that has not been accepted.
func (m *Model) onFailed(args []string, do func(Device, groups.RoomID, client.MessageID) error, text string) tea.Cmd {
	t, _ := m.pick(args, func(t *client.Message) bool { return t.State == client.Failed })
	if t == nil {
		return nil
	}
	d, room, id := m.cfg.Device, m.room, t.ID
	return m.act(func(context.Context) doneMsg {
		return doneMsg{text: text, err: do(d, room, id), load: loadRooms | loadHistory}
	})
}

func (m *Model) doFile(args []string) tea.Cmd {
	if !m.needs(args, 1, "/file report.pdf the figures") {
		return nil
	}
	if why := m.mute(); why != "" {
		m.fail(why)
		return nil
	}
	attach, room := m.cfg.Attach, m.room
	m.tell("encrypting " + args[0] + " ...")
	return m.act(func(context.Context) doneMsg {
		err := attach(room, args[0], whole(args[1:]))
		return doneMsg{text: "queued " + args[0], err: err, load: loadRooms | loadHistory}
	})
}

func (m *Model) doSave(args []string) tea.Cmd {
	t, rest := m.pick(args, func(t *client.Message) bool { return t.Content.File != nil })
	if t == nil {
		return nil
	}
	if t.Content.File == nil {
		m.fail("that message has no file")
		return nil
	}
	save, msg, path := m.cfg.Save, *t, strings.Join(rest, " ")
	m.tell("saving " + size(t) + " ...")
	return m.act(func(ctx context.Context) doneMsg {
		path, err := save(ctx, &msg, path)
		return doneMsg{text: "saved " + path, err: err}
	})
}
