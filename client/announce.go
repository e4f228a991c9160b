package client

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/groups"
)

// Whoever makes a key tells the unwrap services of it: so they know who is a
// member now, and give nothing to somebody who was removed, although no one has
// asked them for a key since. It is a request without items. What a service
// misses is made up for with the next one.

const (
	// maxTrail bounds the epochs that are remembered to lead a service from the
	// last one it has heard of to this one.
	maxTrail = groups.MaxAnchors
	// announceTimeout bounds how long services are waited for.
	announceTimeout = 5 * time.Second
	// shortTrail is what is shown first: mostly the epoch before is known.
	shortTrail = 2
	// announceTries is how often a key is announced if a service does not answer;
	// what it misses then, the next key makes up for.
	announceTries = 4
	// announceRooms is of how many rooms keys are announced at a time.
	announceRooms = 8
	// announceReason is what the service's log says about it.
	announceReason = "a new key"
)

// past returns the epoch that a room is in, with the record of its key; nil if it
// has none that is right.
func (r *room) past() *groups.Past {
	if r.group == nil || r.Keys.Record == nil || r.Keys.Bad != "" {
		return nil
	}
	k, err := groups.ParseKeyRecord(r.Keys.Record)
	if err != nil {
		return nil
	}
	return &groups.Past{Context: r.group.GroupContext(), Tree: r.group.Tree(), Record: k}
}

// leaveEpoch remembers the epoch that ends.
func (r *room) leaveEpoch() {
	p := r.past()
	if p == nil {
		return
	}
	// A transaction that has failed may have left it here already.
	r.trail = slices.DeleteFunc(slices.Clone(r.trail), func(old *groups.Past) bool { return old.Context.Epoch >= p.Context.Epoch })
	r.trail = append(r.trail[max(len(r.trail)-maxTrail+2, 0):], p)
}

// announceLater has this device's new key told to the services.
func (d *Device) announceLater(r *room) {
	r.untold = announceTries
	if d.session != nil {
		poke(d.session.wakeTell)
	}
}

// announcer announces keys for as long as a session lasts. Nothing waits for it;
// a service that does not answer is told in the next round, a few times.
func (d *Device) announcer(ctx context.Context, s *session) error {
	for {
		var g errgroup.Group
		g.SetLimit(announceRooms)
		for _, id := range d.untold() {
			g.Go(func() error { d.announce(ctx, id); return nil })
		}
		g.Wait()
		var round <-chan time.Time
		if len(d.untold()) > 0 {
			round = time.After(d.cfg.Upkeep)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wakeTell:
		case <-round:
		}
	}
}

// untold lists the rooms whose key is to be announced.
func (d *Device) untold() (list []groups.RoomID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, r := range d.rooms {
		if r.untold > 0 {
			list = append(list, id)
		}
	}
	return list
}

// announce tells every unwrap service of a room's communities of the key it has
// now, which this device has made.
func (d *Device) announce(ctx context.Context, id groups.RoomID) {
	d.mu.Lock()
	r := d.rooms[id]
	if r == nil || r.untold == 0 {
		d.mu.Unlock()
		return
	}
	r.untold--
	now, cois := r.past(), slices.Clone(r.policy.CoIs)
	if now == nil {
		r.untold = 0
		d.mu.Unlock()
		return
	}
	trail := append(slices.Clone(r.trail), now)
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	var all sync.WaitGroup
	var missed atomic.Bool
	for i := range cois {
		for _, url := range cois[i].Unwrap {
			all.Go(func() {
				if !d.announceTo(ctx, &cois[i], url, trail) {
					missed.Store(true)
				}
			})
		}
	}
	all.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.rooms[id]; r != nil && !missed.Load() && r.group != nil && r.group.GroupContext().Epoch == now.Context.Epoch {
		r.untold = 0
	}
}

// announceTo tells one service. One that has missed some is shown the way from
// further back. It is false if the service did not answer, and may later.
func (d *Device) announceTo(ctx context.Context, c *groups.CoI, url string, trail []*groups.Past) bool {
	now := &trail[len(trail)-1].Context
	for _, n := range []int{min(shortTrail, len(trail)), len(trail)} {
		anchors, err := anchorsOf(trail[len(trail)-n:])
		if err != nil {
			d.cfg.Log.Warn("announce a key", "room", string(now.GroupID), "error", err)
			return true // no service can do anything about it
		}
		q := &groups.KeyRequest{CoI: c.Name, Device: d.id, Reason: announceReason, Anchors: anchors}
		answer, err := d.unwrapAt(ctx, c, url, q)
		if err == nil && markOf(answer, groups.RoomID(now.GroupID)) >= int(now.Epoch) {
			return true
		}
		d.cfg.Log.Info("announce a key", "service", url, "community", c.Name, "epochs", n, "error", err)
		if err != nil && kindOf(err) != groups.Denied {
			return false
		}
	}
	return true
}

// anchorsOf shows epochs, the last one with this device in it, and each with the
// latest one whose author was a member of it.
func anchorsOf(trail []*groups.Past) ([]groups.Anchor, error) {
	anchors := make([]groups.Anchor, len(trail))
	keys := make([][]byte, len(trail)) // of authors
	for i := len(trail) - 1; i >= 0; i-- {
		e := pastEpoch{Past: trail[i]}
		var err error
		if anchors[i].Proven, err = e.proven(); err != nil {
			return nil, err
		}
		if leaf, ok := e.Tree.Leaf(leafIndex(e.Record)); ok {
			keys[i] = leaf.SignatureKey
		}
		if i == len(trail)-1 {
			anchors[i].Self = anchors[i].Proven.Author // who announces has made it
			continue
		}
		for j := len(trail) - 1; j > i; j-- {
			at := leafIndex(trail[j].Record)
			if leaf, ok := e.Tree.Leaf(at); !ok || !bytes.Equal(leaf.SignatureKey, keys[j]) {
				continue
			}
			proof, err := e.Tree.Proof(at)
			if err != nil {
				return nil, err
			}
			anchors[i].Next = &groups.Vouch{Anchor: uint16(j), Author: proof}
			break
		}
	}
	return anchors, nil
}
