package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/tui"
	"parley/groups"
)

// keyHelp documents keyJSON.
const keyHelp = `A key is {"room","epoch","id","author","made","ends","reason","recipients":[{"name","serial",
"certificate","status_at"}],"record","previous","seq","bad"}; ends is left out if the key does not end by
time, seq if its record came with an invitation, bad if there is nothing wrong with it.`

// A keyJSON is the key of an epoch as --json prints it.
type keyJSON struct {
	Room       groups.RoomID   `json:"room"`
	Epoch      groups.Epoch    `json:"epoch"`
	ID         groups.Hash     `json:"id"`
	Author     groups.DeviceID `json:"author"`
	Made       time.Time       `json:"made"`
	Ends       time.Time       `json:"ends,omitzero"`
	Reason     string          `json:"reason"`
	Recipients []recipientJSON `json:"recipients"`
	Record     groups.Hash     `json:"record"`
	Previous   groups.Hash     `json:"previous"`
	Seq        groups.Seq      `json:"seq,omitempty"`
	Bad        string          `json:"bad,omitempty"`
}

type recipientJSON struct {
	Name        groups.CoIID `json:"name"`
	Serial      string       `json:"serial"`
	Certificate groups.Hash  `json:"certificate"`
	StatusAt    time.Time    `json:"status_at,omitzero"`
}

// describeKey is a key as --json prints it.
func describeKey(k *client.KeyInfo) keyJSON {
	out := keyJSON{
		Room: k.Room, Epoch: k.Epoch, ID: k.ID, Author: k.Author, Made: k.Made.UTC(), Ends: k.Ends.UTC(),
		Reason: k.Reason.String(), Recipients: []recipientJSON{}, Record: k.Record, Previous: k.Prev, Seq: k.Seq, Bad: k.Bad,
	}
	if k.Ends.IsZero() {
		out.Ends = time.Time{}
	}
	for _, r := range k.Recipients {
		row := recipientJSON{Name: r.Name, Serial: hex.EncodeToString(r.Serial), Certificate: r.Certificate}
		if r.StatusAt > 0 {
			row.StatusAt = time.UnixMilli(int64(r.StatusAt)).UTC()
		}
		out.Recipients = append(out.Recipients, row)
	}
	return out
}

// roomKey prints the key that a room is using.
func (s *session) roomKey(name string) error {
	room, err := s.room(name)
	if err != nil {
		return err
	}
	k, err := s.Key(room)
	if info, bad := s.Room(room); err != nil && bad == nil && len(info.Policy.CoIs) == 0 {
		return advise(err, "parley keys shows the key it has")
	}
	if err != nil {
		return err
	}
	if s.app.json {
		return s.app.printJSON(describeKey(&k))
	}
	ends := "never by itself"
	if !k.Ends.IsZero() {
		ends = clock(k.Ends)
	}
	accepted := good("accepted")
	if why, not := errors.AsType[*client.Unaccepted](s.Accepted(room)); not && why.Changes == nil {
		accepted = warn("you have not accepted it yet: parley room inspect shows it")
	} else if not {
		accepted = warn("not accepted since: " + tui.PrintableLine(strings.Join(why.Changes, "; ")))
	}
	err = s.app.facts("room", bold(s.names.Room(room)), "key", k.ID.Hex(), "epoch", number(k.Epoch),
		"made", fmt.Sprintf("%s, %s ago, by %s (%s)", clock(k.Made), since(k.Made), s.names.Device(k.Author), k.Reason),
		"ends", ends, "record", k.Record.Hex(), "previous", k.Prev.Hex(), "problem", tui.PrintableLine(k.Bad),
		"configuration", accepted)
	if err != nil {
		return err
	}
	return s.recipients(&k)
}

// recipients prints whom a key is wrapped to.
func (s *session) recipients(k *client.KeyInfo) error {
	t := newTable("COMMUNITY", "CERTIFICATE SERIAL", "FINGERPRINT", "GOOD AT")
	for _, r := range k.Recipients {
		at := "-"
		if r.StatusAt > 0 {
			at = clock(time.UnixMilli(int64(r.StatusAt)))
		}
		t.add(bold(string(r.Name)), hex.EncodeToString(r.Serial), r.Certificate.String(), at)
	}
	return t.print(s.app, "it is wrapped to nobody")
}

func keysHistoryCommand(a *app) *cobra.Command {
	var serial string
	cmd := &cobra.Command{
		Use:   "history ROOM",
		Short: "List the keys of a room: who made each, when, why and for whom",
		Long: `History lists the records of a room's keys, oldest first: those since this device
joined, and the older ones too once parley history has fetched them.

With --serial it lists the keys that were wrapped to one certificate of a community: if
its private key was stolen, whoever has it and the room's log can read what was said
under these, and a new key does not undo that.

With --json it prints an array of keys. ` + keyHelp,
		Example:           "  parley keys history ops\n  parley keys history ops --serial 5c1f0a",
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.offline(func(s *session) error { return s.keyHistory(args[0], serial) })
		},
	}
	cmd.Flags().StringVar(&serial, "serial", "", "only keys wrapped to the certificate with this serial, in hex")
	return cmd
}

func (s *session) keyHistory(name, serial string) error {
	room, err := s.room(name)
	if err != nil {
		return err
	}
	keys, err := s.Keys(room)
	if err != nil {
		return err
	}
	none := s.names.Room(room) + " wraps its keys to no community"
	if serial != "" {
		of, err := hex.DecodeString(fmt.Sprintf("%0*s", len(serial)+len(serial)%2, serial))
		if err != nil {
			return usagef("--serial %q: write it as parley keys %s shows it", serial, name)
		}
		keys = slices.DeleteFunc(keys, func(k client.KeyInfo) bool { return !k.WrappedTo(of) })
		none = "no key of " + s.names.Room(room) + " that this device knows was wrapped to that certificate"
	}
	list := make([]keyJSON, len(keys))
	t := newTable("EPOCH", "MADE", "BY", "WHY", "FOR", "KEY", "")
	for i := range keys {
		k := &keys[i]
		list[i] = describeKey(k)
		names := ""
		for _, r := range k.Recipients {
			names += " " + r.Name.Name() + "@" + string(r.Name.Site())
		}
		problem := ""
		if k.Bad != "" {
			problem = bad(tui.PrintableLine(k.Bad))
		}
		t.add(number(k.Epoch), clock(k.Made), bold(s.names.Device(k.Author)), k.Reason.String(), names[min(1, len(names)):], k.ID.String()[:16], problem)
	}
	if s.app.json {
		return s.app.printJSON(list)
	}
	return t.print(s.app, none)
}

func keysFlagCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "flag ROOM REASON",
		Short: "Report a room's encryption configuration to the security officer",
		Long: `Flag reports what is wrong with how a room is encrypted to the security officer of your
site. The report becomes a signed entry of the room's log, its words sealed to the room's
communities: a gateway that drops it breaks the chain that all members check, and without
the hub's receipt this command fails.

With --json it prints {"room","seq"}.`,
		Example:           `  parley keys flag ops "the lookup service is not ours"`,
		Args:              arguments(2, 2, "a room and a reason"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error {
				room, err := s.current(ctx, args[0])
				if err != nil {
					return err
				}
				seq, err := s.Flag(ctx, room, args[1])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]any{"room": room, "seq": seq})
				}
				return a.print("reported: entry %d of %s\n", seq, s.names.Room(room))
			})
		},
	}
}
