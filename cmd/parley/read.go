package main

import (
	"github.com/spf13/cobra"

	"parley/client"
	"parley/groups"
)

// maxRead bounds what one read asks for at a time.
const maxRead = 100_000

func readCommand(a *app) *cobra.Command {
	var q client.HistoryQuery
	cmd := &cobra.Command{
		Use:   "read ROOM",
		Short: "Print what was said in a room, as far as this device has it",
		Long: `Read prints messages of a room, oldest first, and marks them as seen. It uses no
network: parley sync fetches what is new.

With --json it prints an array of messages. ` + messageHelp,
		Example:           "  parley read ops --limit 20\n  parley read ops --after 57 --json",
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if q.Limit < 1 || q.Limit > maxRead {
				return usagef("--limit %d: from 1 to %d", q.Limit, maxRead)
			}
			return a.offline(func(s *session) error { return s.read(args[0], q) })
		},
	}
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "the most messages to print")
	cmd.Flags().Uint64Var((*uint64)(&q.After), "after", 0, "print what follows this entry (seq)")
	cmd.Flags().Uint64Var((*uint64)(&q.Before), "before", 0, "print what is before this entry (seq)")
	return cmd
}

func (s *session) read(name string, q client.HistoryQuery) error {
	room, err := s.room(name)
	if err != nil {
		return err
	}
	messages, err := s.History(room, q)
	if err != nil {
		return err
	}
	var last groups.Seq
	list := make([]messageJSON, len(messages))
	for i := range messages {
		last = max(last, messages[i].Seq)
		list[i] = toJSON(&messages[i])
		if s.app.json {
			continue
		}
		if err := s.app.print("%s", s.line(&messages[i])); err != nil {
			return err
		}
	}
	if s.app.json {
		if err := s.app.printJSON(list); err != nil {
			return err
		}
	} else if len(messages) == 0 {
		if err := s.app.say("nothing was said in %s yet\n", s.names.Room(room)); err != nil {
			return err
		}
	}
	if info, err := s.Room(room); err != nil {
		return err
	} else if !s.app.json {
		if err := s.tellSealed(&info); err != nil {
			return err
		}
	}
	if last == 0 {
		return nil
	}
	return s.MarkRead(room, last)
}
