package main

import (
	"time"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/groups"
)

// A botJSON is a bot in a room as --json prints it.
type botJSON struct {
	Room   groups.RoomID   `json:"room"`
	Device groups.DeviceID `json:"device"`
	User   groups.UserID   `json:"user"`
	Until  time.Time       `json:"until"`
}

func botsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "bots [ROOM]",
		Short: "List the bots that are in your rooms",
		Long: `Bots lists the devices at which no person sits, and the rooms of this device that they
are members of, or those of one room. Their certificates say what they are. What keys of
the past a bot may have is its site's to say: parley-pki bots lists that. A bot that was cut
off there (parley-pki bots cut) is removed from the room by whichever member's device is
online next, with any command that goes online, and is not listed any more.

With --json it prints an array of {"room","device","user","until"}. It uses no network.`,
		Example:           "  parley bots\n  parley bots ops",
		Args:              arguments(0, 1, "at most one room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.offline(func(s *session) error { return s.listBots(args) })
		},
	}
}

func (s *session) listBots(args []string) error {
	rooms, err := s.botRooms(args)
	if err != nil {
		return err
	}
	list := []botJSON{}
	t := newTable("BOT", "ROOM", "CERTIFICATE")
	for _, room := range rooms {
		members, err := s.Members(room)
		if err != nil {
			return err
		}
		for _, m := range members {
			if m.Bot {
				list = append(list, botJSON{room, m.Device, m.User, m.Until})
				t.add(bold(s.names.Device(m.Device)), s.names.Room(room), "until "+day(m.Until))
			}
		}
	}
	if s.app.json {
		return s.app.printJSON(list)
	}
	return t.print(s.app, "no bots are in your rooms")
}

// botRooms lists the rooms to look at: those that this device is in now.
func (s *session) botRooms(args []string) ([]groups.RoomID, error) {
	if len(args) == 1 {
		room, err := s.room(args[0])
		return []groups.RoomID{room}, err
	}
	all, err := s.Rooms()
	if err != nil {
		return nil, err
	}
	var list []groups.RoomID
	for i := range all {
		if all[i].State == client.RoomLive {
			list = append(list, all[i].Room)
		}
	}
	return list, nil
}
