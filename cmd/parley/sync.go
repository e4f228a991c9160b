package main

import (
	"context"
	"errors"
	"fmt"
	"time"

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
opens what has come of rooms that it reads without being a member, sends what is in the
outbox, does what the others of its rooms wait for, and ends. A long outbox takes as long
as receipts come: a gateway takes a device's messages at a limited rate.

With --json it prints an array of {"room","state","seq","new","epoch","unread","outbox"};
new is how many entries came.`,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.offline(func(s *session) error {
				s.goOnline(cmd.Context())
				return s.sync(cmd.Context())
			})
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
	within := func(d time.Duration, step func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return step(ctx)
	}
	if err := within(s.app.timeout, func(ctx context.Context) error { return s.introduce(ctx, false) }); err != nil {
		return err
	}
	if err := s.drain(ctx); err != nil {
		return err
	}
	if err := within(s.app.timeout, func(ctx context.Context) error { return s.openReadings(ctx, before) }); err != nil {
		return err
	}
	if err := within(settling, s.Settled); err != nil {
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

// drain sends what is in the outbox. It goes on as long as receipts come, and gives
// up when for --timeout none has.
func (s *session) drain(ctx context.Context) error {
	left, err := s.unsent()
	for err == nil && left > 0 {
		part, cancel := context.WithTimeout(ctx, s.app.timeout)
		waited := s.await(part, s.Flush)
		cancel()
		before := left
		if left, err = s.unsent(); waited == nil || err != nil {
			break
		}
		switch slow := errors.Is(waited, context.DeadlineExceeded) && ctx.Err() == nil; {
		case !slow:
			return waited
		case left >= before:
			return fmt.Errorf("no receipt came within %s: %s in the outbox, for the next command that goes online", s.app.timeout, waitHow(left))
		case isTerminal(s.app.err):
			err = s.app.say("%s in the outbox\n", waitHow(left))
		}
	}
	return err
}

func waitHow(n int) string {
	if n == 1 {
		return "1 message waits"
	}
	return count(n, "message") + " wait"
}

// unsent counts the messages without receipt, in all rooms.
func (s *session) unsent() (n int, err error) {
	rooms, err := s.Rooms()
	for i := range rooms {
		if rooms[i].State == client.RoomLive {
			n += rooms[i].Outbox
		}
	}
	return n, err
}

// settling bounds how long sync stays for what other members wait for.
const settling = 5 * time.Second

// news is how many entries of a room have come: of a new room, those since
// this device is in it.
func (s *session) news(r *client.RoomInfo, seen map[groups.RoomID]groups.Seq) groups.Seq {
	if was, known := seen[r.Room]; known {
		return r.Seq - was
	}
	return r.Seq - min(r.Seq, max(r.Joined, 1)-1)
}
