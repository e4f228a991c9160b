package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

const (
	// reopenShut is how often a room that the gateway does not give is asked for.
	reopenShut = time.Minute
	// unsignedWait is how long entries may go without the hub's signature, or the
	// other way round, before it is said.
	unsignedWait = 10 * time.Second
)

// follow reads the logs of the rooms that this device reads without being a
// member, from where it has come, as long as the session lasts.
func (d *Device) follow(ctx context.Context, s *session) error {
	for {
		cursors := d.readingCursors(s)
		if len(cursors) == 0 {
			d.readUp(s)
			if err := sleepOr(ctx, s.wakeRead, reopenShut); err != nil {
				return err
			}
			continue
		}
		req := &devicev1.TailRequest{Cursors: cursors, Follow: true, History: true}
		err := d.stream(ctx, s, streaming{req, s.wakeRead, d.receiveRead})
		if remote, refused := errors.AsType[*groups.RemoteError](err); refused && !remote.Kind.Temporary() {
			d.cfg.Log.Info("rooms that are read", "error", err)
			for _, c := range cursors {
				d.shutReading(s, groups.RoomID(c.Room), groups.Seq(c.Seq), remote.Text)
			}
			err = nil
		}
		if err != nil {
			return err
		}
		if err := pause(ctx, reopenPause); err != nil {
			return err
		}
	}
}

// readingCursors lists where each room stands that is read.
func (d *Device) readingCursors(s *session) (list []*devicev1.Cursor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Now()
	for id, r := range d.rooms {
		if r.State != RoomReading || r.parked || now.Before(s.closed[id].Add(reopenShut)) {
			continue
		}
		rd, err := d.peekReading(r)
		if err != nil {
			d.cfg.Log.Error("room can not be read", "room", id, "error", err)
			r.parked = true
			continue
		}
		delete(s.closed, id)
		list = append(list, &devicev1.Cursor{Room: string(id), Seq: uint64(rd.ledger.Head().Seq)})
	}
	return list
}

// peekReading returns where this device has come in a room. The caller holds
// d.mu.
func (d *Device) peekReading(r *room) (rd *reading, err error) {
	if r.reading != nil && !r.stale {
		return r.reading, nil
	}
	err = d.cfg.Store.View(func(tx Tx) error {
		if r.stale {
			if err := d.reload(tx, r); err != nil {
				return err
			}
		}
		rd, err = d.readingOf(tx, r)
		return err
	})
	return rd, err
}

// receiveRead takes one answer of the stream.
func (d *Device) receiveRead(ctx context.Context, s *session, resp *devicev1.TailResponse) error {
	for _, page := range resp.Rooms {
		if err := d.receiveReadPage(ctx, s, page); err != nil {
			return err
		}
	}
	for _, c := range resp.Closed {
		d.shutReading(s, groups.RoomID(c.Room), groups.Seq(c.Seq), c.Why)
	}
	if resp.CaughtUp {
		d.readUp(s)
	}
	poke(s.wakeOpen)
	return nil
}

// readUp notes that everything that was there of rooms that are read has been
// read.
func (d *Device) readUp(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.readUp = true
	d.signal()
}

// shutReading notes that the gateway does not give a room. That is its word and
// no proof: it is asked again.
func (d *Device) shutReading(s *session, id groups.RoomID, seq groups.Seq, why string) {
	d.mu.Lock()
	if r := d.rooms[id]; r == nil || r.State != RoomReading {
		d.mu.Unlock()
		return
	}
	s.closed[id] = d.cfg.Now()
	d.mu.Unlock()
	err := d.change(id, func(_ Tx, r *room) error {
		if why := clip(why); r.Why != why {
			r.Why, r.moved = why, true
			r.tell(Event{Kind: EventRoom})
		}
		return nil
	})
	if err != nil {
		d.cfg.Log.Error("room not served", "room", id, "error", err)
	}
	d.cfg.Log.Info("room not served", "room", id, "seq", seq, "why", why)
}

// receiveReadPage takes a page. What is wrong with it stops this room and no
// other (I13).
func (d *Device) receiveReadPage(ctx context.Context, s *session, page *devicev1.RoomEntries) error {
	id, err := groups.ParseRoomID(page.Room)
	if err != nil {
		return err
	}
	head, err := d.pageHead(ctx, s, id, page.Head)
	if err != nil {
		return d.doubt(&Alarm{Room: id, Kind: AlarmHead, Text: err.Error()})
	}
	err = d.readPage(id, page.Entries, head)
	if errors.Is(err, errStranger) {
		d.stranger.Store(true)
		d.try(ctx, "trust", d.refreshTrust(ctx, s))
		if err = d.readPage(id, page.Entries, head); errors.Is(err, errStranger) {
			err = &Alarm{Room: id, Kind: AlarmCommit, Text: err.Error()}
		}
	}
	if alarm, wrong := errors.AsType[*Alarm](err); wrong {
		return d.doubt(alarm)
	}
	if !errors.Is(err, errGap) {
		return err
	}
	if d.leavesOut(s, id) {
		return d.doubt(&Alarm{Room: id, Kind: AlarmChain, Text: "the gateway leaves out entries"})
	}
	poke(s.wakeRead)
	return nil
}

// doubt stops reading a room for this session, and tells why. If there is
// something that the hub has not signed, it may be the lie: the room is then
// read from its beginning next time, and held against what was shown of it.
func (d *Device) doubt(alarm *Alarm) error {
	d.cfg.Log.Warn("room can not be read", "room", alarm.Room, "alarm", alarm.Text)
	return d.change(alarm.Room, func(tx Tx, r *room) error {
		if r.State != RoomReading {
			return nil
		}
		rd, err := d.readingOf(tx, r)
		if err != nil {
			return err
		}
		r.alarm(alarm)
		r.parked, r.fault = true, alarm
		if rd.ledger.Head().Seq == r.Seq {
			return nil
		}
		return d.readAnew(tx, r)
	})
}

// readAnew forgets a room's log, but for what was shown of it.
func (d *Device) readAnew(tx Tx, r *room) error {
	var gone []groups.Seq
	err := scanPast(tx, r.Room, r.Seq, func(seq groups.Seq, _ groups.Epoch) bool {
		gone = append(gone, seq)
		return true
	})
	if err != nil {
		return err
	}
	for _, seq := range gone {
		if err := tx.Delete(TablePast, seqKey(r.Room, uint64(seq))); err != nil {
			return err
		}
	}
	for _, kind := range []byte{readCheckpoint, readEntry, readHeld} {
		if err := deleteAll(tx, TableReading, readingKey(r.Room, kind)); err != nil {
			return err
		}
	}
	r.reading, r.Heads, r.moved = nil, nil, true
	return nil
}

// opener opens what is read, as its keys can be had, as long as the session
// lasts. The first time it waits until all that was there has been read: so the
// keys of a long absence are asked for in bulk.
func (d *Device) opener(ctx context.Context, s *session) error {
	defer d.readings.erase()
	if err := d.wait(ctx, func() (bool, error) { return s.readUp, nil }); err != nil {
		return err
	}
	for {
		for _, id := range d.inState(RoomReading) {
			if err := d.openWaiting(ctx, s, id); err != nil && ctx.Err() == nil {
				d.cfg.Log.Info("open what was read", "room", id, "error", err)
			}
		}
		if err := sleepOr(ctx, s.wakeOpen, askAnew); err != nil {
			return err
		}
	}
}

func (d *Device) openWaiting(ctx context.Context, s *session, id groups.RoomID) error {
	p, err := d.newPast(s, id)
	if err != nil || !p.reader {
		return err
	}
	p.tell = func(PastProgress) {}
	held, err := d.readings.enter(ctx, id)
	if err != nil {
		return err
	}
	defer d.readings.leave()
	return p.openReading(ctx, held, false)
}

// fetchReading is FetchPast of a room that is read.
func (p *past) fetchReading(ctx context.Context) (*PastReport, error) {
	if err := p.readLog(ctx); err != nil {
		return nil, err
	}
	held, err := p.d.readings.enter(ctx, p.room)
	if err != nil {
		return nil, err
	}
	defer p.d.readings.leave()
	held.drop(noLease)
	err = p.openReading(ctx, held, true)
	p.report.Messages, p.report.Keys = held.messages, held.keys
	held.messages, held.keys = 0, 0
	p.progress.Stage = "done"
	p.tell(p.progress)
	return &p.report, err
}

// readLog waits until all that the gateway gives of a room was read, and the hub
// has signed all of it.
func (p *past) readLog(ctx context.Context) error {
	p.progress.Stage = "reading the log"
	var late <-chan time.Time
	for {
		done, whole, moved, err := p.logRead()
		if err != nil {
			return fmt.Errorf("read the log of %s: %w", p.room, err)
		}
		if done && whole == nil {
			return nil
		}
		if done && late == nil {
			timer := time.NewTimer(unsignedWait)
			defer timer.Stop()
			late = timer.C
		}
		p.tell(p.progress)
		select {
		case <-moved:
		case <-late:
			return fmt.Errorf("read the log of %s: %w", p.room, whole)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// logRead says whether the log was read; whole is what it then lacks.
func (p *past) logRead() (done bool, whole error, moved chan struct{}, err error) {
	d := p.d
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[p.room]
	switch {
	case r == nil || r.State != RoomReading:
		return false, nil, nil, notIn(p.room)
	case d.session != p.s:
		return false, nil, nil, offlineError("read " + string(p.room))
	case r.parked && r.fault != nil:
		return false, nil, nil, r.fault
	case !p.s.closed[p.room].IsZero():
		return false, nil, nil, groups.Errorf(groups.Denied, "the gateway gives nothing after entry %d: %s", r.Seq, r.Why)
	}
	rd, err := d.peekReading(r)
	if err != nil {
		return false, nil, nil, err
	}
	here := rd.ledger.Head().Seq
	p.progress.Entries, p.progress.Total = here, here
	var signed groups.Seq
	if len(r.Heads) > 0 {
		if h, err := groups.ParseSignedHead(r.Heads); err == nil {
			signed = h.Head.Seq
			p.progress.Total = max(here, signed)
		}
	}
	if here == 0 || r.Seq != here || signed > here {
		whole = groups.Errorf(groups.Unavailable, "the gateway gives %d entries, the hub has signed %d: try again", here, max(signed, r.Seq))
	}
	return p.s.readUp, whole, d.moved, nil
}
