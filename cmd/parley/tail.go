package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/tui"
	"parley/groups"
)

// tailFlags say what to print and when to stop.
type tailFlags struct {
	limit, count int
	idle         time.Duration
}

func tailCommand(a *app) *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail [ROOM...]",
		Short: "Print messages as they come, until Ctrl-C",
		Long: `Tail takes the device online and prints what comes, of the rooms named or of all:
first what came while the device was offline, then everything as it is said.
Edits, reactions and deletions print their message again, marked.

With --json it prints one message per line; one that was there before has "changed":true.
` + messageHelp,
		Example:           "  parley tail ops\n  parley tail ops --json --count 10\n  parley tail --until-idle 3s",
		Args:              arguments(0, -1, "rooms"),
		ValidArgsFunction: completeRooms(a, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.limit < 0 || f.limit > maxRead || f.count < 0 || f.idle < 0 {
				return usagef("--limit, --count and --until-idle are not negative, --limit is at most %d", maxRead)
			}
			return a.offline(func(s *session) error { return s.tail(cmd.Context(), args, &f) })
		},
	}
	cmd.Flags().IntVar(&f.limit, "limit", 0, "print this many earlier messages of each room first")
	cmd.Flags().IntVar(&f.count, "count", 0, "stop after this many messages (0: do not)")
	cmd.Flags().DurationVar(&f.idle, "until-idle", 0, "stop when all has been read and nothing has come for this long (0: do not)")
	return cmd
}

// A tail prints what comes.
type tail struct {
	*session
	flags   *tailFlags
	rooms   []groups.RoomID // those named; none means all
	seen    map[groups.RoomID]groups.Seq
	printed int
}

// tail prints until something ends it. An interrupt is how it is meant to end.
func (s *session) tail(ctx context.Context, names []string, f *tailFlags) error {
	t := &tail{session: s, flags: f, seen: make(map[groups.RoomID]groups.Seq)}
	for _, name := range names {
		room, err := s.room(name)
		if err != nil {
			return err
		}
		t.rooms = append(t.rooms, room)
	}
	if err := t.begin(); err != nil {
		return err
	}
	sub := s.Subscribe(4096)
	defer sub.Close()
	s.goOnline(ctx)
	idle := time.NewTimer(time.Hour)
	defer idle.Stop()
	for !t.enough() {
		idle.Stop()
		if f.idle > 0 && s.Connection() == client.Online {
			idle.Reset(f.idle)
		}
		select {
		case e := <-sub.C:
			if err := t.take(&e); err != nil {
				return err
			}
		case <-idle.C:
			return nil
		case <-s.ended:
			if ctx.Err() != nil {
				return nil
			}
			return s.why
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (t *tail) enough() bool { return t.flags.count > 0 && t.printed >= t.flags.count }

func (t *tail) wants(room groups.RoomID) bool {
	return len(t.rooms) == 0 || slices.Contains(t.rooms, room)
}

// begin notes where the rooms are, and prints what was said before, if asked.
func (t *tail) begin() error {
	rooms, err := t.Rooms()
	if err != nil {
		return err
	}
	for _, r := range rooms {
		t.seen[r.Room] = r.Seq
		if r.State == client.RoomReading { // what was not opened yet is new when it is
			last, err := t.History(r.Room, client.HistoryQuery{Limit: 1})
			if err != nil {
				return err
			}
			t.seen[r.Room] = 0
			for _, m := range last {
				t.seen[r.Room] = m.Seq
			}
		}
		if t.flags.limit == 0 || !t.wants(r.Room) {
			continue
		}
		messages, err := t.History(r.Room, client.HistoryQuery{Limit: t.flags.limit})
		if err != nil {
			return err
		}
		for i := range messages {
			if err := t.put(&messages[i], false); err != nil {
				return err
			}
		}
	}
	t.printed = 0
	return nil
}

// take prints what an event says.
func (t *tail) take(e *client.Event) error {
	switch e.Kind {
	case client.EventMessage:
		if e.Message == nil || e.Message.Seq == 0 || !t.wants(e.Room) {
			return nil
		}
		return t.put(e.Message, e.Message.Seq <= t.seen[e.Room])
	case client.EventRefresh:
		return t.again()
	case client.EventAlarm:
		return t.app.say("%s %s: %s\n", bad("ALARM"), t.names.Room(e.Room), tui.PrintableLine(t.names.Plain(e.Alarm.Text)))
	case client.EventConnection:
		if e.Err != nil {
			return t.app.say("%s %s\n", warn(e.Connection.String()+":"), faint(tui.PrintableLine(t.names.Plain(words(e.Err)))))
		}
	}
	return nil
}

// again reads what has come while events were lost.
func (t *tail) again() error {
	rooms, err := t.Rooms()
	if err != nil {
		return err
	}
	for _, r := range rooms {
		for t.wants(r.Room) && t.seen[r.Room] < r.Seq {
			messages, err := t.History(r.Room, client.HistoryQuery{After: t.seen[r.Room], Limit: 1000})
			if err != nil {
				return err
			}
			n := 0
			for i := range messages {
				if m := &messages[i]; m.Seq > 0 && !t.enough() {
					n++
					if err := t.put(m, false); err != nil {
						return err
					}
				}
			}
			if n == 0 {
				break
			}
		}
	}
	return nil
}

// put prints one message.
func (t *tail) put(m *client.Message, changed bool) error {
	if !changed {
		t.printed++
		t.seen[m.Room] = max(t.seen[m.Room], m.Seq)
	}
	if t.app.json {
		out := toJSON(m)
		out.Changed = changed
		return t.app.printLine(out)
	}
	line := t.line(m)
	if changed {
		line = warn("~ ") + line
	}
	if len(t.rooms) != 1 {
		line = colour("6", t.names.Room(m.Room)) + "  " + line
	}
	return t.app.print("%s", line)
}
