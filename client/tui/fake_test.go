package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/client"
	"parley/groups"
)

// A fake is a device that notes what it was asked to do.
type fake struct {
	rooms   []client.RoomInfo
	said    map[groups.RoomID][]client.Message
	members []client.Member
	wishes  []client.Wish
	state   client.Connection
	calls   []string
	refuse  error // of everything that changes something
	serial  byte
}

const (
	laptop = groups.DeviceID("mimi://alpha.example/d/alice/laptop")
	phone  = groups.DeviceID("mimi://alpha.example/d/alice/phone")
	bob    = groups.DeviceID("mimi://beta.example/d/bob/desk")
	carol  = groups.DeviceID("mimi://alpha.example/d/carol/pad")
	ops    = groups.RoomID("mimi://alpha.example/r/ops")
	lab    = groups.RoomID("mimi://beta.example/r/lab")
)

func newFake() *fake {
	return &fake{said: make(map[groups.RoomID][]client.Message), state: client.Online}
}

// room adds a live room.
func (d *fake) room(id groups.RoomID) *client.RoomInfo {
	d.rooms = append(d.rooms, client.RoomInfo{
		Room: id, State: client.RoomLive, Epoch: 12, Suite: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
		Policy: groups.DefaultPolicy(laptop.User()), Users: 2, Devices: 3, KeyMade: noon.Add(-3 * time.Hour),
		Authenticator: []byte{0x4f, 0x2a, 0x91, 0xc0, 0x77, 0xde, 1, 2},
	})
	return &d.rooms[len(d.rooms)-1]
}

// id makes an id that can be told by its first digits.
func (d *fake) id() (id client.MessageID) {
	d.serial++
	id[0], id[1], id[2], id[3] = d.serial, 0xaa, 0xbb, d.serial
	return id
}

// say adds a message to a room, minutes before noon.
func (d *fake) say(room groups.RoomID, by groups.DeviceID, minutes int, c client.Content) *client.Message {
	m := client.Message{Room: room, Device: by, ID: d.id(), Time: noon.Add(-time.Duration(minutes) * time.Minute),
		Content: c, State: client.Received, Seq: groups.Seq(len(d.said[room]) + 1), Epoch: 12}
	if by == laptop {
		m.State = client.Accepted
	}
	d.said[room] = append(d.said[room], m)
	return &d.said[room][len(d.said[room])-1]
}

// did notes a call.
func (d *fake) did(format string, args ...any) error {
	d.calls = append(d.calls, fmt.Sprintf(format, args...))
	return d.refuse
}

func (d *fake) ID() groups.DeviceID           { return laptop }
func (d *fake) Connection() client.Connection { return d.state }

func (d *fake) FindRoom(name string) (groups.RoomID, error) {
	for _, r := range d.rooms {
		if r.Room.Name() == name {
			return r.Room, nil
		}
	}
	return "", groups.Errorf(groups.NotFound, "this device is in no room called %q", name)
}

func (d *fake) FindUser(name string) (groups.UserID, error) {
	local, site, elsewhere := strings.Cut(name, "@")
	if !elsewhere {
		site = "alpha.example"
	}
	return groups.NewUserID(groups.SiteID(site), local)
}

func (d *fake) Rooms() ([]client.RoomInfo, error) { return slices.Clone(d.rooms), nil }

func (d *fake) Room(room groups.RoomID) (client.RoomInfo, error) {
	for _, r := range d.rooms {
		if r.Room == room {
			return r, nil
		}
	}
	return client.RoomInfo{}, errors.New("no such room")
}

func (d *fake) History(room groups.RoomID, q client.HistoryQuery) ([]client.Message, error) {
	all := d.said[room]
	return slices.Clone(all[max(len(all)-q.Limit, 0):]), nil
}

func (d *fake) Members(groups.RoomID) ([]client.Member, error) { return d.members, nil }
func (d *fake) Wishes(groups.RoomID) ([]client.Wish, error)    { return d.wishes, nil }

func (d *fake) Send(room groups.RoomID, contents ...client.Content) ([]client.Message, error) {
	for _, c := range contents {
		if err := d.did("send %s %s %.4s %q", room.Name(), c.Kind, c.Target, c.Text); err != nil {
			return nil, err
		}
		m := d.say(room, laptop, 0, c)
		m.State, m.Seq = client.Queued, 0
	}
	return nil, nil
}

func (d *fake) MarkRead(room groups.RoomID, seq groups.Seq) error {
	for i := range d.rooms {
		if d.rooms[i].Room == room {
			d.rooms[i].Read, d.rooms[i].Unread = seq, 0
		}
	}
	return nil
}

func (d *fake) Retry(_ groups.RoomID, id client.MessageID) error   { return d.did("retry %.4s", id) }
func (d *fake) Discard(_ groups.RoomID, id client.MessageID) error { return d.did("discard %.4s", id) }

func (d *fake) CreateRoom(_ context.Context, spec client.RoomSpec) (client.RoomInfo, error) {
	err := d.did("create %s", spec.Room)
	if err == nil {
		return *d.room(spec.Room), nil
	}
	return client.RoomInfo{}, err
}

func (d *fake) Add(_ context.Context, room groups.RoomID, users ...groups.UserID) ([]client.Wish, error) {
	return d.wishes, d.did("add %s %v", room.Name(), users)
}

func (d *fake) Remove(_ context.Context, room groups.RoomID, users ...groups.UserID) error {
	return d.did("remove %s %v", room.Name(), users)
}

func (d *fake) RemoveDevices(_ context.Context, room groups.RoomID, devices ...groups.DeviceID) error {
	return d.did("remove devices %s %v", room.Name(), devices)
}

func (d *fake) Leave(_ context.Context, room groups.RoomID) error {
	return d.did("leave %s", room.Name())
}
