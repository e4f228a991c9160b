package tui

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"parley/client"
	"parley/groups"
)

// A Reader tells what a device knows, from its store.
type Reader interface {
	Rooms() ([]client.RoomInfo, error)
	Room(room groups.RoomID) (client.RoomInfo, error)
	History(room groups.RoomID, q client.HistoryQuery) ([]client.Message, error)
	Members(room groups.RoomID) ([]client.Member, error)
	Wishes(room groups.RoomID) ([]client.Wish, error)
}

// A Writer puts things into a device's store that leave when it is online.
type Writer interface {
	Send(room groups.RoomID, contents ...client.Content) ([]client.Message, error)
	MarkRead(room groups.RoomID, seq groups.Seq) error
	Retry(room groups.RoomID, id client.MessageID) error
	Discard(room groups.RoomID, id client.MessageID) error
}

// A Host makes and changes rooms, for which it needs a gateway.
type Host interface {
	CreateRoom(ctx context.Context, spec client.RoomSpec) (client.RoomInfo, error)
	Add(ctx context.Context, room groups.RoomID, users ...groups.UserID) ([]client.Wish, error)
	Remove(ctx context.Context, room groups.RoomID, users ...groups.UserID) error
	RemoveDevices(ctx context.Context, room groups.RoomID, devices ...groups.DeviceID) error
	Leave(ctx context.Context, room groups.RoomID) error
}

// A Person knows who this is, what names mean, and how the device is.
type Person interface {
	ID() groups.DeviceID
	FindRoom(name string) (groups.RoomID, error)
	FindUser(name string) (groups.UserID, error)
	Connection() client.Connection
}

// A Device is what the screen shows and works with. It is safe for many
// goroutines.
type Device interface {
	Person
	Reader
	Writer
	Host
}

// A Config is what a screen is made of.
type Config struct {
	// Device must be given.
	Device Device
	// Events must be given: what happens to the device from before the screen
	// is made. When it is closed, the screen stays as it is.
	Events <-chan client.Event
	// Room is shown first; empty means one with news, else the first.
	Room groups.RoomID
	// Attach queues a file of this machine; nil means that there are no files.
	Attach func(room groups.RoomID, path, caption string) error
	// Save saves the file of a message under a path, or in the current folder
	// if that is empty, and returns where; nil means that there are no files.
	Save func(ctx context.Context, m *client.Message, path string) (string, error)
	// Down waits until the device has given up its gateway, and says why; nil
	// means that it never does.
	Down func(ctx context.Context) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Zone is where the person is; nil means time.Local.
	Zone *time.Location
}

// complete fills in what zero values mean.
func (c Config) complete() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Zone == nil {
		c.Zone = time.Local
	}
	none := errors.New("this screen has no files")
	if c.Attach == nil {
		c.Attach = func(groups.RoomID, string, string) error { return none }
	}
	if c.Save == nil {
		c.Save = func(context.Context, *client.Message, string) (string, error) { return "", none }
	}
	return c
}

// Run shows the screen on the terminal until the person leaves it or ctx ends.
func Run(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, err := tea.NewProgram(New(ctx, cfg), tea.WithContext(ctx)).Run()
	return err
}
