package main

import (
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

// roomHelp documents roomJSON.
const roomHelp = `A room is {"room","name","site","state","role","why","leaving","parked","admin","seq","epoch","suite",
"users","devices","readers":[COMMUNITY],"key_made","key_messages","key_maker","authenticator",
"unread","outbox","last","alarms":[{"seq","kind","device","text"}],"waiting":[{"user","since","why"}],
"sealed":{REASON:MESSAGES}}; state is creating, live, closed or reading, role administrator, member
or reader: one that reads without being a member, for which sealed says what it can not read.
parley room ls leaves authenticator out.`

// A roomJSON is a room as --json prints it.
type roomJSON struct {
	Room          groups.RoomID   `json:"room"`
	Name          string          `json:"name"`
	Site          groups.SiteID   `json:"site"`
	State         string          `json:"state"`
	Role          string          `json:"role"`
	Why           string          `json:"why,omitempty"`
	Leaving       bool            `json:"leaving,omitempty"`
	Parked        bool            `json:"parked,omitempty"`
	Admin         bool            `json:"admin"`
	Seq           groups.Seq      `json:"seq"`
	Epoch         groups.Epoch    `json:"epoch"`
	Suite         string          `json:"suite"`
	Users         int             `json:"users"`
	Devices       int             `json:"devices"`
	Readers       []groups.CoIID  `json:"readers"`
	KeyMade       time.Time       `json:"key_made"`
	KeyMessages   uint64          `json:"key_messages"`
	KeyMaker      groups.DeviceID `json:"key_maker,omitempty"`
	Authenticator string          `json:"authenticator,omitempty"`
	Unread        int             `json:"unread"`
	Outbox        int             `json:"outbox"`
	Last          time.Time       `json:"last,omitzero"`
	Alarms        []alarmJSON     `json:"alarms"`
	Waiting       []wishJSON      `json:"waiting"`
	Sealed        map[string]int  `json:"sealed,omitempty"`
}

type alarmJSON struct {
	Seq    groups.Seq       `json:"seq"`
	Kind   client.AlarmKind `json:"kind"`
	Device groups.DeviceID  `json:"device,omitempty"`
	Text   string           `json:"text"`
}

// describe is a room as --json prints it.
func (s *session) describe(r *client.RoomInfo) (roomJSON, error) {
	waiting, err := s.Wishes(r.Room)
	if err != nil {
		return roomJSON{}, err
	}
	out := roomJSON{
		Room: r.Room, Name: r.Room.Name(), Site: r.Room.Site(), State: r.State.String(), Role: role(r), Why: r.Why, Leaving: r.Leaving, Parked: r.Parked, Admin: r.Admin,
		Seq: r.Seq, Epoch: r.Epoch, Suite: r.Suite, Users: r.Users, Devices: r.Devices,
		Readers: append([]groups.CoIID{}, r.Policy.Readers...),
		KeyMade: r.KeyMade.UTC(), KeyMessages: r.KeyMessages, KeyMaker: r.KeyMaker,
		Authenticator: hex.EncodeToString(r.Authenticator), Unread: r.Unread, Outbox: r.Outbox,
		Alarms: []alarmJSON{}, Waiting: wishes(waiting), Sealed: r.Sealed,
	}
	if !r.Last.IsZero() {
		out.Last = r.Last.UTC()
	}
	for _, a := range r.Alarms {
		out.Alarms = append(out.Alarms, alarmJSON{a.Seq, a.Kind, a.Device, a.Text})
	}
	return out, nil
}

func wishes(list []client.Wish) []wishJSON {
	out := make([]wishJSON, len(list))
	for i, w := range list {
		out[i] = wishJSON{w.User, w.Since.UTC().Format(time.RFC3339), w.Why}
	}
	return out
}

func waits(list []client.Wish, u groups.UserID) bool {
	return slices.ContainsFunc(list, func(w client.Wish) bool { return w.User == u })
}

func roomListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the rooms of this device",
		Long: `Ls lists the rooms of this device as it last saw them; it uses no network.

With --json it prints an array of rooms. ` + roomHelp,
		Args: arguments(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			return a.offline(func(s *session) error { return s.listRooms() })
		},
	}
}

func (s *session) listRooms() error {
	rooms, err := s.Rooms()
	if err != nil {
		return err
	}
	list := make([]roomJSON, len(rooms))
	t := newTable("ROOM", "PEOPLE", "DEVICES", "UNREAD", "EPOCH", "KEY AGE", "LAST", "STATE")
	for i := range rooms {
		r := &rooms[i]
		if list[i], err = s.describe(r); err != nil {
			return err
		}
		unread := faint("-")
		if r.Unread > 0 {
			unread = bold(fmt.Sprint(r.Unread))
		}
		t.add(bold(s.names.Room(r.Room)), fmt.Sprint(r.Users), fmt.Sprint(r.Devices), unread,
			number(r.Epoch), since(r.KeyMade), clock(r.Last), state(r))
	}
	if s.app.json {
		return s.app.printJSON(list)
	}
	return t.print(s.app, "this device is in no room: parley room create NAME makes one")
}

// role is what this person is in a room, in one word.
func role(r *client.RoomInfo) string {
	switch {
	case r.State == client.RoomReading:
		return "reader"
	case r.Admin:
		return "administrator"
	}
	return "member"
}

// state writes where a room stands.
func state(r *client.RoomInfo) string {
	text := r.State.String()
	switch {
	case r.State == client.RoomReading && r.Why != "":
		text = "reader, " + warn("not served")
	case r.State == client.RoomReading:
		text = "reader"
	case r.State == client.RoomLive:
		text = good(text)
	}
	if n := sealed(r); n > 0 {
		text += ", " + warn(count(n, "message")+" can not be read")
	}
	if r.Leaving && r.State == client.RoomLive {
		text += ", " + warn("leaving")
	}
	if r.Parked {
		text += ", " + bad("can not be followed")
	}
	if r.Outbox > 0 {
		text += ", " + warn(count(r.Outbox, "message")+" waiting")
	}
	if len(r.Alarms) > 0 {
		text += ", " + bad("ALARM")
	}
	return text
}

func roomInfoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "info ROOM",
		Short: "Describe a room: its key, its people, what waits, what is wrong",
		Long: `Info describes a room as this device last saw it; it uses no network. People whose
devices show the same code have the same key (RFC 9420, Section 8.7).

With --json it prints a room. ` + roomHelp,
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.offline(func(s *session) error {
				room, err := s.room(args[0])
				if err != nil {
					return err
				}
				return s.info(room)
			})
		},
	}
}

// info prints a room.
func (s *session) info(room groups.RoomID) error {
	r, err := s.Room(room)
	if err != nil {
		return err
	}
	out, err := s.describe(&r)
	if err != nil {
		return err
	}
	if s.app.json {
		return s.app.printJSON(out)
	}
	you := role(&r)
	if r.State == client.RoomReading {
		you = "reader: this device reads without being a member, and can not send"
	}
	maker := ""
	if r.KeyMaker != "" {
		maker = " by " + s.names.Device(r.KeyMaker)
	}
	if r.State == client.RoomClosed { // what was true before says nothing now
		return s.app.facts("room", bold(s.names.Room(room)), "uri", string(room), "state", state(&r),
			"why", tui.PrintableLine(s.names.Plain(r.Why)), "entries", number(r.Seq), "unread", fmt.Sprint(r.Unread))
	}
	err = s.app.facts(
		"room", bold(s.names.Room(room)), "uri", string(room), "state", state(&r), "why", tui.PrintableLine(s.names.Plain(r.Why)),
		"you are", you, "people", fmt.Sprintf("%d, with %s", r.Users, count(r.Devices, "device")),
		"entries", number(r.Seq), "suite", r.Suite, "epoch", number(r.Epoch),
		"key", fmt.Sprintf("made %s ago%s, %d messages", since(r.KeyMade), maker, r.KeyMessages),
		"key ends", keyEnd(&r), "code", code(r.Authenticator), "authenticator", out.Authenticator,
		"unread", fmt.Sprint(r.Unread))
	if err != nil {
		return err
	}
	if err := errors.Join(s.tellReaders(&r), s.tellSealed(&r)); err != nil {
		return err
	}
	for _, w := range out.Waiting {
		if err := s.app.print("%s for %s: %s\n", warn("waiting"), s.names.User(w.User), tui.PrintableLine(s.names.Plain(w.Why))); err != nil {
			return err
		}
	}
	for _, a := range out.Alarms {
		if err := s.app.print("%s %s at entry %d: %s\n", bad("ALARM"), a.Kind, a.Seq, tui.PrintableLine(s.names.Plain(a.Text))); err != nil {
			return err
		}
	}
	return nil
}

// code is what people compare; a reader has none, as it has no part in the key.
func code(authenticator []byte) string {
	if len(authenticator) == 0 {
		return ""
	}
	return bold(tui.Code(authenticator))
}

// keyEnd says when the policy ends the current key.
func keyEnd(r *client.RoomInfo) string {
	var ends []string
	if r.Policy.MaxKeyAge > 0 {
		ends = append(ends, clock(r.KeyMade.Add(r.Policy.MaxKeyAge)))
	}
	if r.Policy.MaxKeyMessages > 0 {
		ends = append(ends, fmt.Sprintf("after %d messages", r.Policy.MaxKeyMessages))
	}
	if len(ends) == 0 {
		return "never by itself"
	}
	return strings.Join(ends, " or ")
}

// A memberJSON is a device of a room as --json prints it.
type memberJSON struct {
	Device groups.DeviceID `json:"device"`
	User   groups.UserID   `json:"user"`
	Leaf   uint32          `json:"leaf"`
	Admin  bool            `json:"admin"`
	Own    bool            `json:"own"`
	Bot    bool            `json:"bot"`
	Until  time.Time       `json:"until,omitzero"`
}

func roomMembersCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "members ROOM",
		Short: "List the devices of a room",
		Long: `Members lists the devices of a room as this device last saw it; it uses no network.

With --json it prints an array of {"device","user","leaf","admin","own","bot","until"}.`,
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.offline(func(s *session) error { return s.listMembers(args[0]) })
		},
	}
}

func (s *session) listMembers(name string) error {
	room, err := s.room(name)
	if err != nil {
		return err
	}
	members, err := s.Members(room)
	if err != nil {
		return err
	}
	list := make([]memberJSON, len(members))
	t := newTable("DEVICE", "LEAF", "CERTIFICATE", "ROLE")
	for i, m := range members {
		list[i] = memberJSON{m.Device, m.User, m.Leaf, m.Admin, m.Own, m.Bot, m.Until}
		until, role := "none (basic)", ""
		if !m.Until.IsZero() {
			until = "until " + day(m.Until)
		}
		if m.Admin {
			role = "administrator"
		}
		if m.Bot {
			role = strings.TrimSpace(role + " " + warn("bot"))
		}
		if m.Own {
			role = strings.TrimSpace(role + " (this device)")
		}
		t.add(bold(s.names.Device(m.Device)), fmt.Sprint(m.Leaf), until, role)
	}
	if s.app.json {
		return s.app.printJSON(list)
	}
	if err := t.print(s.app, "no devices are known in "+s.names.Room(room)); err != nil {
		return err
	}
	info, err := s.Room(room)
	if err != nil {
		return err
	}
	return s.tellReaders(&info)
}
