package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls"
)

const (
	// maxRebase is how often a commit is made again after another one was
	// first.
	maxRebase = 12
	// reachTimeout bounds the wait for an entry that the hub has.
	reachTimeout = 30 * time.Second
	// rebasePause spreads devices that race.
	rebasePause = 40 * time.Millisecond
)

// errNothing says that there is nothing to commit any more.
var errNothing = errors.New("nothing to commit")

// A plan says what a commit is to do, given the room as it is now. It is asked
// again whenever another commit was first.
type plan func(r *room) (mls.CommitOptions, error)

// commit makes a commit and sees it through: it is submitted on the current
// epoch; if another one was first, that one is read and the plan is made again.
// It returns when the commit has been applied here.
func (d *Device) commit(ctx context.Context, s *session, id groups.RoomID, p plan) error {
	if err := d.settleHanging(ctx, s, id); err != nil {
		return err
	}
	for attempt := range maxRebase {
		sub, err := d.prepareCertified(ctx, id, p)
		if errors.Is(err, errNothing) {
			return nil
		}
		if err != nil {
			return err
		}
		seq, err := d.submitPatiently(ctx, s, sub)
		if err == nil {
			return d.reach(ctx, id, seq)
		}
		remote, refused := errors.AsType[*groups.RemoteError](err)
		if !refused || remote.Kind.Temporary() || remote.Kind == groups.Internal {
			d.hangs(id, sub)
			return err // it may yet be in the log: what it leads to is kept
		}
		drop := d.change(id, func(tx Tx, r *room) error { return dropPending(tx, r, MessageID(sub.Id)) })
		if drop != nil {
			return drop
		}
		if remote.Kind != groups.StaleEpoch && remote.Kind != groups.Conflict {
			return err
		}
		if err := d.reach(ctx, id, remote.Seq); err != nil {
			return err
		}
		if err := pause(ctx, rand.N(rebasePause*time.Duration(attempt+1))); err != nil {
			return err
		}
	}
	return groups.Errorf(groups.Busy, "%s changes too fast: other commits were first %d times", id, maxRebase)
}

// A hanging commit has left and has no outcome: it is submitted again, under the
// same id, before another one is made for that epoch.
type hanging struct {
	sub   *devicev1.Submission
	epoch groups.Epoch
}

func (d *Device) hangs(id groups.RoomID, sub *devicev1.Submission) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.rooms[id]; r != nil {
		r.hanging = &hanging{sub, r.Epoch}
	}
}

// settleHanging finds out what became of a commit without outcome.
func (d *Device) settleHanging(ctx context.Context, s *session, id groups.RoomID) error {
	d.mu.Lock()
	var h *hanging
	if r := d.rooms[id]; r != nil && r.hanging != nil {
		if h = r.hanging; h.epoch != r.Epoch {
			h, r.hanging = nil, nil
		}
	}
	d.mu.Unlock()
	if h == nil {
		return nil
	}
	seq, err := d.submitPatiently(ctx, s, h.sub)
	if err == nil {
		return d.reach(ctx, id, seq)
	}
	remote, refused := errors.AsType[*groups.RemoteError](err)
	if !refused || remote.Kind.Temporary() || remote.Kind == groups.Internal {
		return err
	}
	err = d.change(id, func(tx Tx, r *room) error {
		if r.hanging == h {
			r.hanging = nil
		}
		return dropPending(tx, r, MessageID(h.sub.Id))
	})
	if err != nil || remote.Kind != groups.StaleEpoch && remote.Kind != groups.Conflict {
		return err
	}
	return d.reach(ctx, id, remote.Seq)
}

// reach waits for an entry, but not for ever.
func (d *Device) reach(ctx context.Context, id groups.RoomID, seq groups.Seq) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	return d.Reach(ctx, id, seq)
}

// prepareCertified prepares a commit, after fetching the certificates that its
// key is wrapped to, if need be. Without them nobody is added and no key made
// for its own sake; somebody is removed all the same.
func (d *Device) prepareCertified(ctx context.Context, id groups.RoomID, p plan) (*devicev1.Submission, error) {
	for range maxFetches {
		sub, err := d.prepare(id, p, false)
		need, missing := errors.AsType[*needCertificates](err)
		if !missing {
			return sub, err
		}
		err = d.fetchFor(ctx, need)
		if err != nil && need.bare {
			d.cfg.Log.Warn("a commit goes without a key record", "room", id, "error", err)
			return d.prepare(id, p, true)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, groups.Errorf(groups.Busy, "other commits of this device used up the status of %s's communities: try again", id)
}

// fetchFor fetches the certificates that a commit needs. One that can go without
// them waits for services that are slow no longer than firstLook.
func (d *Device) fetchFor(ctx context.Context, need *needCertificates) error {
	if need.bare {
		look, cancel := context.WithTimeout(ctx, firstLook)
		defer cancel()
		ctx = look
	}
	return d.desk.fetch(ctx, need.policy)
}

// maxFetches bounds how often certificates are fetched for one commit: under a
// strict policy each status is good for one, and another of the device's commits
// may have it, each time that it is made again.
const maxFetches = maxRebase

// prepare makes a commit and makes what it leads to durable (I7). A bare one
// has no key record.
func (d *Device) prepare(id groups.RoomID, p plan, bare bool) (*devicev1.Submission, error) {
	var sub *devicev1.Submission
	err := d.change(id, func(tx Tx, r *room) error {
		if err := d.openGroup(tx, r); err != nil {
			return err
		}
		if r.State != RoomLive || r.Leaving {
			return closedError(r.Room, "this device is leaving it")
		}
		r.reason, r.Keys.asked, r.warrants = 0, false, nil
		o, err := p(r)
		if err != nil {
			return err
		}
		sid := newID()
		stamp := groups.AuthenticatedData{Device: d.id, ID: groups.SubmissionID(sid), Seq: r.Seq, Hash: r.Hash}
		o.Now, o.AuthenticatedData = r.at, stamp.Marshal()
		pending, err := r.group.Commit(o)
		if err != nil {
			return err
		}
		var record []byte
		if !bare {
			if record, err = d.recordOf(r, pending); err != nil {
				return err
			}
		}
		sub = commitSubmission(r, sid, pending, record)
		return keepPending(tx, r, sid, sub.Body, pending.Next)
	})
	return sub, err
}

// commitSubmission bundles a commit with what goes beside it.
func commitSubmission(r *room, id MessageID, p *mls.Pending, record []byte) *devicev1.Submission {
	bundle := groups.CommitBundle{Commit: p.Commit, GroupInfo: groups.HashOf(p.GroupInfo), KeyRecord: record, Warrants: r.warrants}
	attachments := [][]byte{p.GroupInfo}
	if p.Welcome != nil {
		h := groups.HashOf(p.Welcome)
		bundle.Welcome = &h
		attachments = append(attachments, p.Welcome)
	}
	return &devicev1.Submission{
		Room: string(r.Room), Kind: uint32(groups.KindCommit), Id: id[:], Body: bundle.Marshal(), Attachments: attachments,
	}
}

const (
	// busyTries bounds how often a commit is submitted to a busy gateway, which
	// takes one a second from each device.
	busyTries = 30
	busyPause = 400 * time.Millisecond
)

// submitPatiently submits again while the gateway is busy.
func (d *Device) submitPatiently(ctx context.Context, s *session, sub *devicev1.Submission) (groups.Seq, error) {
	for try := 1; ; try++ {
		seq, err := d.submit(ctx, s, sub)
		if kindOf(err) != groups.Busy || try >= busyTries {
			return seq, err
		}
		if err := pause(ctx, busyPause+rand.N(busyPause)); err != nil {
			return 0, err
		}
	}
}

// submit asks the hub to put one submission next, and returns where it is.
func (d *Device) submit(ctx context.Context, s *session, sub *devicev1.Submission) (groups.Seq, error) {
	var answer devicev1.SubmitResponse
	if err := s.link.Call(ctx, &devicev1.SubmitRequest{Submission: sub}, &answer); err != nil {
		return 0, fmt.Errorf("submit to %s: %w", sub.Room, err)
	}
	c, err := parseReceipt(answer.Receipt)
	if err != nil {
		return 0, err
	}
	if string(c.Room) != sub.Room || string(c.ID[:]) != string(sub.Id) {
		return 0, groups.Errorf(groups.Invalid, "submit to %s: the receipt is for something else", sub.Room)
	}
	return c.Seq, nil
}
