package main

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"parley/client"
	"parley/client/tui"
)

// tellReaders says who reads a room without being a member, and whether this
// device does.
func (s *session) tellReaders(r *client.RoomInfo) error {
	for _, c := range r.Policy.Readers {
		if err := s.app.print("%s devices that may use %s read without being members\n", warn("readers:"), c); err != nil {
			return err
		}
	}
	if r.State != client.RoomReading {
		return nil
	}
	return s.app.print("%s reads this room without being a member\n", s.names.Device(s.ID()))
}

// sealed counts what can not be read of a room that is only read.
func sealed(r *client.RoomInfo) (n int) {
	for _, m := range r.Sealed {
		n += m
	}
	return n
}

// tellSealed says what can not be read of a room that is only read, and why not:
// the most frequent reason first.
func (s *session) tellSealed(r *client.RoomInfo) error {
	reasons := slices.SortedFunc(maps.Keys(r.Sealed), func(a, b string) int {
		return cmp.Or(r.Sealed[b]-r.Sealed[a], cmp.Compare(a, b))
	})
	for _, why := range reasons {
		if err := s.app.print("%s: %s\n", warn(count(r.Sealed[why], "message")+" can not be read"), tui.PrintableLine(why)); err != nil {
			return err
		}
	}
	return nil
}

// openReadings opens what has come of rooms that are only read. What stands in
// the way of one stops no other; it is said.
func (s *session) openReadings(ctx context.Context, rooms []client.RoomInfo) error {
	for i := range rooms {
		if rooms[i].State != client.RoomReading {
			continue
		}
		if _, err := s.FetchPast(ctx, rooms[i].Room, nil); err != nil {
			if err := s.app.say("%s %s\n", warn(s.names.Room(rooms[i].Room)+":"), tui.PrintableLine(s.names.Plain(words(err)))); err != nil {
				return err
			}
		}
	}
	return nil
}
