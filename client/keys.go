package client

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"parley/groups"
)

// A KeyInfo is what is known of the key of an epoch: who made it, when, why and
// for whom.
type KeyInfo struct {
	Room       groups.RoomID
	Epoch      groups.Epoch
	ID         groups.Hash     // commitment to the key
	Author     groups.DeviceID // as the author's certificate names it
	Made, Ends time.Time       // by the author's clock; Ends is zero if it does not end by time
	Reason     groups.KeyReason
	Recipients []groups.CoIRecipient
	Record     groups.Hash // names the record
	Prev       groups.Hash // the record before, zero for the first
	Seq        groups.Seq  // of the entry it came with
	Bad        string      // why it is not to be used
}

// WrappedTo says whether the key was wrapped to a community's certificate, by its
// serial: whoever has that certificate's private key, and the room's log, can read
// what was said under it.
func (k *KeyInfo) WrappedTo(serial []byte) bool {
	want := bytes.TrimLeft(serial, "\x00")
	return slices.ContainsFunc(k.Recipients, func(r groups.CoIRecipient) bool { return bytes.Equal(bytes.TrimLeft(r.Serial, "\x00"), want) })
}

// Key describes the key that a room is using now; NotFound if the room wraps its
// keys to nobody, or if its key has no record yet.
func (d *Device) Key(id groups.RoomID) (KeyInfo, error) {
	d.mu.Lock()
	r := d.rooms[id]
	if r == nil {
		d.mu.Unlock()
		return KeyInfo{}, notIn(id)
	}
	none, epoch, bare := len(r.policy.CoIs) == 0, r.Epoch, r.Keys.Record == nil
	d.mu.Unlock()
	switch {
	case none:
		return KeyInfo{}, groups.Errorf(groups.NotFound, "%s wraps its keys to no community", id)
	case bare:
		return KeyInfo{}, groups.Errorf(groups.NotFound, "the key of %s (epoch %d) has no record yet: who sends next publishes one", id, epoch)
	}
	list, err := d.keys(id, seqKey(id, uint64(epoch)))
	if err == nil && len(list) == 0 {
		err = groups.Errorf(groups.NotFound, "the record of epoch %d of %s is not here", epoch, id)
	}
	if err != nil {
		return KeyInfo{}, err
	}
	return list[0], nil
}

// Keys lists the keys whose records this device has, oldest first: those made
// since it joined, and what FetchHistory has brought.
func (d *Device) Keys(id groups.RoomID) ([]KeyInfo, error) {
	d.mu.Lock()
	_, there := d.rooms[id]
	d.mu.Unlock()
	if !there {
		return nil, notIn(id)
	}
	return d.keys(id, roomKey(id))
}

func (d *Device) keys(id groups.RoomID, prefix []byte) (list []KeyInfo, err error) {
	rows, err := d.keyRows(id, prefix)
	for _, row := range rows {
		k, err := groups.ParseKeyRecord(row.Record)
		if err != nil {
			return nil, damaged(TableKeys, err)
		}
		list = append(list, keyInfo(k, &row))
	}
	return list, err
}

// keyRows reads records, oldest first.
func (d *Device) keyRows(id groups.RoomID, prefix []byte) (rows []keyRow, err error) {
	err = d.cfg.Store.View(func(tx Tx) error {
		rows, err = scanJSON[keyRow](tx, TableKeys, prefix, maxKeyRows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", id, err)
	}
	return rows, nil
}

// maxKeyRows bounds the records that are listed at once.
const maxKeyRows = 1 << 20

func keyInfo(k *groups.KeyRecord, row *keyRow) KeyInfo {
	info := KeyInfo{
		Room: k.Room, Epoch: k.Epoch, ID: k.KeyID, Made: millis(k.CreatedAt), Ends: millis(k.NotAfter), Reason: k.Reason,
		Recipients: k.Recipients, Record: k.Hash(), Prev: k.Prev, Seq: row.Seq, Bad: row.Bad,
	}
	if len(row.Author) > 0 && sha256.Sum256(row.Author[0]) == k.AuthorCert {
		if cert, err := x509.ParseCertificate(row.Author[0]); err == nil && len(cert.URIs) == 1 {
			info.Author = groups.DeviceID(cert.URIs[0].String())
		}
	}
	return info
}

// ExportKeys returns the records of a room's keys that this device has, oldest
// first, with what verifies them where nothing else of the room is known
// (VerifyKeys).
func (d *Device) ExportKeys(id groups.RoomID) ([]groups.ExportedRecord, error) {
	info, err := d.Keys(id)
	if err != nil {
		return nil, err
	}
	rows, err := d.keyRows(id, roomKey(id))
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	cs := groups.CipherSuite(d.rooms[id].Suite)
	d.mu.Unlock()
	list := make([]groups.ExportedRecord, min(len(rows), len(info)))
	for i := range list {
		list[i] = groups.ExportedRecord{
			Seq: rows[i].Seq, Record: rows[i].Record, Author: info[i].Author,
			AuthorChain: rows[i].Author, LeafSignatureKey: rows[i].Key, Suite: cs,
		}
	}
	return list, nil
}

// VerifyKeys verifies an exported key history offline, under the CAs this
// device trusts, and returns the hash of its last record. If this device is in
// the room and knows a later record than the last one, that is an error, too:
// the end of the history is missing.
func (d *Device) VerifyKeys(list []groups.ExportedRecord) (groups.Hash, error) {
	last, err := groups.VerifyKeyHistory(list, Directory{d.self.Load().trust})
	if err != nil {
		return last, err
	}
	k, err := groups.ParseKeyRecord(list[len(list)-1].Record)
	if err != nil {
		return last, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.rooms[k.Room]; r != nil && r.State == RoomLive && r.Keys.Last != last && r.Keys.Made > k.CreatedAt {
		return last, groups.Errorf(groups.Invalid, "the history ends with epoch %d, this device knows a later key of %s: its end is missing", k.Epoch, k.Room)
	}
	return last, nil
}
