package storage

import (
	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// maxWanted bounds what Wanted returns; the rest comes when these have arrived.
const maxWanted = 4096

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
			site := s.holder(o.room.id, st.Stamp.Device)
			o.rows = append(o.rows, row{key: hashKey(rowWanted, h), value: []byte(site)})
			o.wanted = true
		}
	}
	return nil
}

// holder is the site to ask for a blob: the device's own when it is ours or
// when we are the hub, otherwise the hub, which fetches it for everybody.
func (s *Store) holder(room groups.RoomID, device groups.DeviceID) groups.SiteID {
	own := s.cfg.Node.Site()
	if device.Site() == own || room.Site() == own {
		return device.Site()
	}
	return room.Site()
}

// Wanted returns blobs that entries here refer to and that are not here, by
// the site to ask, at most a few thousand. A blob that has arrived is forgotten.
func (s *Store) Wanted() (map[groups.SiteID][]groups.Hash, error) {
	wanted := make(map[groups.SiteID][]groups.Hash)
	var arrived []row
	n := 0
	err := s.db.View(func(txn *badger.Txn) error {
		return scan(txn, []byte{rowWanted}, nil, func(key, site []byte) (bool, error) {
			h := groups.Hash(key[1:])
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
		})
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
