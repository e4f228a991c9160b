package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"parley/client"
	"parley/groups"
)

// A pastJSON is what history --json prints.
type pastJSON struct {
	Room       groups.RoomID  `json:"room"`
	Messages   int            `json:"messages"`
	Keys       int            `json:"keys"`
	Unreadable int            `json:"unreadable"`
	Why        map[string]int `json:"why"`
}

func historyCommand(a *app) *cobra.Command {
	var reader bool
	cmd := &cobra.Command{
		Use:   "history ROOM",
		Short: "Fetch what was said in a room before this device joined",
		Long: `History makes a room's past readable, as far as its policy and its communities let this
device: it reads the log from its beginning, verifies it, has the communities' unwrap
services open the keys, and verifies the signature of every message. What it has opened
stays; run it again to go on. parley read then shows it.

With --reader the room is one whose policy lets devices of a community read without being
members; its name is said in full (ops@alpha.example), since gateways list such rooms to
nobody. From then on it is in parley room ls, as one that this device reads, and sync, tail
and chat follow it by themselves; parley room leave ends that.

With --json it prints {"room","messages","keys","unreadable","why":{REASON:MESSAGES}}.`,
		Example:           "  parley history ops\n  parley history ops@alpha.example --reader",
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error { return s.history(ctx, args[0], reader) })
		},
	}
	cmd.Flags().BoolVar(&reader, "reader", false, "read a room of which this device is no member")
	return cmd
}

func (s *session) history(ctx context.Context, name string, reader bool) error {
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	room, err := s.pastRoom(ctx, name, reader)
	if err != nil {
		return err
	}
	progress, done := s.pastProgress()
	report, err := s.FetchPast(ctx, room, progress)
	done()
	if err != nil {
		return err
	}
	if s.app.json {
		return s.app.printJSON(pastJSON{room, report.Messages, report.Keys, report.Unreadable, report.Why})
	}
	if err := s.app.print("%s of %s opened, with %s\n", count(report.Messages, "message"), bold(s.names.Room(room)), count(report.Keys, "key")); err != nil {
		return err
	}
	for _, why := range report.Reasons() {
		if err := s.app.print("%s: %s\n", warn(count(report.Why[why], "message")+" can not be read"), why); err != nil {
			return err
		}
	}
	return nil
}

// pastRoom finds the room, or makes one known that may be read.
func (s *session) pastRoom(ctx context.Context, name string, reader bool) (groups.RoomID, error) {
	if !reader {
		return s.room(name)
	}
	room, err := s.FindRoom(name)
	if local, site, full := strings.Cut(name, "@"); err != nil && full {
		room, err = groups.NewRoomID(groups.SiteID(site), local)
	} else if err != nil {
		room, err = s.NewRoom(name)
	}
	if err != nil {
		return "", err
	}
	_, err = s.Attach(ctx, room)
	return room, err
}

// pastProgress shows how far it has come, on a terminal.
func (s *session) pastProgress() (tell func(client.PastProgress), done func()) {
	if s.app.json || !isTerminal(s.app.err) {
		return nil, func() {}
	}
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(s.app.err), progressbar.OptionClearOnFinish())
	tell = func(p client.PastProgress) {
		what := fmt.Sprintf("%s: entry %d of %d", p.Stage, p.Entries, p.Total)
		if p.Epochs > 0 {
			what = fmt.Sprintf("%s: %d of %d keys, %d messages", p.Stage, p.Keys, p.Epochs, p.Messages)
		}
		bar.Describe(what)
	}
	return tell, func() { bar.Finish() }
}
