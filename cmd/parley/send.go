package main

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/tui"
	"parley/groups"
)

// sendFlags say what to send and how long to wait for it.
type sendFlags struct {
	file                       string
	reply, edit, delete, react string
	unreact                    bool
	offline, wait              bool
}

func sendCommand(a *app) *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send ROOM [TEXT | EMOJI | -]",
		Short: "Say something in a room, or send a file",
		Long: `Send puts a message into the outbox, which is durable, and sends it. Without a
gateway the message stays in the outbox and leaves, in order, when this device is
online again: with any command that goes online. The answer says which it was.

With - as the text, every line of standard input is a message.

With --json it prints one message per line. ` + messageHelp,
		Example: `  parley send ops "the link is up"
  parley send ops --file report.pdf "the figures"
  parley send ops --reply 4f2a91c0 "thanks"
  parley send ops --edit 4f2a91c0 "the link is down"
  parley send ops --react 4f2a91c0 👍
  parley send ops --delete 4f2a91c0
  tail -f alerts.log | parley send ops -`,
		Args:              arguments(1, 2, "a room and a text"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args[1:]); err != nil {
				return err
			}
			return a.offline(func(s *session) error { return s.send(cmd.Context(), args, &f) })
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.file, "file", "", "send this file; the text is its caption")
	fs.StringVar(&f.reply, "reply", "", "the text answers the message with this id")
	fs.StringVar(&f.edit, "edit", "", "the text replaces that of your message with this id")
	fs.StringVar(&f.delete, "delete", "", "take back your message with this id")
	fs.StringVar(&f.react, "react", "", "the text is an emoji on the message with this id")
	fs.BoolVar(&f.unreact, "unreact", false, "with --react: take the emoji back")
	fs.BoolVar(&f.offline, "offline", false, "only queue the message")
	fs.BoolVar(&f.wait, "wait", false, "fail unless the message is accepted within --timeout")
	cmd.MarkFlagsMutuallyExclusive("file", "reply", "edit", "delete", "react")
	cmd.MarkFlagsMutuallyExclusive("offline", "wait")
	return cmd
}

// check holds the flags against the text.
func (f *sendFlags) check(text []string) error {
	bare := len(text) == 0 || text[0] == ""
	switch {
	case f.delete != "" && !bare:
		return usagef("--delete takes no text")
	case f.unreact && f.react == "":
		return usagef("--unreact goes with --react ID EMOJI")
	case f.react != "" && bare:
		return usagef("--react needs an emoji: parley send ROOM --react ID 👍")
	case bare && f.delete == "" && f.file == "":
		return usagef(`there is nothing to send: give a text, - for standard input, or --file`)
	case !bare && text[0] == "-" && (f.file != "" || f.reply != "" || f.edit != "" || f.react != ""):
		return usagef("- sends lines of standard input as messages: it goes with no other flag")
	}
	return nil
}

// send queues what the command line says and sends what is queued.
func (s *session) send(ctx context.Context, args []string, f *sendFlags) error {
	room, err := s.room(args[0])
	if err != nil {
		return err
	}
	if len(args) == 2 && args[1] == "-" {
		return s.sendLines(ctx, room, f)
	}
	text := ""
	if len(args) == 2 {
		text = args[1]
	}
	m, err := s.queue(room, text, f)
	if err != nil {
		return err
	}
	if !f.offline {
		s.goOnline(ctx)
	}
	return s.report(ctx, []client.Message{m}, f)
}

// queue puts one message into the outbox.
func (s *session) queue(room groups.RoomID, text string, f *sendFlags) (client.Message, error) {
	if f.file != "" {
		return s.queueFile(room, text, f.file)
	}
	var target client.MessageID
	for _, prefix := range []string{f.reply, f.edit, f.delete, f.react} {
		if prefix != "" {
			m, err := s.message(room, prefix)
			if err != nil {
				return m, err
			}
			if err := s.fits(&m, f); err != nil {
				return m, err
			}
			target = m.ID
		}
	}
	content := client.Text(text)
	switch {
	case f.reply != "":
		content = client.Reply(target, text)
	case f.edit != "":
		content = client.Edit(target, text)
	case f.delete != "":
		content = client.Delete(target)
	case f.unreact:
		content = client.Unreact(target, text)
	case f.react != "":
		content = client.React(target, text)
	}
	queued, err := s.Send(room, content)
	if err != nil {
		return client.Message{}, err
	}
	return queued[0], nil
}

// fits says whether a message can be the target of what the flags say.
func (s *session) fits(m *client.Message, f *sendFlags) error {
	switch {
	case m.State == client.Failed:
		return groups.Errorf(groups.Invalid, "message %s was not accepted, nobody else has it: say it anew", shortID(m.ID))
	case (f.edit != "" || f.delete != "") && m.Device.User() != s.User():
		return groups.Errorf(groups.Denied, "message %s is of %s: only its author changes it or takes it back", shortID(m.ID), s.names.User(m.Device.User()))
	}
	return nil
}

func (s *session) queueFile(room groups.RoomID, caption, path string) (client.Message, error) {
	file, err := os.Open(path)
	if err != nil {
		return client.Message{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return client.Message{}, err
	case !info.Mode().IsRegular():
		return client.Message{}, usagef("%s is not a file", path)
	case info.Size() > client.MaxFile:
		return client.Message{}, groups.Errorf(groups.TooLarge, "%s has %d bytes: at most %d can be sent", path, info.Size(), client.MaxFile)
	}
	return s.SendFile(room, client.FileSource{
		Name: filepath.Base(path), Type: mime.TypeByExtension(filepath.Ext(path)), Caption: caption, Body: file,
	})
}

// report waits until the messages are accepted or have failed, or it is clear
// that they have to wait, and says what became of them.
func (s *session) report(ctx context.Context, queued []client.Message, f *sendFlags) error {
	var waited error
	if !f.offline {
		ctx, cancel := context.WithTimeout(ctx, s.app.timeout)
		waited = s.awaitOr(ctx, s.Flush, !f.wait)
		cancel()
	}
	var failed error
	for _, m := range queued {
		now, err := s.Message(m.Room, m.ID)
		if err == nil {
			m = now
		} else if !f.offline && waited == nil {
			m.State = client.Accepted // an edit or a reaction is part of its target
		}
		if m.State == client.Failed {
			failed = fmt.Errorf("message %s was not accepted: %s", shortID(m.ID), m.Problem)
		}
		if err := s.tell(&m, waited); err != nil {
			return err
		}
	}
	if f.wait && failed == nil {
		return waited
	}
	return failed
}

// tell prints what became of a message.
func (s *session) tell(m *client.Message, waited error) error {
	if s.app.json {
		return s.app.printLine(toJSON(m))
	}
	switch m.State {
	case client.Accepted:
		return s.app.print("%s %s%s\n", good("accepted"), shortID(m.ID), faint(place(m)))
	case client.Queued, client.Sent:
		why, leaves := "it was not tried", "it leaves when this device is online"
		if waited != nil && !errors.Is(waited, context.DeadlineExceeded) {
			why = words(waited)
		} else if waited != nil {
			why = "no receipt came within " + s.app.timeout.String()
			if info, err := s.Room(m.Room); err == nil && info.Waiting != "" {
				why = strings.TrimSuffix(info.Waiting, ": try again later")
			}
			leaves = "it is tried again by every command that goes online"
		}
		if kind := groups.KindOf(waited); kind == groups.KeyStale || kind == groups.CoIRevoked {
			leaves = "it leaves when that is in order"
		}
		return s.app.print("%s %s: %s; %s\n", warn(m.State.String()), shortID(m.ID), tui.PrintableLine(s.names.Plain(why)), leaves)
	}
	return nil
}

// place says where in the log a message is; what is part of another message has
// no place of its own.
func place(m *client.Message) string {
	seq := max(m.Seq, m.Receipt)
	if seq == 0 || m.Content.Amends() {
		return ""
	}
	return " entry " + number(seq)
}
