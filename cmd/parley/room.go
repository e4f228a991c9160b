package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/client/tui"
	"parley/groups"
)

func roomCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "room",
		Aliases: []string{"rooms"},
		Short:   "Make, list and change rooms",
		Args:    cobra.ArbitraryArgs,
	}
	cmd.AddCommand(
		roomListCommand(a), roomInfoCommand(a), roomMembersCommand(a), roomLogCommand(a),
		roomCreateCommand(a), roomAddCommand(a), roomRemoveCommand(a), roomLeaveCommand(a), roomRekeyCommand(a), roomInspectCommand(a), roomExportCommand(a),
	)
	return cmd
}

func roomCreateCommand(a *app) *cobra.Command {
	var members []string
	var open bool
	var encryption policyFlags
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a room at your site, and add people",
		Long: `Create makes a room at your own site, of which you are the administrator, and adds
your other devices and the people named. People whose site can not be reached, or who
have no device with key packages yet, are added by this device when they have.

With --json it prints the room, as parley room info --json does.`,
		Example: "  parley room create ops --coi finance --coi legal@beta.example --history all\n  parley room create ops --member alice --member bob@beta.example\n  parley room create mimi://alpha.example/r/ops",
		Args:    arguments(1, 1, "a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error {
				room, err := s.newRoom(args[0])
				if err != nil {
					return err
				}
				users, err := s.users(members)
				if err != nil {
					return err
				}
				policy := groups.DefaultPolicy(s.User())
				policy.MembersMayAdd = open
				if err := encryption.apply(ctx, s, &policy); err != nil {
					return err
				}
				return s.create(ctx, client.RoomSpec{Room: room, Policy: &policy}, users)
			})
		},
	}
	cmd.Flags().StringArrayVar(&members, "member", nil, "add this person; may be repeated")
	cmd.Flags().BoolVar(&open, "members-may-add", false, "every member may add people, not the administrator alone")
	encryption.add(cmd)
	return cmd
}

func (s *session) create(ctx context.Context, spec client.RoomSpec, users []groups.UserID) error {
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	if _, err := s.CreateRoom(ctx, spec); err != nil {
		return err
	}
	waiting, err := s.Add(ctx, spec.Room, append([]groups.UserID{s.User()}, users...)...)
	if err != nil && !groups.KindOf(err).Temporary() {
		return err
	}
	if s.app.json {
		return s.info(spec.Room)
	}
	if err := s.app.print("made %s (%s)\n", bold(s.names.Room(spec.Room)), spec.Room); err != nil {
		return err
	}
	return s.added(users, waiting, nil)
}

// devicesIn counts the devices of people in a room.
func (s *session) devicesIn(room groups.RoomID) (map[groups.UserID]int, error) {
	members, err := s.Members(room)
	n := make(map[groups.UserID]int)
	for _, m := range members {
		n[m.User]++
	}
	return n, err
}

// added says who was added, who waits, and who is among those there already.
func (s *session) added(users []groups.UserID, waiting []client.Wish, there map[groups.UserID]bool) error {
	why := make(map[groups.UserID]string, len(waiting))
	for _, w := range waiting {
		why[w.User] = w.Why
	}
	for _, u := range users {
		text := good("added") + " " + s.names.User(u)
		if there[u] {
			text = "all devices of " + s.names.User(u) + " are in it already"
		}
		if reason, waits := why[u]; waits {
			text = warn("waiting") + " for " + s.names.User(u)
			if reason != "" {
				text += ": " + tui.PrintableLine(s.names.Plain(reason))
			}
		}
		if err := s.app.print("%s\n", text); err != nil {
			return err
		}
	}
	return nil
}

func roomAddCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "add ROOM USER...",
		Short: "Add people with all their devices",
		Long: `Add adds every device of a person that has key packages. Who can not be added now is
remembered, and added by this device when it is online and they can be.

With --json it prints {"room","added":[USER],"waiting":[{"user","since","why"}]}.`,
		Example:           "  parley room add ops bob@beta.example carol",
		Args:              arguments(2, -1, "a room and people"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error { return s.add(ctx, args) })
		},
	}
}

type wishJSON struct {
	User  groups.UserID `json:"user"`
	Since string        `json:"since"`
	Why   string        `json:"why,omitempty"`
}

type addedJSON struct {
	Room    groups.RoomID   `json:"room"`
	Added   []groups.UserID `json:"added"`
	Waiting []wishJSON      `json:"waiting"`
}

func (s *session) add(ctx context.Context, args []string) error {
	room, err := s.room(args[0])
	if err != nil {
		return err
	}
	users, err := s.users(args[1:])
	if err != nil {
		return err
	}
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	before, err := s.devicesIn(room)
	if err != nil {
		return err
	}
	waiting, err := s.Add(ctx, room, users...)
	if err != nil {
		return err
	}
	if !s.app.json {
		after, err := s.devicesIn(room)
		if err != nil {
			return err
		}
		there := make(map[groups.UserID]bool)
		for _, u := range users {
			there[u] = after[u] > 0 && after[u] == before[u]
		}
		return s.added(users, waiting, there)
	}
	out := addedJSON{room, []groups.UserID{}, wishes(waiting)}
	for _, u := range users {
		if !waits(waiting, u) {
			out.Added = append(out.Added, u)
		}
	}
	return s.app.printJSON(out)
}

func roomRemoveCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ROOM USER|DEVICE...",
		Short: "Remove people with all their devices, or single devices",
		Long: `Remove takes people or devices out of a room and makes a new key: they can not read
what is said from then on. A device that was removed is not added again by itself.

With --json it prints the room, as parley room info --json does.`,
		Example:           "  parley room remove ops bob@beta.example\n  parley room remove ops alice/phone",
		Args:              arguments(2, -1, "a room and people or devices"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error { return s.remove(ctx, args) })
		},
	}
}

func (s *session) remove(ctx context.Context, args []string) error {
	room, err := s.room(args[0])
	if err != nil {
		return err
	}
	var people []string
	var devices []groups.DeviceID
	for _, name := range args[1:] {
		if !isDevice(name) {
			people = append(people, name)
			continue
		}
		d, err := s.device(name)
		if err != nil {
			return err
		}
		devices = append(devices, d)
	}
	users, err := s.users(people)
	if err != nil {
		return err
	}
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	if err := s.areIn(room, users, devices); err != nil {
		return err
	}
	if len(users) > 0 {
		if err := s.Remove(ctx, room, users...); err != nil {
			return err
		}
	}
	if len(devices) > 0 {
		if err := s.RemoveDevices(ctx, room, devices...); err != nil {
			return err
		}
	}
	if s.app.json {
		return s.info(room)
	}
	for _, name := range args[1:] {
		if err := s.app.print("%s %s\n", good("removed"), name); err != nil {
			return err
		}
	}
	return nil
}

// areIn fails if somebody is not in a room.
func (s *session) areIn(room groups.RoomID, users []groups.UserID, devices []groups.DeviceID) error {
	members, err := s.Members(room)
	if err != nil {
		return err
	}
	has := func(is func(client.Member) bool) bool { return slices.ContainsFunc(members, is) }
	who := ""
	for _, u := range users {
		if !has(func(m client.Member) bool { return m.User == u }) {
			who = s.names.User(u)
		}
	}
	for _, d := range devices {
		if !has(func(m client.Member) bool { return m.Device == d }) {
			who = s.names.Device(d)
		}
	}
	if who != "" {
		name := s.names.Room(room)
		return groups.Errorf(groups.NotFound, "%s is not in %s: parley room members %s lists who is; nobody was removed", who, name, name)
	}
	return nil
}

func roomLeaveCommand(a *app) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "leave ROOM",
		Short: "Ask the other members to remove this device",
		Long: `Leave asks to be removed from a room (RFC 9420 lets nobody commit their own removal):
the next member that is online does it. The history stays in this home. A room that this
device reads without being a member it stops reading, at once.

With --json it prints the room, as parley room info --json does.`,
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error { return s.leave(ctx, args[0], wait) })
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until somebody has removed this device")
	return cmd
}

func (s *session) leave(ctx context.Context, name string, wait bool) error {
	room, err := s.room(name)
	if err != nil {
		return err
	}
	if before, err := s.Room(room); err != nil {
		return err
	} else if before.State == client.RoomReading {
		return errors.Join(s.Detach(room), s.left(room))
	}
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	if err := s.Leave(ctx, room); err != nil {
		return err
	}
	if wait {
		if err := s.untilClosed(ctx, room); err != nil {
			return err
		}
	}
	return s.left(room)
}

// left says how far this device has left a room.
func (s *session) left(room groups.RoomID) error {
	info, err := s.Room(room)
	switch {
	case err != nil:
		return err
	case s.app.json:
		return s.info(room)
	case info.State == client.RoomClosed:
		return s.app.print("%s %s\n", good("left"), s.names.Room(room))
	}
	return s.app.print("%s to leave %s: the next member that is online removes this device\n", warn("asked"), s.names.Room(room))
}

// untilClosed waits until this device is no longer in a room.
func (s *session) untilClosed(ctx context.Context, room groups.RoomID) error {
	sub := s.Subscribe(16)
	defer sub.Close()
	for {
		info, err := s.Room(room)
		if err != nil || info.State == client.RoomClosed {
			return err
		}
		select {
		case <-sub.C:
		case <-ctx.Done():
			return fmt.Errorf("nobody has removed this device from %s yet: it leaves when somebody does", s.names.Room(room))
		}
	}
}

func roomRekeyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "rekey ROOM",
		Short:             "Make a new key for a room, as parley keys new does",
		Args:              arguments(1, 1, "a room"),
		ValidArgsFunction: completeRooms(a, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.online(cmd.Context(), func(ctx context.Context, s *session) error {
				return s.newKey(ctx, args[0], groups.KeyRotatedByUser, false)
			})
		},
	}
}
