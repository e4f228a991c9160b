package client

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls/wire"
)

// outcome takes one answer: receipts, the heads that cover them, refusals.
func (d *Device) outcome(s *session, resp *devicev1.SubmitStreamResponse) error {
	heads, err := d.receiptHeads(s, resp.Heads)
	if err != nil {
		return err
	}
	receipts := make(map[groups.RoomID][]groups.Receipt)
	for _, b := range resp.Receipts {
		c, err := parseReceipt(b)
		if err != nil {
			return err
		}
		receipts[c.Room] = append(receipts[c.Room], c)
	}
	for _, id := range slices.Sorted(maps.Keys(receipts)) {
		err := d.change(id, func(tx Tx, r *room) error { return d.accepted(tx, r, s, accepted{receipts[id], heads[id]}) })
		if err != nil {
			return err
		}
	}
	for _, refused := range resp.Refused {
		if err := d.refused(s, refused); err != nil {
			return err
		}
	}
	return nil
}

// parseReceipt reads one receipt and nothing after it.
func parseReceipt(b []byte) (c groups.Receipt, err error) {
	r := wire.NewReader(b)
	c.Decode(r)
	if err := r.Done(); err != nil {
		return c, groups.Errorf(groups.Invalid, "receipt: %w", err)
	}
	return c, nil
}

// receiptHeads returns the last head of each room that verifies. What an earlier
// one covers a later one covers as well, so only the last is looked into unless
// it is bad.
func (d *Device) receiptHeads(s *session, list [][]byte) (map[groups.RoomID]groups.Head, error) {
	signed, err := parseHeads(list)
	if err != nil {
		return nil, err
	}
	heads := make(map[groups.RoomID]groups.Head)
	for _, h := range signed {
		if _, found := heads[h.Head.Room]; found {
			continue
		}
		if err := h.Verify(d.headVerifier(s)); err != nil {
			d.cfg.Log.Warn("receipt under a head that does not verify", "room", h.Head.Room, "error", err)
			continue // the log itself will tell
		}
		heads[h.Head.Room] = h.Head
	}
	return heads, nil
}

// parseHeads reads signed heads; the latest of a room comes first.
func parseHeads(list [][]byte) ([]*groups.SignedHead, error) {
	signed := make([]*groups.SignedHead, len(list))
	for i, b := range list {
		var err error
		if signed[i], err = groups.ParseSignedHead(b); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(signed, func(a, b *groups.SignedHead) int { return cmp.Compare(b.Head.Seq, a.Head.Seq) })
	return signed, nil
}

// headVerifier returns the ordering certificates of a session.
func (d *Device) headVerifier(s *session) *HeadVerifier {
	d.mu.Lock()
	defer d.mu.Unlock()
	return s.heads
}

// accepted are receipts of one room and the head that is to cover them.
type accepted struct {
	receipts []groups.Receipt
	head     groups.Head // Seq 0 if there is none that verifies
}

// accepted notes receipts. A receipt that no verified head covers is not
// believed: its message counts as sent until it comes back in the log.
func (d *Device) accepted(tx Tx, r *room, s *session, a accepted) error {
	for _, c := range a.receipts {
		id := MessageID(c.ID)
		delete(s.flying, id)
		it := r.find(id)
		if it == nil {
			continue // it is in the log already
		}
		if c.Seq > a.head.Seq || c.Seq == a.head.Seq && c.Hash != a.head.Hash {
			continue // and not submitted again in this session
		}
		it.flying = false
		it.State, it.receipt, it.receiptHash = Accepted, c.Seq, c.Hash
		it.body = nil
		r.moved = true
		if err := it.put(tx); err != nil {
			return err
		}
		r.tell(Event{Kind: EventDelivery, Message: it.message()})
	}
	return nil
}

// refused notes a refusal. What is temporary is tried again, in order, after
// everything that is on its way has its outcome; what is about the key is
// sealed again; the rest has failed and says so.
func (d *Device) refused(s *session, ref *devicev1.Refused) error {
	var id MessageID
	if copy(id[:], ref.Id) != len(id) || len(ref.Id) != len(id) {
		return groups.Errorf(groups.Invalid, "the gateway refuses a submission without an id")
	}
	d.mu.Lock()
	where, ours := s.flying[id]
	delete(s.flying, id)
	d.mu.Unlock()
	if !ours {
		return nil
	}
	err := refusalError("gateway", ref.GetRefusal())
	return d.change(where, func(tx Tx, r *room) error {
		it := r.find(id)
		if it == nil || !it.open() {
			return nil
		}
		it.flying = false
		r.moved = true
		r.hold.drain = true
		again := false
		switch {
		case err.Kind == groups.StaleEpoch:
			r.hold.seq = max(r.hold.seq, min(err.Seq, r.Seq+maxAhead))
			again = true
		case err.Kind == groups.KeyStale:
			r.worn = it.Epoch == r.Epoch
			d.attend(r.Room, 0)
			again = true
		case err.Kind.Temporary(), err.Kind == groups.Internal:
			r.hold.until, r.hold.why = d.cfg.Now().Add(holdBusy), err.Text
			return nil // the same bytes go out again
		}
		it.body = nil
		it.State = Queued
		if !again || len(it.hashes) >= maxSealed {
			it.State, it.Problem = Failed, fmt.Sprintf("%s: %s", err.Kind, err.Text)
		}
		r.tell(Event{Kind: EventDelivery, Message: it.message()})
		return it.put(tx)
	})
}

// maxAhead bounds how far ahead of us a refusal can make us wait.
const maxAhead = 1 << 20
