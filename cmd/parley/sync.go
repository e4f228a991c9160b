package main

import (
	"context"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/groups"
)

// A syncedJSON is what sync --json prints of a room.
type syncedJSON struct {
	Room   groups.RoomID `json:"room"`
	State  string        `json:"state"`
	Seq    groups.Seq    `json:"seq"`
	New    groups.Seq    `json:"new"`
	Epoch  groups.Epoch  `json:"epoch"`
	Unread int           `json:"unread"`
	Outbox int           `json:"outbox"`
}

func syncCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "sync",
		Short: "Fetch what is new, send what waits, and stop",
		Long: `Sync takes the device online, reads everything there is, joins rooms it was added to,
opens what has come of rooms that it reads without being a member, sends what is in the outbox, and ends.

With --json it prints an array of {"room","state","seq","new","epoch","unread","outbox"};
new is how many entries came.`,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error { return s.sync(ctx) })
		},
	}
}

func (s *session) sync(ctx context.Context) error {
	before, err := s.Rooms()
	if err != nil {
		return err
	}
	seen := make(map[groups.RoomID]groups.Seq)
	for _, r := range before {
		seen[r.Room] = r.Seq
	}
	if err := s.introduce(ctx, false); err != nil {
		return err
	}
	if err := s.await(ctx, s.Flush); err != nil {
		return err
	}
	if err := s.openReadings(ctx, before); err != nil {
		return err
	}
	rooms, err := s.Rooms()
	if err != nil {
		return err
	}
	list := make([]syncedJSON, len(rooms))
	t := newTable("ROOM", "NEW ENTRIES", "UNREAD", "STATE")
	for i := range rooms {
		r := &rooms[i]
		list[i] = syncedJSON{r.Room, r.State.String(), r.Seq, s.news(r, seen), r.Epoch, r.Unread, r.Outbox}
		t.add(bold(s.names.Room(r.Room)), number(list[i].New), number(uint64(r.Unread)), state(r))
	}
	if s.app.json {
		return s.app.printJSON(list)
	}
	return t.print(s.app, "up to date; this device is in no room yet")
}

// news is how many entries of a room have come: of a new room, those since
// this device is in it.
func (s *session) news(r *client.RoomInfo, seen map[groups.RoomID]groups.Seq) groups.Seq {
	if was, known := seen[r.Room]; known {
		return r.Seq - was
	}
	return r.Seq - min(r.Seq, max(r.Joined, 1)-1)
}
