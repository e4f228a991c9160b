package client

import (
	"crypto/sha256"
	"time"

	"parley/groups"
)

// Whoever makes a key tells the unwrap services of it: so they know who is a
// member now, and give nothing to somebody who was removed, although no one has
// asked them for a key since. Nothing waits for it. Who is to be told stands in
// the store from the transaction on that makes the key this device's own, for
// each service by itself, and until that service has said that it knows: through
// restarts of either.

const (
	// maxUntold bounds the services of a room that are to be told of a key: twice
	// what a policy can name, since addresses change. With more, no further one is
	// told, and judges by the end of keys.
	maxUntold = 2 * groups.MaxCoIs * groups.MaxUnwrapServices
	// announceKeep is how long a service is told that does not listen. By then the
	// keys that somebody might have been removed from have long ended.
	announceKeep = 90 * 24 * time.Hour
	// announceMost bounds the wait between two attempts to reach a service, so that
	// it knows soon after it is back; one that refuses is asked more rarely.
	announceMost = 2 * time.Minute
	deniedMost   = time.Hour
)

// An announcement is a service that is to be told of the newest key of a room
// that this device has made. A later key of this device takes the place of an
// earlier one: the services that know it know all before.
type announcement struct {
	CoI   groups.CoIID
	URL   string
	First groups.Epoch // of the first key of ours that it was not told of
	Epoch groups.Epoch // of the last
	Made  uint64       // CreatedAt of that one

	tried bool    // in vain
	wait  waiting // until it is tried again
}

// A waiting is the wait between two attempts; the zero value is none yet.
type waiting struct {
	last time.Duration
	till time.Time
}

// longer doubles the wait, from first to most.
func (w *waiting) longer(now time.Time, first, most time.Duration) {
	w.last = min(max(first, 2*w.last), most)
	w.till = now.Add(w.last)
}

// key is where an announcement stands.
func (n *announcement) key(room groups.RoomID) []byte {
	h := sha256.Sum256([]byte(string(n.CoI) + "\x00" + n.URL))
	return append(roomKey(room), h[:]...)
}

// loadUntold reads who is to be told of a room's key.
func (r *room) loadUntold(tx Tx) error {
	list, err := scanJSON[announcement](tx, TableAnnouncements, roomKey(r.Room), maxUntold)
	r.untold = nil
	for i := range list {
		r.untold = append(r.untold, &list[i])
	}
	return err
}

// announceLater has every unwrap service of a room's communities told of the key
// that this device has made there.
func (d *Device) announceLater(tx Tx, r *room, k *groups.KeyRecord) error {
	for i := range r.policy.CoIs {
		c := &r.policy.CoIs[i]
		for _, url := range c.Unwrap {
			n := r.untoldAt(c.Name, url)
			if n == nil && len(r.untold) >= maxUntold {
				d.cfg.Log.Warn("announce a key", "room", r.Room, "service", url, "error", "too many services wait to be told")
				continue
			}
			if n == nil {
				n = &announcement{CoI: c.Name, URL: url, First: k.Epoch}
				r.untold = append(r.untold, n)
			}
			n.Epoch, n.Made, n.tried, n.wait = k.Epoch, k.CreatedAt, false, waiting{}
			if err := putJSON(tx, TableAnnouncements, n.key(r.Room), n); err != nil {
				return err
			}
		}
	}
	if d.session != nil {
		poke(d.session.wakeTell)
	}
	return nil
}

func (r *room) untoldAt(name groups.CoIID, url string) *announcement {
	for _, n := range r.untold {
		if n.CoI == name && n.URL == url {
			return n
		}
	}
	return nil
}

// told notes that a service needs to be told no more of an epoch and those
// before it.
func (r *room) told(tx Tx, n *announcement) error {
	now := r.untoldAt(n.CoI, n.URL)
	if now == nil {
		return nil
	}
	r.moved = true // what is in memory changes with the row
	if now.Epoch > n.Epoch {
		now.First = max(now.First, n.Epoch+1)
		return putJSON(tx, TableAnnouncements, now.key(r.Room), now)
	}
	for i := range r.untold {
		if r.untold[i] == now {
			r.untold = append(r.untold[:i:i], r.untold[i+1:]...)
			break
		}
	}
	if err := tx.Delete(TableAnnouncements, now.key(r.Room)); err != nil {
		return err
	}
	return r.sweepTrail(tx, now.First)
}
