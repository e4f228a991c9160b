package federation

import (
	"context"
	"errors"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// serve sends one page of s. An error ends the link; what is wrong with the
// room ends the subscription.
func (v *server) serve(ctx context.Context, s *subscription) error {
	if err := v.check(s); err != nil {
		v.end(s, err)
		return nil
	}
	page, err := v.link.node.cfg.Log.Read(s.room, s.sent, pageBytes)
	if err != nil {
		if v.link.mayLog() {
			v.link.node.log.Error("a room can not be read for a follower", "room", string(s.room), "peer", string(v.link.peer), "error", err)
		}
		v.end(s, groups.Errorf(groups.Unavailable, "the log can not be read now"))
		return nil
	}
	entries := page.Entries
	for s.until > 0 && len(entries) > 0 && entries[len(entries)-1].Seq > s.until {
		entries = entries[:len(entries)-1]
	}
	if len(entries) > 0 && page.Head != nil {
		if err := v.send(ctx, s, entries, page.Head); err != nil {
			return err
		}
	}
	if s.until > 0 && s.sent >= s.until {
		v.end(s, nil)
	}
	return nil
}

// check looks once whether the follower's cursor is in our log, and every time
// whether its site may still follow.
func (v *server) check(s *subscription) error {
	info, err := v.link.node.cfg.Rooms.Room(s.room)
	if err != nil {
		return err
	}
	if s.until == 0 && !v.link.sibling() {
		until, ok := mayFollow(info, v.link.peer.Site(), v.link.node.site)
		if !ok {
			return groups.Errorf(groups.Denied, "%s has neither members nor readers in %s", v.link.peer.Site(), s.room)
		}
		s.until = until
	}
	if s.checked {
		return nil
	}
	if info.Head.Seq < s.start.Seq {
		if info.Owned && info.Parked == "" {
			return groups.Errorf(groups.Invalid, "its owner goes on after entry %d without entry %d: it was lost, or never there", info.Head.Seq, s.start.Seq)
		}
		return nil // it will be
	}
	s.checked = true
	if s.start.Seq == 0 {
		return nil
	}
	held := info.Head.Hash
	if s.start.Seq != info.Head.Seq {
		page, err := v.link.node.cfg.Log.Read(s.room, s.start.Seq-1, 1)
		if err != nil || len(page.Entries) == 0 {
			return groups.Errorf(groups.Unavailable, "entry %d can not be read now", s.start.Seq)
		}
		e, err := groups.ParseEntry(page.Entries[0].Bytes)
		if err != nil {
			return groups.Errorf(groups.Internal, "entry %d can not be read: %w", s.start.Seq, err)
		}
		held = e.Hash()
	}
	if held != s.start.Hash {
		if v.link.mayLog() {
			v.link.node.log.Error("a follower holds another history of a room", "room", string(s.room), "peer", string(v.link.peer),
				"seq", uint64(s.start.Seq), "ours", held.String(), "theirs", s.start.Hash.String())
		}
		return groups.Errorf(groups.Invalid, "entry %d is %s here", s.start.Seq, held)
	}
	return nil
}

// send puts a page on its lanes: messages in one piece, the others one by one
// with what they name.
func (v *server) send(ctx context.Context, s *subscription, entries []groups.Stored, head *groups.SignedHead) error {
	signed := head.Marshal()
	messages := &linkv1.RoomEntries{Subscription: s.id, Head: signed}
	var control []*linkv1.RoomEntries
	bytes := 0
	for _, e := range entries {
		bytes += len(e.Bytes)
		if e.Kind == groups.KindMessage {
			messages.Entries = append(messages.Entries, e.Bytes)
			continue
		}
		attached, err := v.attachments(s.room, e)
		if err != nil {
			v.end(s, err)
			return nil
		}
		for _, a := range attached {
			bytes += len(a)
		}
		control = append(control, &linkv1.RoomEntries{Subscription: s.id, Head: signed, Entries: [][]byte{e.Bytes}, Attachments: attached})
	}
	v.account(s, mark{entries[len(entries)-1].Seq, bytes}) // before the peer can acknowledge it
	for _, c := range control {
		c.Signer = v.introduce(laneControl, head.Signer)
		err := v.link.lanes[laneControl].out.wait(ctx, &linkv1.Frame{Entries: []*linkv1.RoomEntries{c}})
		if errors.Is(err, errFrameTooLarge) {
			v.end(s, groups.Errorf(groups.TooLarge, "an entry does not fit a frame"))
			return nil
		}
		if err != nil {
			return err
		}
	}
	v.link.node.metrics.entriesOut.Add(float64(len(entries)))
	if len(messages.Entries) == 0 {
		return nil
	}
	messages.Signer = v.introduce(laneMessages, head.Signer)
	return v.link.lanes[laneMessages].out.wait(ctx, &linkv1.Frame{Entries: []*linkv1.RoomEntries{messages}})
}

// told is a certificate that went out on a lane. A link ends within a day, and
// a site has a handful of them at a time, so the map stays small.
type told struct {
	lane   int
	signer groups.Hash
}

// introduce returns the chain that a head was signed under, the first time it
// is needed on a lane: lanes overtake each other.
func (v *server) introduce(lane int, signer groups.Hash) [][]byte {
	if v.told[told{lane, signer}] {
		return nil
	}
	chain := v.link.node.cfg.Orderings.OrderingChain(signer)
	v.told[told{lane, signer}] = chain != nil
	return chain
}

// attachments returns what the body of a commit names.
func (v *server) attachments(room groups.RoomID, stored groups.Stored) ([][]byte, error) {
	if stored.Kind != groups.KindCommit {
		return nil, nil
	}
	e, err := groups.ParseEntry(stored.Bytes)
	if err == nil {
		var found [][]byte
		if found, err = v.link.node.cfg.Log.Attachments(e); err == nil {
			return found, nil
		}
	}
	if v.link.mayLog() {
		v.link.node.log.Error("an entry can not be sent whole", "room", string(room), "seq", uint64(stored.Seq), "error", err)
	}
	return nil, groups.Errorf(groups.Unavailable, "what entry %d names can not be read now", stored.Seq)
}
