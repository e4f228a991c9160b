package client

import (
	"fmt"
	"sync"
	"sync/atomic"

	"parley/coi"
	"parley/groups"
)

// A Device is one device of a person. It is safe for many goroutines.
type Device struct {
	cfg  Config
	id   groups.DeviceID
	self atomic.Pointer[self] // replaced as a whole when trust is fetched again
	feed feed
	desk *desk // wraps room keys to communities
	// readings has the keys of rooms that this device reads without being a member.
	readings *readingDesk
	// stranger says that somebody of an unknown site was met.
	stranger atomic.Bool
	// sending is the session whose stream of submissions is open, to be poked.
	sending atomic.Pointer[session]

	mu sync.Mutex // guards all below; never held while the network is waited for
	// rooms mirrors the store: a room is here when it was loaded, and is
	// dropped when a transaction about it has failed.
	rooms map[groups.RoomID]*room
	conn  Connection
	// session is the link in use, nil while offline.
	session *session
	// moved is closed and replaced whenever a room's cursor, the outbox or the
	// connection has moved: waiters look again.
	moved  chan struct{}
	closed bool
}

// Open opens the device of cfg.Store, offline. ErrNoIdentity says that there
// is none. The store stays the caller's to close, after Close.
func Open(cfg Config) (*Device, error) {
	cfg = cfg.complete()
	row, err := loadIdentity(cfg.Store)
	if err != nil {
		return nil, err
	}
	me, err := newSelf(row)
	if err != nil {
		return nil, err
	}
	d := &Device{cfg: cfg, id: me.Device, rooms: make(map[groups.RoomID]*room), moved: make(chan struct{}), readings: newReadingDesk()}
	d.self.Store(me)
	if cfg.KeyServices == nil {
		d.cfg.KeyServices = dialKeyServices(d)
	}
	if d.desk, err = newDesk(&d.cfg, func() *coi.Trust { return d.self.Load().trust }); err != nil {
		return nil, err
	}
	if err := d.loadRooms(); err != nil {
		return nil, err
	}
	return d, nil
}

// Close ends all subscriptions. Run must have returned.
func (d *Device) Close() error {
	d.mu.Lock()
	d.closed = true
	d.signal()
	d.mu.Unlock()
	d.feed.close()
	return nil
}

// ID returns the device's name.
func (d *Device) ID() groups.DeviceID { return d.id }

// User returns whose device it is.
func (d *Device) User() groups.UserID { return d.id.User() }

// Identity returns who the device is and whom it trusts.
func (d *Device) Identity() Identity { return d.self.Load().Identity }

// setIdentity stores an identity with new trust or gateways, and uses it.
func (d *Device) setIdentity(id Identity) error {
	row, err := loadIdentity(d.cfg.Store)
	if err != nil {
		return err
	}
	row.Trust, row.Gateways, row.Refresh = id.Trust, id.Gateways, id.Refresh
	me, err := newSelf(row)
	if err != nil {
		return err
	}
	err = d.cfg.Store.Update(func(tx Tx) error { return putIdentity(tx, row) })
	if err != nil {
		return fmt.Errorf("store identity: %w", err)
	}
	d.self.Store(me)
	return nil
}

// Subscribe returns a queue of n events about what happens from now on.
func (d *Device) Subscribe(n int) *Subscription { return d.feed.subscribe(n) }

// Connection returns whether the device is online.
func (d *Device) Connection() Connection {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn
}

// signal wakes all waiters. The caller holds d.mu.
func (d *Device) signal() {
	close(d.moved)
	d.moved = make(chan struct{})
}
