package client

import (
	"context"
	"fmt"
	"time"

	"parley/groups"
)

// pageHead verifies the signed head that came with a page; nil if none did.
func (d *Device) pageHead(ctx context.Context, s *session, id groups.RoomID, b []byte) (*groups.SignedHead, error) {
	if len(b) == 0 {
		return nil, nil
	}
	head, err := groups.ParseSignedHead(b)
	if err != nil {
		return nil, err
	}
	if head.Head.Room != id {
		return nil, fmt.Errorf("a head of %s came with entries of %s", head.Head.Room, id)
	}
	if err := d.learnSigner(ctx, s, head.Signer); err != nil {
		return nil, err
	}
	return head, head.Verify(d.headVerifier(s))
}

// learnEvery bounds how often unknown signers make us log in again.
const learnEvery = time.Second

// learnSigner logs in again if a head is signed under an ordering certificate
// that has come to the gateway since the last login, as that of a site whose
// room we are the first here to enter.
func (d *Device) learnSigner(ctx context.Context, s *session, signer groups.Hash) error {
	d.mu.Lock()
	known, wait := s.heads.knows(signer), learnEvery-d.cfg.Now().Sub(s.loggedIn)
	d.mu.Unlock()
	if known {
		return nil
	}
	if err := pause(ctx, max(wait, 0)); err != nil {
		return err
	}
	return d.login(ctx, s)
}

// expectHead holds our chain against a signed head: now, if we have been
// there, else when we get there. Of several heads ahead of us the first counts:
// it is reached first.
func (r *room) expectHead(tx Tx, signed *groups.SignedHead) error {
	if signed == nil {
		return nil
	}
	h := signed.Head
	if h.Seq > r.Seq {
		if len(r.Heads) == 0 {
			r.Heads = signed.Marshal()
			r.moved = true
		}
		return nil
	}
	ours := r.Hash
	if h.Seq < r.Seq {
		b, err := tx.Get(TableLog, seqKey(r.Room, uint64(h.Seq)))
		if err != nil || b == nil {
			return err // from before our time
		}
		var line LogEntry
		if err := unpackRow(TableLog, b, &line); err != nil {
			return err
		}
		ours = line.Hash
	}
	return r.sameHead(h, ours)
}

// reachedHead compares, when the cursor has come to an expected head.
func (r *room) reachedHead() error {
	if len(r.Heads) == 0 {
		return nil
	}
	signed, err := groups.ParseSignedHead(r.Heads)
	if err != nil {
		return damaged(TableRooms, err)
	}
	if r.Seq < signed.Head.Seq {
		return nil
	}
	r.Heads = nil
	return r.sameHead(signed.Head, r.Hash)
}

// sameHead raises the alarm if the hub has signed another history than it
// shows.
func (r *room) sameHead(h groups.Head, ours groups.Hash) error {
	if h.Hash == ours {
		return nil
	}
	return &Alarm{
		Room: r.Room, Seq: h.Seq, Kind: AlarmFork,
		Text: fmt.Sprintf("the hub has signed entry %d as %s and shows %s", h.Seq, h.Hash, ours),
	}
}
