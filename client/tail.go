package client

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

const (
	// reopenPause is the wait before a stream that the gateway has ended is
	// opened again.
	reopenPause = 50 * time.Millisecond
	// maxGaps is how often entries of a room may be missing in one session
	// before it is parked.
	maxGaps = 3
)

// tail reads all rooms from their cursors on, as long as the session lasts.
func (d *Device) tail(ctx context.Context, s *session) error {
	if err := d.waitingWelcomes(ctx, s); err != nil {
		return err
	}
	for {
		if err := d.tailOnce(ctx, s); err != nil {
			return err
		}
		if err := pause(ctx, reopenPause); err != nil {
			return err
		}
	}
}

// errReopen ends a stream that is to be opened again.
var errReopen = errors.New("open the stream again")

// tailOnce reads one stream to its end. It returns nil if another one is to be
// opened: the gateway has ended it, or cursors have changed.
func (d *Device) tailOnce(ctx context.Context, s *session) error {
	req := &devicev1.TailRequest{Cursors: d.cursors(), AllRooms: true, Follow: true}
	return d.stream(ctx, s, streaming{req: req, wake: s.wakeTail, take: d.receive})
}

// A streaming is a stream of entries and what is done with it.
type streaming struct {
	req  *devicev1.TailRequest
	wake chan struct{} // ends it, so that it is opened again
	take func(context.Context, *session, *devicev1.TailResponse) error
}

// stream reads one stream to its end, which is no error if another one is to be
// opened.
func (d *Device) stream(ctx context.Context, s *session, t streaming) error {
	g, ctx := errgroup.WithContext(ctx)
	stream, err := s.link.Tail(ctx, t.req)
	if err != nil {
		return err
	}
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.wake:
			return errReopen
		}
	})
	g.Go(func() error {
		<-ctx.Done() // why it ends is known by now: what closing does to its reader is not the reason
		return errors.Join(ctx.Err(), stream.Close())
	})
	g.Go(func() error {
		for {
			resp, err := stream.Receive()
			if errors.Is(err, io.EOF) {
				return errReopen
			}
			if err != nil {
				return err
			}
			if err := t.take(ctx, s, resp); err != nil {
				return err
			}
		}
	})
	if err := g.Wait(); !errors.Is(err, errReopen) {
		return err
	}
	return nil
}

// cursors lists where each live room stands.
func (d *Device) cursors() []*devicev1.Cursor {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []*devicev1.Cursor
	for _, r := range d.rooms {
		if r.followed() {
			list = append(list, &devicev1.Cursor{Room: string(r.Room), Seq: uint64(r.Seq)})
		}
	}
	return list
}

// followed says whether the log of a room is read.
func (r *room) followed() bool {
	return r.State == RoomLive && !r.parked || r.State == RoomCreating && r.ordered
}

// receive takes one answer of the stream.
func (d *Device) receive(ctx context.Context, s *session, resp *devicev1.TailResponse) error {
	for _, w := range resp.Welcomes {
		if err := d.join(ctx, s, w); err != nil {
			return err
		}
	}
	for _, page := range resp.Rooms {
		if err := d.receivePage(ctx, s, page); err != nil {
			return err
		}
	}
	for _, c := range resp.Closed {
		if err := d.receiveClosed(s, c); err != nil {
			return err
		}
	}
	if resp.CaughtUp {
		d.caughtUp(s)
	}
	poke(s.wakeAck)
	poke(s.wakeSend) // a room may have waited for an entry
	return d.waitedEnough(ctx, s)
}

// caughtUp notes that everything that was there has been read.
func (d *Device) caughtUp(s *session) {
	d.mu.Lock()
	first := !s.caughtUp
	s.caughtUp = true
	s.nothingMore()
	d.mu.Unlock()
	if first {
		d.connected(Online, nil)
		poke(s.wakeSend)
		poke(s.wakeWork)
	}
}

// receivePage verifies and applies consecutive entries of a room in one
// transaction.
func (d *Device) receivePage(ctx context.Context, s *session, page *devicev1.RoomEntries) error {
	id, err := groups.ParseRoomID(page.Room)
	if err != nil {
		return err
	}
	if !d.follows(id) {
		return nil
	}
	entries := make([]*groups.Entry, len(page.Entries))
	for i, b := range page.Entries {
		if entries[i], err = groups.ParseEntry(b); err != nil {
			return d.park(&Alarm{Room: id, Kind: AlarmChain, Text: err.Error()})
		}
	}
	head, err := d.pageHead(ctx, s, id, page.Head)
	if err != nil {
		return d.park(&Alarm{Room: id, Kind: AlarmHead, Text: err.Error()})
	}
	err = d.applyPage(id, entries, head, true)
	if errors.Is(err, errStranger) {
		d.stranger.Store(true)
		d.try(ctx, "trust", d.refreshTrust(ctx, s))
		err = d.applyPage(id, entries, head, false)
	}
	if alarm, ok := errors.AsType[*Alarm](err); ok {
		return d.park(alarm)
	}
	if errors.Is(err, errGap) {
		return d.gap(s, id)
	}
	return err
}

// applyPage applies entries in one transaction.
func (d *Device) applyPage(id groups.RoomID, entries []*groups.Entry, head *groups.SignedHead, ask bool) error {
	return d.change(id, func(tx Tx, r *room) error {
		for _, e := range entries {
			if r.State == RoomClosed {
				return nil
			}
			a := &applier{d: d, tx: tx, r: r, e: e, ask: ask}
			if err := a.apply(); err != nil {
				return err
			}
			if err := r.reachedHead(); err != nil {
				return err
			}
		}
		return r.expectHead(tx, head)
	})
}

// follows says whether entries of a room are wanted.
func (d *Device) follows(id groups.RoomID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[id]
	return r != nil && r.State != RoomClosed && r.State != RoomReading && !r.parked
}

// gap opens the tail again at the cursors; a room that goes on lacking entries
// is parked.
func (d *Device) gap(s *session, id groups.RoomID) error {
	if d.leavesOut(s, id) {
		return d.park(&Alarm{Room: id, Kind: AlarmChain, Text: "the gateway leaves out entries"})
	}
	poke(s.wakeTail)
	return nil
}

// leavesOut counts a gap in what the gateway gives of a room, and says whether
// there were too many in this session.
func (d *Device) leavesOut(s *session, id groups.RoomID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.gaps[id]++
	return s.gaps[id] > maxGaps
}

// park stops following a room for this session, and tells why. The other rooms
// go on (I13).
func (d *Device) park(alarm *Alarm) error {
	d.cfg.Log.Warn("room parked", "room", alarm.Room, "alarm", alarm.Text)
	return d.change(alarm.Room, func(_ Tx, r *room) error {
		r.alarm(alarm)
		r.parked = true
		return nil
	})
}

// receiveClosed notes that the gateway no longer serves a room. That is its
// word and no proof: a room closes, and its keys go, when the log holds the
// commit that removed this device. Until then the room is not followed, and
// asked for again from time to time.
func (d *Device) receiveClosed(s *session, c *devicev1.RoomClosed) error {
	id, err := groups.ParseRoomID(c.Room)
	if err != nil {
		return err
	}
	if !d.follows(id) {
		return nil
	}
	d.cfg.Log.Info("room not served", "room", id, "seq", c.Seq, "why", c.Why)
	d.mu.Lock()
	s.shut[id]++
	s.over[id] = true
	d.mu.Unlock()
	return nil
}

// maxShut is how often a room that the gateway does not serve is asked for in
// one session.
const maxShut = 20

// askAgain opens the tails again if a room is not served.
func (d *Device) askAgain(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, often := range s.shut {
		if r := d.rooms[id]; r != nil && r.State == RoomLive && !r.parked && often <= maxShut && often != s.asked[id] {
			s.asked[id] = often
			poke(s.wakeTail)
		}
	}
	for _, since := range s.closed {
		if !d.cfg.Now().Before(since.Add(reopenShut)) {
			poke(s.wakeRead)
		}
	}
}
