package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"parley/groups"
)

// healthy is how long a session must have lasted for its end to be an
// accident: then the next attempt is made at once.
const healthy = 10 * time.Second

// ErrRunning says that a device is online already.
var ErrRunning = errors.New("the device is running already")

// Run takes the device online and keeps it there until ctx ends, connecting
// again after every failure with growing patience. It returns nil when ctx has
// ended, and an error if the gateway will not have this device at all.
func (d *Device) Run(ctx context.Context) error {
	if err := d.starts(); err != nil {
		return err
	}
	defer d.connected(Offline, nil)
	wait := backoff.ExponentialBackOff{
		InitialInterval: d.cfg.MinBackoff, MaxInterval: d.cfg.MaxBackoff, Multiplier: 2, RandomizationFactor: 0.5,
	}
	for {
		start := d.cfg.Now()
		err := d.runSession(ctx)
		if ctx.Err() != nil {
			return nil
		}
		d.connected(Connecting, err)
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return refused.err
		}
		d.cfg.Log.Info("connection lost", "device", d.id, "error", err)
		if d.cfg.Now().Sub(start) > healthy {
			wait.Reset()
		}
		if pause(ctx, wait.NextBackOff()) != nil {
			return nil
		}
	}
}

// A refusedError says that the gateway will not have this device.
type refusedError struct{ err error }

// Error returns what the gateway said.
func (e *refusedError) Error() string { return e.err.Error() }

// starts marks the device as running.
func (d *Device) starts() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != Offline || d.closed {
		return ErrRunning
	}
	d.conn = Connecting
	return nil
}

// runSession logs in and works until something fails. All its goroutines have
// ended when it returns.
func (d *Device) runSession(ctx context.Context) error {
	connect := d.cfg.Connect
	if connect == nil {
		connect = Dial
	}
	link, err := connect(ctx, d.Identity())
	if err != nil {
		return err
	}
	defer link.Close()
	s := newSession(link)
	if err := d.login(ctx, s); err != nil {
		// Somebody else who answers may be gone at the next attempt.
		if _, stranger := errors.AsType[*untrustedError](err); !stranger && kindOf(err) == groups.Denied {
			return &refusedError{err}
		}
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	d.opens(s)
	defer d.ends(s)
	for _, work := range []func(context.Context, *session) error{
		d.renew, d.tail, d.send, d.ack, d.upkeep, d.warden, d.announcer,
		d.follow, d.opener,
	} {
		g.Go(func() error { return work(ctx, s) })
	}
	g.Go(func() error {
		<-ctx.Done()
		return errors.Join(ctx.Err(), link.Close()) // ends what waits for the gateway
	})
	return g.Wait()
}

// opens makes s the device's session. What was on its way in an earlier one
// has to be sent again.
func (d *Device) opens(s *session) {
	d.connected(Syncing, nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session = s
	for _, r := range d.rooms {
		r.grounded()
	}
	d.signal()
}

// ends takes the session back.
func (d *Device) ends(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == s {
		d.session = nil
	}
	d.signal()
}

// connected notes and tells the state of the connection.
func (d *Device) connected(c Connection, err error) {
	d.mu.Lock()
	changed := d.conn != c || err != nil
	d.conn = c
	d.signal()
	d.mu.Unlock()
	if changed {
		d.feed.publish(Event{Kind: EventConnection, Connection: c, Err: err})
	}
}

// wait waits until done says so. Done is called under d.mu.
func (d *Device) wait(ctx context.Context, done func() (bool, error)) error {
	for {
		d.mu.Lock()
		ok, err := done()
		moved, closed := d.moved, d.closed
		d.mu.Unlock()
		switch {
		case ok || err != nil:
			return err
		case closed:
			return errors.New("the device is closed")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// CaughtUp waits until everything that was at the gateway has been read. Run
// has to be running.
func (d *Device) CaughtUp(ctx context.Context) error {
	err := d.wait(ctx, func() (bool, error) { return d.session != nil && d.session.caughtUp && d.session.readUp, nil })
	if err != nil {
		return fmt.Errorf("wait for the gateway: %w", err)
	}
	return nil
}

// Flush waits until every message of the outbox has its receipt, or has
// failed. If those that are left wait for a person, because their room's key has
// ended (KeyStale) or is wrapped to a certificate that was revoked (CoIRevoked),
// it returns why; they stay in the outbox.
func (d *Device) Flush(ctx context.Context) error {
	return d.wait(ctx, func() (bool, error) {
		var stuck error
		for _, r := range d.rooms {
			switch {
			case r.State == RoomClosed || r.State == RoomReading || r.unsent() == 0:
			case r.hold.stuck == nil:
				return false, nil
			default:
				stuck = r.hold.stuck
			}
		}
		return true, stuck
	})
}

// Reach waits until a room's log has been read up to seq.
func (d *Device) Reach(ctx context.Context, id groups.RoomID, seq groups.Seq) error {
	err := d.wait(ctx, func() (bool, error) {
		r := d.rooms[id]
		switch {
		case r == nil:
			return false, notIn(id)
		case r.Seq >= seq:
			return true, nil
		case r.State == RoomClosed:
			return false, closedError(id, r.Why)
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait for entry %d of %s: %w", seq, id, err)
	}
	return nil
}
