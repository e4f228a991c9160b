package gateway

import (
	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// collect gathers what waits, of all rooms, into one frame: coalescing is the
// only lever on the cost of fan-out. It stops at twice Limits.PageBytes, and
// where a room ends, so that what follows of the same room comes later.
func (t *tail) collect() (*frame, error) {
	f := newFrame()
	mailbox, signals := t.takeEvents()
	switch {
	case mailbox && len(t.closed) > 0:
		t.look() // Welcomes come after the end of what was before
	case mailbox && t.all:
		if err := t.readMailbox(f); err != nil {
			return nil, err
		}
	}
	for _, sig := range signals {
		if t.rooms[sig.room] != nil {
			f.rest.Signals = append(f.rest.Signals, &devicev1.SignalEvent{Room: string(sig.room), Device: string(sig.device), Payload: sig.payload})
		}
	}
	for f.size < 2*t.s.config.Limits.PageBytes && len(t.closed) == 0 {
		tr := t.nextDirty()
		if tr == nil {
			break
		}
		if t.rooms[tr.room] != tr {
			continue // closed meanwhile
		}
		t.readRoom(tr, f)
	}
	f.rest.Closed, t.closed = t.closed, nil
	if t.behind == 0 && !t.caughtUp {
		t.caughtUp = true
		f.rest.CaughtUp = true
	}
	return f, nil
}

// readRoom puts the next page of a room into the frame. A room that can not be
// read is closed, and disturbs no other.
func (t *tail) readRoom(tr *tailRoom, f *frame) {
	p, err := tr.ring.page(tr.cursor)
	if err != nil {
		t.s.config.Logger.Warn("tail", "room", tr.room, "device", t.device, "err", err)
		r, kind, _ := refusalOf(err)
		t.s.metrics.refused(kind)
		t.leaveRoom(tr, tr.cursor, r.Text)
		return
	}
	if p.members && t.past && !t.s.reads(t.device, tr.room) {
		t.leaveRoom(tr, tr.cursor, notReadable)
		return
	}
	if p.members && !t.past {
		m, ok := t.s.config.Rooms.Membership(tr.room, t.device)
		if !ok {
			t.leaveRoom(tr, tr.cursor, "not a member")
			return
		}
		if t.stayEnds(tr, m, p, f) {
			return
		}
	}
	f.add(p)
	tr.cursor = p.upto
	t.progress(tr, p)
	if p.upto > p.after && p.upto < p.head {
		t.mark(tr)
	}
}

// stayEnds sends the rest of the stay that a page holds the end of, and goes
// on with the next one, if there is one; the room is closed between. It returns
// false if the whole page is for the device.
func (t *tail) stayEnds(tr *tailRoom, m groups.Membership, p *page, f *frame) bool {
	stay, ok := m.After(tr.cursor)
	last, why := tr.cursor, "removed and added again"
	switch {
	case !ok:
		why = "removed"
	case before(stay.Joined) > tr.cursor: // where it was removed is not known any more
	case stay.Left != 0 && stay.Left <= p.upto:
		f.add(p.cut(tr.room, tr.cursor+1, stay.Left))
		last, why = stay.Left, "removed"
		stay, ok = m.After(stay.Left)
	default:
		tr.joined = stay.Joined
		return false
	}
	if !ok {
		t.leaveRoom(tr, last, why)
		return true
	}
	t.refuse(tr.room, last, why)
	tr.cursor, tr.joined = max(last, before(stay.Joined)), stay.Joined
	t.progress(tr, p)
	t.mark(tr)
	t.look() // the Welcome
	return true
}

// leaveRoom ends a room after the entry seq.
func (t *tail) leaveRoom(tr *tailRoom, seq groups.Seq, why string) {
	t.refuse(tr.room, seq, why)
	t.caught(tr)
	delete(t.rooms, tr.room)
	t.s.rings.leave(tr)
	if t.held[tr.room] {
		t.look() // there is nothing left that its Welcome has to wait for
	}
}

// progress notes whether a room has been sent as far as it reached when it was
// first read.
func (t *tail) progress(tr *tailRoom, p *page) {
	if !tr.read {
		tr.read, tr.target = true, p.head
	}
	if tr.cursor >= tr.target || p.entries == 0 {
		t.caught(tr)
	}
}

func (t *tail) caught(tr *tailRoom) {
	if tr.behind {
		tr.behind = false
		t.behind--
	}
}

// readMailbox sends the Welcomes that were not sent yet and adds the rooms
// they are for. Those that do not fit this frame wait for the next, those of a
// later stay than the one that is being sent for its end.
func (t *tail) readMailbox(f *frame) error {
	waiting, err := t.s.config.Mailbox.Welcomes(t.device)
	if err != nil {
		return err
	}
	sent := make(map[welcomeKey]bool, len(waiting))
	begins := make(map[groups.RoomID]groups.Seq) // of this frame
	t.held = make(map[groups.RoomID]bool)
	for i := range waiting {
		w := &waiting[i]
		k := welcomeKey{w.Room, w.Seq}
		if t.welcomed[k] {
			sent[k] = true
			continue
		}
		if tr := t.rooms[w.Room]; tr == nil && begins[w.Room] != 0 || tr != nil && w.Seq > tr.joined {
			t.held[w.Room] = true
			continue
		}
		if f.size >= 2*t.s.config.Limits.PageBytes {
			t.look()
			continue
		}
		f.rest.Welcomes = append(f.rest.Welcomes, welcomeMessage(w))
		f.size += len(w.Bytes)
		sent[k] = true
		if begins[w.Room] == 0 {
			begins[w.Room] = w.Seq
		}
	}
	t.welcomed = sent
	return t.addJoined(begins)
}

// welcomeMessage puts a Welcome into the words of the API.
func welcomeMessage(w *groups.Welcome) *devicev1.Welcome {
	m := &devicev1.Welcome{
		Room: string(w.Room), Seq: uint64(w.Seq), Epoch: uint64(w.Epoch),
		Welcome: w.Bytes, Tree: w.Tree[:], EntryHash: w.EntryHash[:], KeyRecord: w.KeyRecord,
	}
	if w.Head != nil {
		m.Head = w.Head.Marshal()
	}
	return m
}
