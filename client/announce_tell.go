package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/groups"
	"parley/mls/wire"
)

const (
	// announceTimeout bounds how long a service is waited for.
	announceTimeout = 5 * time.Second
	// announceCalls is how many services are told at a time.
	announceCalls = 8
	// announceReason is what the service's log says about it.
	announceReason = "a new key"
)

// errUntellable says that nothing which this device has shows a service the way
// to its key: others' announcements have to come first.
var errUntellable = errors.New("nothing that this device has leads from what the service knows to this key")

// An announcer tells services for as long as a session lasts.
type announcer struct {
	d  *Device
	mu sync.Mutex // guards down
	// down are the services that do not answer, by URL: one attempt stands for all
	// rooms, but for a new key's first. Who has answered is taken out.
	down map[string]*waiting
}

// A telling is one service to be told about one room.
type telling struct {
	room groups.RoomID
	announcement
}

// announcer announces keys for as long as a session lasts. What a service does
// not take is tried again after a while.
func (d *Device) announcer(ctx context.Context, s *session) error {
	a := &announcer{d: d, down: make(map[string]*waiting)}
	for ctx.Err() == nil {
		var g errgroup.Group
		g.SetLimit(announceCalls)
		due, next := a.due()
		for _, t := range due {
			g.Go(func() error { a.tell(ctx, t); return nil })
		}
		g.Wait()
		if len(due) > 0 {
			continue // what became of them says how long to wait
		}
		if err := sleepOr(ctx, s.wakeTell, next); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// due lists who is to be told now, and else says how long there is nothing to do.
func (a *announcer) due() (list []telling, next time.Duration) {
	next = time.Hour
	a.d.mu.Lock()
	defer a.d.mu.Unlock()
	for id, r := range a.d.rooms {
		for _, n := range r.untold {
			if wait := a.left(n); wait > 0 {
				next = min(next, wait)
				continue
			}
			list = append(list, telling{id, *n})
		}
	}
	return list, next
}

// left is how long an announcement has to wait.
func (a *announcer) left(n *announcement) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.d.cfg.Now()
	wait := n.wait.till.Sub(now)
	if w := a.down[n.URL]; w != nil && n.tried {
		wait = max(wait, w.till.Sub(now))
	}
	return wait
}

// tell tells one service about one room, and notes what came of it.
func (a *announcer) tell(ctx context.Context, t telling) {
	if a.left(&t.announcement) > 0 {
		return // it did not answer about another room meanwhile
	}
	calls, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	err := a.show(calls, &t)
	if err != nil && ctx.Err() != nil {
		return
	}
	now := a.d.cfg.Now()
	over := err == nil || now.Sub(millis(t.Made)) > announceKeep
	if err != nil {
		a.d.cfg.Log.Info("announce a key", "room", t.room, "service", t.URL, "community", t.CoI, "epoch", t.Epoch, "over", over, "error", err)
	}
	a.answered(t.URL, now, err)
	if over {
		err = a.d.change(t.room, func(tx Tx, r *room) error { return r.told(tx, &t.announcement) })
		if err == nil {
			return
		}
		a.d.cfg.Log.Warn("announce a key", "room", t.room, "error", err)
	}
	a.d.mu.Lock()
	defer a.d.mu.Unlock()
	if r := a.d.rooms[t.room]; r != nil {
		if n := r.untoldAt(t.CoI, t.URL); n != nil && n.Epoch == t.Epoch {
			n.tried = true
			if over || there(err) { // over: our own store has not taken it; the wait for others is the service's
				n.wait.longer(now, a.d.cfg.Upkeep, deniedMost)
			}
		}
	}
}

// answered notes whether a service is there.
func (a *announcer) answered(url string, now time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if there(err) {
		delete(a.down, url)
		return
	}
	if a.down[url] == nil {
		a.down[url] = new(waiting)
	}
	if !a.down[url].till.After(now) { // several asked at once
		a.down[url].longer(now, a.d.cfg.Upkeep, announceMost)
	}
}

// there says whether a service has answered, whatever it said.
func there(err error) bool {
	return err == nil || errors.Is(err, errUntellable) || kindOf(err) == groups.Denied
}

// show shows a service this device's newest key of a room, with the epoch that
// leads to it: mostly the one before is what it knows. From one that knows
// another it is shown the way from there. It is nil once the service knows.
func (a *announcer) show(ctx context.Context, t *telling) error {
	var own, before *groups.Anchor
	err := a.d.cfg.Store.View(func(tx Tx) (err error) {
		if own, err = trailAt(tx, t.room, t.Epoch); err == nil {
			before, err = trailBefore(tx, t.room, t.First)
		}
		return err
	})
	if err != nil {
		return err
	}
	if own == nil {
		return errUntellable
	}
	shown := groups.Epoch(0)
	for range 3 { // others announce meanwhile
		mark, err := a.ask(ctx, t, before, own)
		if err != nil {
			return err
		}
		if mark == nil || mark.Epoch >= t.Epoch {
			return nil // or it knows nothing, and judges by the end of keys
		}
		if mark.Epoch == shown {
			return errUntellable
		}
		shown = mark.Epoch
		err = a.d.cfg.Store.View(func(tx Tx) (err error) { before, err = trailAt(tx, t.room, shown); return err })
		if err != nil {
			return err
		}
		if before == nil {
			return errUntellable
		}
	}
	return errUntellable
}

// ask makes one request that shows what leads to a key of ours, and returns what
// the service knows of the room then, nil if that is nothing.
func (a *announcer) ask(ctx context.Context, t *telling, before, own *groups.Anchor) (*groups.KeyMark, error) {
	record, err := groups.ParseKeyRecord(own.Record)
	if err != nil {
		return nil, damaged(TableTrail, err)
	}
	q := &groups.KeyRequest{CoI: t.CoI, Device: a.d.id, Reason: announceReason}
	if before != nil {
		// Its own leaf there has the key that signed the record.
		q.Anchors = append(q.Anchors, groups.Anchor{Proven: before.Proven, Next: &groups.Vouch{Anchor: 1, Author: before.Self}})
	}
	q.Anchors = append(q.Anchors, groups.Anchor{Proven: own.Proven, Self: own.Self})
	c, err := communityThen(own, t.CoI, t.URL)
	if err != nil {
		return nil, err
	}
	answer, err := a.d.unwrapAt(ctx, c, t.URL, q)
	if err != nil {
		return nil, err
	}
	for i := range answer.Marks {
		if answer.Marks[i].Room == record.Room {
			return &answer.Marks[i], nil
		}
	}
	return nil, nil
}

// communityThen finds the community that a service is of, as the policy of an
// epoch has it.
func communityThen(a *groups.Anchor, name groups.CoIID, url string) (*groups.CoI, error) {
	context, err := wire.Unmarshal[wire.GroupContext](a.Context)
	if err != nil {
		return nil, damaged(TableTrail, err)
	}
	policy, err := policyOf(context.Extensions)
	if err != nil {
		return nil, damaged(TableTrail, err)
	}
	for i := range policy.CoIs {
		if policy.CoIs[i].Name == name {
			return &policy.CoIs[i], nil
		}
	}
	return nil, groups.Errorf(groups.NotFound, "the room's policy does not name %s, whose service is at %s", name, url)
}
