package storage

import (
	"bytes"
	"crypto/rand"
	"time"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// maxWanted bounds what Wanted returns; the rest comes when these have arrived.
const maxWanted = 4096

// wantedLife is how long a blob that never comes is wanted: whoever names blobs
// that do not exist fills the list no longer than that.
const wantedLife = 30 * 24 * time.Hour

// wantedRows notes the blobs that an entry refers to and that are not here:
// what a device uploaded at its own gateway, and what the rest of the room will
// ask this one for. The note is in the entry's transaction, so that a restart
// does not forget it.
func (s *Store) wantedRows(o *op, st *groups.Step) error {
	for _, h := range st.Stamp.Blobs {
		b, err := s.blobRecord(h)
		if err != nil {
			return err
		}
		if b == nil || !b.complete() {
			site := s.holder(o.room, st.Stamp.Device)
			o.rows = append(o.rows, row{key: hashKey(rowWanted, h), value: []byte(site), life: wantedLife})
			o.wanted = true
		}
	}
	return nil
}

// holder is the site to ask for a blob: the device's own when it is ours or
// when we are the hub, otherwise the hub, which fetches it for everybody. What a
// hub that is refilled had from its own devices, another site of the room has.
func (s *Store) holder(r *room, device groups.DeviceID) groups.SiteID {
	own, room := s.cfg.Node.Site(), r.id
	if r.owned && r.parked.Load() != nil && device.Site() == own {
		for _, site := range r.info.sites {
			if site != own {
				return site
			}
		}
	}
	if device.Site() == own || room.Site() == own {
		return device.Site()
	}
	return room.Site()
}

// Wanted returns blobs that entries here refer to and that are not here, by
// the site to ask, at most a few thousand. A blob that has arrived is forgotten.
// It begins at a random place, so that blobs that never come do not keep others
// from being asked for.
func (s *Store) Wanted() (map[groups.SiteID][]groups.Hash, error) {
	wanted := make(map[groups.SiteID][]groups.Hash)
	var arrived []row
	var start groups.Hash
	rand.Read(start[:])
	n, wrapped := 0, false
	err := s.db.View(func(txn *badger.Txn) error {
		each := func(key, site []byte) (bool, error) {
			h := groups.Hash(key[1:])
			if wrapped && bytes.Compare(h[:], start[:]) >= 0 {
				return false, nil
			}
			b, err := s.blobRecord(h)
			if err != nil {
				return false, err
			}
			if b != nil && b.complete() {
				arrived = append(arrived, row{key: append([]byte(nil), key...), gone: true})
			} else {
				wanted[groups.SiteID(site)] = append(wanted[groups.SiteID(site)], h)
				n++
			}
			return n < maxWanted && len(arrived) < maxWanted, nil
		}
		if err := scan(txn, []byte{rowWanted}, hashKey(rowWanted, start), each); err != nil {
			return err
		}
		if n == maxWanted || len(arrived) == maxWanted {
			return nil
		}
		wrapped = true
		return scan(txn, []byte{rowWanted}, nil, each)
	})
	if err != nil {
		return nil, readError(err)
	}
	if len(arrived) > 0 {
		err = s.writeRows(arrived)
	}
	return wanted, err
}

// WatchWanted calls wake when an entry became durable that refers to a blob
// that is not here. The rules of Watch hold.
func (s *Store) WatchWanted(wake func()) (stop func()) {
	return s.blobWatchers.add(struct{}{}, wake)
}
