package client

import (
	"context"
	"errors"
	"io"
	"time"

	"parley/groups"
)

var errWire = errors.New("rooms are not wired yet")

type room struct{}
type session struct{}

func (d *Device) loadRooms() error { return nil }

// MaxFile is the largest file a message can carry, in bytes.
const MaxFile = 120 << 20

// Run takes the device online and keeps it there until ctx ends, connecting
// again after every failure with growing patience. It returns nil when ctx has
// ended, an error if the gateway will not have this device at all.
func (d *Device) Run(ctx context.Context) error { return errWire }

// CaughtUp waits until everything that was at the gateway has been read.
func (d *Device) CaughtUp(ctx context.Context) error { return errWire }

// Flush waits until every message of the outbox has its receipt or has failed.
func (d *Device) Flush(ctx context.Context) error { return errWire }

// Reach waits until room's log has been read up to seq.
func (d *Device) Reach(ctx context.Context, room groups.RoomID, seq groups.Seq) error { return errWire }

// A RoomSpec says what room to make.
type RoomSpec struct {
	Room   groups.RoomID
	Policy groups.Policy // zero means groups.DefaultPolicy of this person
}

// CreateRoom makes a room whose only member is this device; the person's other
// devices, and people, are added with Add. It needs a gateway.
func (d *Device) CreateRoom(ctx context.Context, spec RoomSpec) (RoomInfo, error) {
	return RoomInfo{}, errWire
}

// Add wishes people into a room and fulfils what can be fulfilled now: every
// device of theirs that has key packages. Who could not be added is in the
// answer, and is tried again by this device until it is done or Unwish. Its
// error is that of the whole attempt; the wishes stay.
func (d *Device) Add(ctx context.Context, room groups.RoomID, users ...groups.UserID) ([]Wish, error) {
	return nil, errWire
}

// Unwish gives up adding people.
func (d *Device) Unwish(room groups.RoomID, users ...groups.UserID) error { return errWire }

// Wishes lists who waits to be added.
func (d *Device) Wishes(room groups.RoomID) ([]Wish, error) { return nil, errWire }

// Remove removes people with all their devices.
func (d *Device) Remove(ctx context.Context, room groups.RoomID, users ...groups.UserID) error {
	return errWire
}

// RemoveDevices removes devices. They are not added again by themselves.
func (d *Device) RemoveDevices(ctx context.Context, room groups.RoomID, devices ...groups.DeviceID) error {
	return errWire
}

// Leave asks the other members to remove this device; the room closes here
// when one of them has.
func (d *Device) Leave(ctx context.Context, room groups.RoomID) error { return errWire }

// Rekey makes a new key for a room.
func (d *Device) Rekey(ctx context.Context, room groups.RoomID) error { return errWire }

// SetPolicy changes a room's policy.
func (d *Device) SetPolicy(ctx context.Context, room groups.RoomID, p groups.Policy) error {
	return errWire
}

// Rooms lists all rooms, those that are closed too, by name.
func (d *Device) Rooms() ([]RoomInfo, error) { return nil, errWire }

// Room describes one room.
func (d *Device) Room(room groups.RoomID) (RoomInfo, error) { return RoomInfo{}, errWire }

// FindRoom finds a room by its URI, or by what is enough of it: ops, or
// ops@alpha.example.
func (d *Device) FindRoom(name string) (groups.RoomID, error) { return "", errWire }

// FindUser makes a user's name of its URI, of bob@beta.example, or of bob, who
// is of this device's own site.
func (d *Device) FindUser(name string) (groups.UserID, error) { return "", errWire }

// Members lists the devices of a room.
func (d *Device) Members(room groups.RoomID) ([]Member, error) { return nil, errWire }

// Log lists entries of a room's log, at most limit, after an entry.
func (d *Device) Log(room groups.RoomID, after groups.Seq, limit int) ([]LogEntry, error) {
	return nil, errWire
}

// Send queues messages, in order, in one transaction. They leave when the
// device is online.
func (d *Device) Send(room groups.RoomID, contents ...Content) ([]Message, error) {
	return nil, errWire
}

// SendFile encrypts a file into the outbox and queues a message about it.
func (d *Device) SendFile(room groups.RoomID, f FileSource) (Message, error) {
	return Message{}, errWire
}

// A FileSource is a file to send.
type FileSource struct {
	Name    string // its base name
	Type    string // its media type, may be empty
	Caption string // may be empty
	Body    io.Reader
}

// Fetch downloads the file of a message into dst, going on after what dst
// holds already, and checks it.
func (d *Device) Fetch(ctx context.Context, room groups.RoomID, id MessageID, dst io.ReadWriteSeeker) error {
	return errWire
}

// History returns messages of a room, oldest first; those in the outbox are
// the last.
func (d *Device) History(room groups.RoomID, q HistoryQuery) ([]Message, error) { return nil, errWire }

// Message returns one message.
func (d *Device) Message(room groups.RoomID, id MessageID) (Message, error) {
	return Message{}, errWire
}

// FindMessage finds a message by the first digits of its id.
func (d *Device) FindMessage(room groups.RoomID, prefix string) (Message, error) {
	return Message{}, errWire
}

// MarkRead notes that a person has seen a room up to an entry.
func (d *Device) MarkRead(room groups.RoomID, seq groups.Seq) error { return errWire }

// Retry queues a failed message again.
func (d *Device) Retry(room groups.RoomID, id MessageID) error { return errWire }

// Discard drops a message that has not been accepted.
func (d *Device) Discard(room groups.RoomID, id MessageID) error { return errWire }

// A DeviceInfo is what the gateway knows of a device of this site.
type DeviceInfo struct {
	Device      groups.DeviceID
	KeyPackages int
	LastSeen    time.Time
}

// Devices lists the devices of a person of this site.
func (d *Device) Devices(ctx context.Context, user groups.UserID) ([]DeviceInfo, error) {
	return nil, errWire
}

// KeyPackages tells how many unused key packages the gateway keeps for this
// device, and how many private parts are in the store.
func (d *Device) KeyPackages(ctx context.Context) (published, private int, err error) {
	return 0, 0, errWire
}

// PublishKeyPackages makes n new key packages and publishes them.
func (d *Device) PublishKeyPackages(ctx context.Context, n int) error { return errWire }
