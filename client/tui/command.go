package tui

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"parley/client"
	"parley/groups"
)

// A command is what a line that begins with a slash does.
type command struct {
	name, args, what string
	room             bool // it needs a room
	do               func(m *Model, args []string) tea.Cmd
}

// commands lists all commands, in the order of the help.
func commands() []command {
	return []command{
		{"add", "USER...", "add people with all their devices", true, (*Model).doAdd},
		{"remove", "USER|DEVICE...", "remove people or devices", true, (*Model).doRemove},
		{"create", "NAME [USER...]", "make a room", false, (*Model).doCreate},
		{"room", "NAME", "show another room", false, (*Model).doRoom},
		{"leave", "", "leave this room", true, (*Model).doLeave},
		{"members", "", "show or hide the members", true, (*Model).doMembers},
		{"reply", "[ID]", "answer a message", true, (*Model).doReply},
		{"react", "[ID] EMOJI", "put an emoji on a message", true, (*Model).doReact},
		{"unreact", "[ID] EMOJI", "take it back", true, (*Model).doUnreact},
		{"edit", "[ID] [TEXT]", "change your message", true, (*Model).doEdit},
		{"delete", "[ID]", "take your message back", true, (*Model).doDelete},
		{"retry", "[ID]", "send a failed message again", true, (*Model).doRetry},
		{"discard", "[ID]", "drop a message that was not accepted", true, (*Model).doDiscard},
		{"file", "PATH [CAPTION]", "send a file", true, (*Model).doFile},
		{"save", "[ID] [PATH]", "save a file that was sent", true, (*Model).doSave},
		{"help", "", "show keys and commands", false, (*Model).doHelp},
		{"quit", "", "leave the screen", false, (*Model).doQuit},
	}
}

// command does what a line says. A line that can not be done goes back to the
// composer.
func (m *Model) command(line, whole string) tea.Cmd {
	name, rest, _ := strings.Cut(line, " ")
	list := commands()
	i := slices.IndexFunc(list, func(c command) bool { return c.name == name })
	if i < 0 {
		i = slices.IndexFunc(list, func(c command) bool { return name != "" && strings.HasPrefix(c.name, name) })
		text := "there is no /" + name
		if i >= 0 {
			text += ", did you mean /" + list[i].name + "?"
		} else {
			text += ": /help lists the commands; //" + name + " says /" + name
		}
		m.fail(text)
		m.input.SetValue(whole)
		return nil
	}
	if list[i].room && m.info() == nil {
		m.fail("no room is shown: /create NAME makes one")
		return nil
	}
	cmd := list[i].do(m, strings.Fields(rest))
	if m.notice.bad {
		m.input.SetValue(whole)
	} else {
		m.line.selected = none
	}
	return cmd
}

// needs fails unless there are n arguments.
func (m *Model) needs(args []string, n int, example string) bool {
	if len(args) >= n {
		return true
	}
	m.fail("write it like " + example)
	return false
}

// users finds people, or fails.
func (m *Model) users(names []string) ([]groups.UserID, bool) {
	out := make([]groups.UserID, len(names))
	for i, name := range names {
		var err error
		if out[i], err = m.cfg.Device.FindUser(name); err != nil {
			m.fail(words(err))
			return nil, false
		}
	}
	return out, true
}

func (m *Model) doAdd(args []string) tea.Cmd {
	users, ok := m.users(args)
	if !m.needs(args, 1, "/add bob@beta.example") || !ok {
		return nil
	}
	room, d, names := m.room, m.cfg.Device, m.names
	m.tell("adding " + strings.Join(args, ", ") + " ...")
	return m.act(func(ctx context.Context) doneMsg {
		waiting, err := d.Add(ctx, room, users...)
		return doneMsg{text: names.added(users, waiting), err: err, load: loadAll}
	})
}

// added says who was added and who waits.
func (h Home) added(users []groups.UserID, waiting []client.Wish) string {
	var in, out []string
	for _, u := range users {
		i := slices.IndexFunc(waiting, func(w client.Wish) bool { return w.User == u })
		if i < 0 {
			in = append(in, h.User(u))
			continue
		}
		out = append(out, strings.TrimSuffix(h.User(u)+": "+waiting[i].Why, ": "))
	}
	var parts []string
	if len(in) > 0 {
		parts = append(parts, "added "+strings.Join(in, ", "))
	}
	if len(out) > 0 {
		parts = append(parts, "waiting for "+strings.Join(out, ", "))
	}
	return strings.Join(parts, "; ")
}

func (m *Model) doRemove(args []string) tea.Cmd {
	if !m.needs(args, 1, "/remove bob@beta.example, or /remove alice/phone") {
		return nil
	}
	var people []string
	var devices []groups.DeviceID
	for _, name := range args {
		person, device, isDevice := strings.Cut(strings.TrimPrefix(name, "mimi://"), "/")
		if !isDevice || strings.HasPrefix(name, "mimi://") {
			people = append(people, name)
			continue
		}
		users, ok := m.users([]string{person})
		if !ok {
			return nil
		}
		id, err := groups.NewDeviceID(users[0], device)
		if err != nil {
			m.fail(words(err))
			return nil
		}
		devices = append(devices, id)
	}
	users, ok := m.users(people)
	if !ok {
		return nil
	}
	room, d := m.room, m.cfg.Device
	m.tell("removing " + strings.Join(args, ", ") + " ...")
	return m.act(func(ctx context.Context) doneMsg {
		var err error
		if len(users) > 0 {
			err = d.Remove(ctx, room, users...)
		}
		if err == nil && len(devices) > 0 {
			err = d.RemoveDevices(ctx, room, devices...)
		}
		return doneMsg{text: "removed " + strings.Join(args, ", "), err: err, load: loadAll}
	})
}

func (m *Model) doCreate(args []string) tea.Cmd {
	users, ok := m.users(args[min(1, len(args)):])
	if !m.needs(args, 1, "/create ops bob@beta.example") || !ok {
		return nil
	}
	d, names := m.cfg.Device, m.names
	room, err := groups.ParseRoomID(args[0])
	if !strings.HasPrefix(args[0], "mimi://") {
		room, err = groups.NewRoomID(d.ID().Site(), args[0])
	}
	if err != nil {
		m.fail(args[0] + " is not a room name: use a-z, 0-9, '-', '_' and '.'")
		return nil
	}
	m.tell("making " + args[0] + " ...")
	return m.act(func(ctx context.Context) doneMsg {
		me := d.ID().User()
		if _, err := d.CreateRoom(ctx, client.RoomSpec{Room: room}); err != nil {
			return doneMsg{err: err}
		}
		waiting, err := d.Add(ctx, room, append([]groups.UserID{me}, users...)...)
		text := "made " + names.Room(room)
		if err != nil {
			text += "; " + words(err)
		} else if len(users) > 0 {
			text += "; " + names.added(users, waiting)
		}
		return doneMsg{text: text, room: room, load: loadAll}
	})
}

func (m *Model) doRoom(args []string) tea.Cmd {
	if !m.needs(args, 1, "/room ops") {
		return nil
	}
	room, err := m.cfg.Device.FindRoom(args[0])
	if err != nil {
		m.fail(words(err))
		return nil
	}
	return m.show(room)
}

func (m *Model) doLeave([]string) tea.Cmd {
	room, d, names := m.room, m.cfg.Device, m.names
	return m.act(func(ctx context.Context) doneMsg {
		err := d.Leave(ctx, room)
		return doneMsg{text: "asked to leave " + names.Room(room) + ": the next member that is online removes this device", err: err, load: loadAll}
	})
}

func (m *Model) doMembers([]string) tea.Cmd { return m.toggleMembers() }

func (m *Model) doHelp([]string) tea.Cmd {
	m.help = true
	return nil
}

func (m *Model) doQuit([]string) tea.Cmd { return tea.Quit }

// pick takes the message that a command is about: the one whose id its first
// argument begins, else the one selected, else the last that fits.
func (m *Model) pick(args []string, fits func(*client.Message) bool) (*client.Message, []string) {
	if len(args) > 0 && len(args[0]) >= minPrefix && isHex(args[0]) {
		for i := len(m.line.messages) - 1; i >= 0; i-- {
			t := &m.line.messages[i]
			if t.ID != (client.MessageID{}) && strings.HasPrefix(t.ID.String(), args[0]) {
				return t, args[1:]
			}
		}
	}
	t := m.target(fits)
	if t == nil {
		m.fail("there is no such message here: select one with the up key, or name its id")
	}
	return t, args
}

// minPrefix is the fewest digits that are taken for an id.
const minPrefix = 4

func isHex(s string) bool {
	_, err := hex.DecodeString(s + strings.Repeat("0", len(s)%2))
	return err == nil
}

// whole returns the text after an argument, spaces and lines as they were
// typed being lost: commands are one line.
func whole(args []string) string { return strings.Join(args, " ") }

// size is for notices about files.
func size(m *client.Message) string {
	return fmt.Sprintf("%s (%s)", PrintableLine(m.Content.File.Name), Size(m.Content.File.Size))
}
