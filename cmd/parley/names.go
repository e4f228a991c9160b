package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"parley/client"
	"parley/groups"
)

// room finds a room by what a person calls it, and says what is near if there
// is none.
func (s *session) room(name string) (groups.RoomID, error) {
	id, err := s.FindRoom(name)
	if groups.KindOf(err) == groups.Conflict {
		return "", err
	}
	rooms, bad := s.Rooms()
	if bad != nil {
		return "", bad
	}
	if err == nil {
		if slices.ContainsFunc(rooms, func(r client.RoomInfo) bool { return r.Room == id }) {
			return id, nil
		}
		err = groups.Errorf(groups.NotFound, "this device is not in %s", id)
	}
	if len(rooms) == 0 {
		return "", advise(err, "this device is in no room yet: make one with parley room create, or ask to be added and run parley sync")
	}
	if near := s.nearest(name, rooms); near != "" {
		return "", groups.Errorf(groups.NotFound, "there is no room %q here, did you mean %s?", name, near)
	}
	return "", advise(err, "parley room ls lists the rooms")
}

// nearest returns the room whose name is nearest to what was typed, "" if none
// is near.
func (s *session) nearest(name string, rooms []client.RoomInfo) string {
	best, at := "", 1+len(name)/3
	for _, r := range rooms {
		short := s.names.Room(r.Room)
		for _, candidate := range []string{short, r.Room.Name()} {
			if d := distance(name, candidate); d <= at {
				best, at = short, d-1
			}
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or changed to make
// one name of the other (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// users finds people by what a person calls them.
func (s *session) users(names []string) ([]groups.UserID, error) {
	out := make([]groups.UserID, len(names))
	for i, name := range names {
		var err error
		if out[i], err = s.FindUser(name); err != nil {
			return nil, &usageError{err}
		}
	}
	return out, nil
}

// device reads alice/laptop, bob@beta.example/phone or a URI.
func (s *session) device(name string) (groups.DeviceID, error) {
	if strings.HasPrefix(name, "mimi://") {
		id, err := groups.ParseDeviceID(name)
		if err != nil {
			return "", &usageError{err}
		}
		return id, nil
	}
	person, device, ok := strings.Cut(name, "/")
	if !ok {
		return "", usagef("%q is not a device: write it like alice/laptop", name)
	}
	user, err := s.FindUser(person)
	if err != nil {
		return "", &usageError{err}
	}
	id, err := groups.NewDeviceID(user, device)
	if err != nil {
		return "", &usageError{err}
	}
	return id, nil
}

// isDevice says whether a name is one of a device, not of a person.
func isDevice(name string) bool {
	if uri, ok := strings.CutPrefix(name, "mimi://"); ok {
		return strings.Contains(uri, "/d/")
	}
	return strings.Contains(name, "/")
}

// newRoom names a room that is to be made: a URI, ops, or ops@ the own site.
func (s *session) newRoom(name string) (groups.RoomID, error) {
	if strings.HasPrefix(name, "mimi://") {
		id, err := groups.ParseRoomID(name)
		if err != nil {
			return "", &usageError{err}
		}
		return id, nil
	}
	local, site, elsewhere := strings.Cut(name, "@")
	if elsewhere && groups.SiteID(site) != s.ID().Site() {
		return "", usagef("a room is made at the own site: this device is of %s, not of %s", s.ID().Site(), site)
	}
	id, err := groups.NewRoomID(s.ID().Site(), local)
	if err != nil {
		return "", usagef("%q is not a room name: use a-z, 0-9, '-', '_' and '.', at most 64", name)
	}
	return id, nil
}

// message finds a message by the first digits of its id.
func (s *session) message(room groups.RoomID, prefix string) (client.Message, error) {
	m, err := s.FindMessage(room, prefix)
	if err != nil {
		return m, advise(err, "parley read "+s.names.Room(room)+" shows the ids")
	}
	return m, nil
}

// advise adds to an error what to do about it.
func advise(err error, advice string) error {
	return &groups.Error{Kind: groups.KindOf(err), Text: words(err) + "; " + advice, Err: err}
}

// words is an error without the kinds of those that are ours or a peer's: they are
// for programs, wherever they stand in it.
func words(err error) string {
	text := err.Error()
	if e, told := errors.AsType[*groups.RemoteError](err); told {
		text = strings.Replace(text, e.Error(), e.Peer+" says: "+e.Text, 1)
	}
	for e, ours := errors.AsType[*groups.Error](err); ours; e, ours = errors.AsType[*groups.Error](errors.Unwrap(e)) {
		text = strings.Replace(text, e.Error(), strings.TrimPrefix(e.Error(), e.Kind.String()+": "), 1)
	}
	return text
}

// completeRooms offers the rooms of the home to the shell, for the first
// argument or for all of them.
func completeRooms(a *app, most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveDefault
		}
		var names []string
		hasty := *a
		hasty.in, hasty.wait = strings.NewReader(""), -1 // a shell asks nobody and waits for nobody
		err := hasty.offline(func(s *session) error {
			rooms, err := s.Rooms()
			for _, r := range rooms {
				names = append(names, s.names.Room(r.Room))
			}
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
