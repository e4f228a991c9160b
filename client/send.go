package client

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls"
)

const (
	// maxBatch bounds the messages sealed in one transaction, maxBatchBytes
	// what they are sealed to.
	maxBatch      = 256
	maxBatchBytes = 1 << 20
	// maxFlying bounds the submissions of a session without outcome: a full
	// window waits for receipts.
	maxFlying = 1024
	// holdBusy is how long a room waits after the hub was too busy for it.
	holdBusy = 500 * time.Millisecond
	// padTo is the multiple to which plaintexts are padded, in bytes.
	padTo = 32
)

// A hold is why a room's outbox waits.
type hold struct {
	until time.Time  // nothing is sent before
	seq   groups.Seq // nothing is sent before the log has been read up to here
	drain bool       // nothing is sent before every submission has its outcome
	why   string     // the last temporary refusal, for a person
	stuck error      // what a person has to put in order first
}

// send empties the outbox as long as the session lasts: it seals a batch, makes
// it durable (I7), submits it, and takes the outcomes as they come. Nothing is
// sealed before the device has caught up: it might be for somebody who has
// been removed meanwhile.
func (d *Device) send(ctx context.Context, s *session) error {
	if err := d.wait(ctx, func() (bool, error) { return s.caughtUp && s.watched, nil }); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.link.Submit(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	d.sending.Store(s)
	defer d.sending.CompareAndSwap(s, nil)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.submitAll(ctx, s, stream) })
	g.Go(func() error { return d.outcomes(s, stream) })
	g.Go(func() error {
		<-ctx.Done()
		return errors.Join(ctx.Err(), stream.Close())
	})
	return g.Wait()
}

// submitAll submits batch after batch.
func (d *Device) submitAll(ctx context.Context, s *session, stream SubmitStream) error {
	for {
		batch, files, again, err := d.nextBatch(s)
		switch {
		case err != nil:
			return err
		case len(batch) > 0:
			if err := stream.Send(&devicev1.SubmitStreamRequest{Submissions: batch}); err != nil {
				return err
			}
			continue
		case len(files) > 0:
			if err := d.upload(ctx, s, files); err != nil {
				return err
			}
			continue
		}
		if err := sleepOr(ctx, s.wakeSend, again); err != nil {
			return err
		}
	}
}

// sleepOr waits for a poke, for at most that long, or for ctx's end.
func sleepOr(ctx context.Context, wake chan struct{}, most time.Duration) error {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-t.C:
	}
	return nil
}

// nextBatch seals what may leave now, of the room that has waited longest. If
// there is nothing, it returns the files that have to be uploaded first, and
// when to look again.
func (d *Device) nextBatch(s *session) (batch []*devicev1.Submission, files []fileJob, again time.Duration, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	again = time.Minute
	window := min(maxFlying-len(s.flying), maxBatch)
	if window <= 0 {
		return nil, nil, again, nil
	}
	ready := make([]*room, 0, 4)
	for _, r := range d.rooms {
		wait, ok := r.sendable(d.cfg)
		if !ok {
			continue
		}
		if wait > 0 {
			again = min(again, wait)
			continue
		}
		ready = append(ready, r)
	}
	slices.SortFunc(ready, func(a, b *room) int { return cmp.Compare(a.first().Time.UnixNano(), b.first().Time.UnixNano()) })
	for _, r := range ready {
		n := min(window, d.cfg.Pipeline-r.flying())
		if flight := r.sealed(n); len(flight) > 0 {
			return d.takeOff(s, flight), nil, again, nil
		}
		events, err := d.changeLocked(r, d.seal)
		d.feed.publish(events...)
		if r.stick(err) {
			d.signal()
		}
		switch {
		case kindOf(err) == groups.CoIRevoked:
			r.hold.until = d.cfg.Now().Add(holdBusy)
			again = min(again, holdBusy)
			continue
		case errors.Is(err, mls.ErrCommitRequired), kindOf(err) == groups.KeyStale:
			d.attend(r.Room, 0) // a commit comes first; then the outbox is woken
			r.hold.why = textOf(err)
			r.hold.until = d.cfg.Now().Add(holdBusy)
			again = min(again, holdBusy)
			continue
		case err != nil:
			return nil, nil, again, err
		}
		if flight := r.sealed(n); len(flight) > 0 {
			return d.takeOff(s, flight), nil, again, nil
		}
		files = append(files, r.nextFile()...)
	}
	return nil, files, again, nil
}

// stick notes that a room's messages wait for a person, or no longer do; true if
// that is news.
func (r *room) stick(err error) bool {
	var stuck error
	if kind := kindOf(err); kind == groups.CoIRevoked || kind == groups.KeyStale && !r.renews() {
		stuck = err
	}
	news := stuck != nil && r.hold.stuck == nil
	if r.hold.stuck = stuck; stuck != nil {
		r.hold.why = textOf(stuck)
	}
	return news
}

// sendable says whether a room has something to send, and how long it has to
// wait with it.
func (r *room) sendable(cfg Config) (time.Duration, bool) {
	if r.State != RoomLive || r.parked || r.Leaving || r.first() == nil {
		return 0, false
	}
	flying := r.flying()
	if flying >= cfg.Pipeline || r.hold.drain && flying > 0 || r.Seq < r.hold.seq {
		return 0, false // the outcome, or the entry, wakes us
	}
	r.hold.drain = false
	return r.hold.until.Sub(cfg.Now()), true
}

// flying counts the submissions without outcome: the first items of the queue.
func (r *room) flying() (n int) {
	for _, it := range r.queue {
		if it.flying {
			n++
		} else if it.open() {
			break
		}
	}
	return n
}

// sealed returns the next n items that are ready to leave, in their order:
// sealed under the current key.
func (r *room) sealed(n int) (list []*item) {
	bytes := 0
	for _, it := range r.queue {
		if !it.open() || it.flying {
			continue
		}
		if len(list) >= n || bytes >= maxBatchBytes || !it.fresh(r) {
			break
		}
		bytes += len(it.body)
		list = append(list, it)
	}
	return list
}

// fresh says whether an item is sealed under the room's current key. What is
// not is sealed again, even if it has left once: its id is the same, so only
// one of them is taken.
func (it *item) fresh(r *room) bool {
	return it.State == Sent && it.body != nil && it.Epoch == r.Epoch
}

// first returns the first item that is to be submitted, nil if there is none.
func (r *room) first() *item {
	for _, it := range r.queue {
		if it.open() && !it.flying {
			return it
		}
	}
	return nil
}

// seal seals items in their order, a batch in one transaction, until one has
// a file to be uploaded first.
func (d *Device) seal(tx Tx, r *room) error {
	if err := r.keyStale(); err != nil {
		return err
	}
	n, bytes := 0, 0
	for _, it := range r.queue {
		if !it.open() || it.flying {
			continue
		}
		if n >= maxBatch || bytes >= maxBatchBytes {
			break
		}
		if waits, err := d.hasUpload(tx, it); err != nil || waits {
			return err
		}
		if !it.fresh(r) {
			if err := d.sealItem(tx, r, it); err != nil {
				return err
			}
		}
		n++
		bytes += len(it.body)
	}
	return nil
}

// sealItem encrypts one message under the current key.
func (d *Device) sealItem(tx Tx, r *room, it *item) error {
	if err := d.openGroup(tx, r); err != nil {
		return err
	}
	plaintext, err := it.Content.Marshal()
	if err != nil {
		return err
	}
	stamp := groups.AuthenticatedData{Device: d.id, ID: groups.SubmissionID(it.ID), Seq: r.Seq, Hash: r.Hash}
	if f := it.Content.File; f != nil {
		stamp.Blobs = []groups.Hash{f.Blob}
	}
	body, err := r.group.Seal(stamp.Marshal(), plaintext, (padTo-len(plaintext)%padTo)%padTo)
	if err != nil {
		return err
	}
	r.moved = true
	was := it.State
	it.body, it.State, it.Epoch = body, Sent, r.Epoch
	if len(it.hashes) > 0 && !it.left {
		it.hashes = it.hashes[:len(it.hashes)-1] // nobody has seen what that was of
	}
	it.hashes = append(it.hashes, groups.HashOf(body))
	it.left = false
	if was != Sent {
		r.tell(Event{Kind: EventDelivery, Message: it.message()})
	}
	return it.put(tx)
}

// takeOff makes submissions of sealed items, which are durable by now.
func (d *Device) takeOff(s *session, sealed []*item) []*devicev1.Submission {
	batch := make([]*devicev1.Submission, len(sealed))
	for i, it := range sealed {
		it.flying, it.left = true, true
		s.flying[it.ID] = it.Room
		batch[i] = &devicev1.Submission{Room: string(it.Room), Kind: uint32(groups.KindMessage), Id: it.ID[:], Body: it.body}
	}
	return batch
}

// outcomes takes what the hub answers.
func (d *Device) outcomes(s *session, stream SubmitStream) error {
	for {
		resp, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return errSession
		}
		if err != nil {
			return err
		}
		if err := d.outcome(s, resp); err != nil {
			return err
		}
		poke(s.wakeSend)
	}
}
