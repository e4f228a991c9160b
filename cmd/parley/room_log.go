package main

import (
	"encoding/hex"
	"time"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/tui"
	"parley/groups"
)

// A logJSON is an entry of a room's log as --json prints it.
type logJSON struct {
	Seq    groups.Seq      `json:"seq"`
	Hash   string          `json:"hash"`
	Epoch  groups.Epoch    `json:"epoch"`
	Kind   string          `json:"kind"`
	Device groups.DeviceID `json:"device,omitempty"`
	ID     string          `json:"id,omitempty"`
	Time   time.Time       `json:"time"`
	Size   int             `json:"size"`
	Note   string          `json:"note,omitempty"`
}

func roomLogCommand(a *app) *cobra.Command {
	var after uint64
	var limit int
	cmd := &cobra.Command{
		Use:   "log ROOM",
		Short: "List the entries of a room's log, as this device verified them",
		Long: `Log lists a room's log entries with their place in the hash chain: two devices that
show the same hash for an entry have read the same history up to it. It uses no network.

With --json it prints an array of {"seq","hash","epoch","kind","device","id","time",
"size","note"}; kind is create, commit, proposal or message, size is in bytes.`,
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > maxRead {
				return usagef("--limit %d: from 1 to %d", limit, maxRead)
			}
			return a.offline(func(s *session) error {
				room, err := s.room(args[0])
				if err != nil {
					return err
				}
				from := groups.Seq(after)
				if !cmd.Flags().Changed("after") {
					if from, err = s.tailOf(room, limit); err != nil {
						return err
					}
				}
				return s.log(room, from, limit)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "the most entries to list")
	cmd.Flags().Uint64Var(&after, "after", 0, "list what follows this entry (default: the last entries)")
	return cmd
}

// tailOf returns the entry after which there are n more.
func (s *session) tailOf(room groups.RoomID, n int) (groups.Seq, error) {
	info, err := s.Room(room)
	if err != nil || info.Seq <= groups.Seq(n) {
		return 0, err
	}
	return info.Seq - groups.Seq(n), nil
}

func (s *session) log(room groups.RoomID, after groups.Seq, limit int) error {
	entries, err := s.Log(room, after, limit)
	if err != nil {
		return err
	}
	list := make([]logJSON, len(entries))
	t := newTable("SEQ", "EPOCH", "KIND", "TIME", "BYTES", "HASH", "BY", "NOTE")
	for i, e := range entries {
		list[i] = logJSON{Seq: e.Seq, Hash: hex.EncodeToString(e.Hash[:]), Epoch: e.Epoch, Kind: e.Kind.String(),
			Device: e.Device, Time: e.Time.UTC(), Size: e.Size, Note: e.Note}
		if e.ID != (client.MessageID{}) {
			list[i].ID = e.ID.String()
		}
		by := ""
		if e.Device != "" {
			by = s.names.Device(e.Device)
		}
		t.add(number(e.Seq), number(e.Epoch), e.Kind.String(), faint(clock(e.Time)), number(uint64(e.Size)),
			faint(e.Hash.String()), by, tui.PrintableLine(s.names.Plain(e.Note)))
	}
	if s.app.json {
		return s.app.printJSON(list)
	}
	return t.print(s.app, "there is no entry")
}
