package main

import (
	"context"
	"errors"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"parley/client/tui"
	"parley/groups"
)

// chatEvents is how many events wait for the screen; when it is too slow for
// them, it reads everything again.
const chatEvents = 1024

func chatCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "chat [ROOM]",
		Short: "Talk on a screen of rooms, messages and members",
		Long: `Chat shows the rooms of this device and what is said in them, and sends what you
type. It works offline: what is written then leaves when the device is online.
Ctrl-G shows the keys and commands.`,
		Args:              arguments(0, 1, "one room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !isTerminal(a.in) || !isTerminal(a.out) {
				return usagef("chat needs a terminal: parley send, read and tail do without")
			}
			if a.json || a.verbose {
				return usagef("chat is a screen: it goes with neither --json nor --verbose; see parley tail --json")
			}
			return a.offline(func(s *session) error { return s.chat(cmd.Context(), args) })
		},
	}
}

func (s *session) chat(ctx context.Context, args []string) error {
	var room groups.RoomID
	if len(args) == 1 {
		var err error
		if room, err = s.room(args[0]); err != nil {
			return err
		}
	}
	sub := s.Subscribe(chatEvents)
	defer sub.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.goOnline(ctx)
	err := tui.Run(ctx, tui.Config{
		Device: s.Device, Events: sub.C, Room: room,
		Attach: func(room groups.RoomID, path, caption string) error {
			_, err := s.queueFile(room, caption, path)
			return err
		},
		Save: s.save,
		Down: func(ctx context.Context) error {
			select {
			case <-s.ended:
				return s.why
			case <-ctx.Done():
				return nil
			}
		},
	})
	if errors.Is(err, tea.ErrInterrupted) || err != nil && ctx.Err() != nil {
		return nil
	}
	return err
}
