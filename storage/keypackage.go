package storage

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// Key packages are used once (RFC 9420, Section 10): taking one and deleting
// it are one step, which is durable before the package leaves the node. A
// package that was handed out and lost on the way is lost.
//
// Their rows stand by user, device, suite and age:
//
//	key    'k' user 0 device-name 0 suite[2] order[8]
//	value  serial[8] bytes        // serial of the batch before it was stored

// maxKeyPackage bounds one key package, whose certificates are bounded by
// protocol.md, section 9.
const maxKeyPackage = 32 << 10

// PutKeyPackages stores new key packages of a device and returns how many it
// has now. Above groups.MaxKeyPackages the oldest go: their certificates and
// lifetimes end first. TooLarge tells of a package, or of more of them than are
// kept.
func (s *Store) PutKeyPackages(d groups.DeviceID, list []groups.KeyPackage) (count int, err error) {
	if len(list) > groups.MaxKeyPackages {
		return 0, groups.Errorf(groups.TooLarge, "%d key packages: at most %d are kept for a device", len(list), groups.MaxKeyPackages)
	}
	for _, p := range list {
		if p.Device != d {
			return 0, groups.Errorf(groups.Denied, "key package of %s published by %s", p.Device, d)
		}
		if len(p.Bytes) > maxKeyPackage {
			return 0, groups.Errorf(groups.TooLarge, "key package of %d bytes: at most %d", len(p.Bytes), maxKeyPackage)
		}
	}
	unlock := s.keys.lock([]byte(d.User()))
	defer unlock()
	held, err := s.keyPackages(d)
	if err != nil {
		return 0, err
	}
	order := uint64(0)
	for _, k := range held {
		order = max(order, k.order)
	}
	slices.SortFunc(held, func(a, b keyPackageRow) int { return int(int64(a.order - b.order)) })
	var rows []row
	for len(held)+len(list) > groups.MaxKeyPackages {
		rows = append(rows, row{key: held[0].key, gone: true})
		held = held[1:]
	}
	for _, p := range list {
		order++
		rows = append(rows, row{key: keyPackageKey(p, order),
			value: append(uint64Value(s.serial.Load()+1), p.Bytes...)})
	}
	if len(rows) == 0 {
		return len(held), nil
	}
	return len(held) + len(list), s.write(rows)
}

// keyPackageKey is the key of a device's package; order rises with age.
func keyPackageKey(p groups.KeyPackage, order uint64) []byte {
	k := append(userKey(rowKeyPackage, p.Device), 0)
	k = binary.BigEndian.AppendUint16(k, uint16(p.Suite))
	return binary.BigEndian.AppendUint64(k, order)
}

// A keyPackageRow is a key package in Badger; it aliases its row.
type keyPackageRow struct {
	key   []byte
	name  []byte // of the device
	suite groups.CipherSuite
	order uint64
	bytes []byte
}

// readKeyPackage reads a row below prefix, which ends with the user. ok is
// false for a package that the fence does not trust.
func (s *Store) readKeyPackage(prefix, key, value []byte) (k keyPackageRow, ok bool, err error) {
	rest := key[len(prefix):]
	end := bytes.IndexByte(rest, 0)
	if end < 0 {
		return k, false, errCorrupt
	}
	f := fields{b: rest[end+1:]}
	k = keyPackageRow{key: key, name: rest[:end], suite: groups.CipherSuite(f.uint16()), order: f.uint64()}
	v := fields{b: value}
	serial := v.uint64()
	k.bytes = v.rest()
	if f.done() != nil || v.done() != nil {
		return k, false, errCorrupt
	}
	return k, serial > s.floor.Load(), nil
}

// keyPackages returns the packages of a device that may be handed out, without
// their bytes.
func (s *Store) keyPackages(d groups.DeviceID) (list []keyPackageRow, err error) {
	user := nameKey(rowKeyPackage, d.User())
	err = s.db.View(func(txn *badger.Txn) error {
		return scan(txn, append(userKey(rowKeyPackage, d), 0), nil, func(key, value []byte) (bool, error) {
			k, ok, err := s.readKeyPackage(user, key, value)
			if ok {
				k.key, k.bytes = bytes.Clone(k.key), nil
				list = append(list, k)
			}
			return err == nil, err
		})
	})
	return list, readError(err)
}

// CountKeyPackages returns how many unused packages a device has.
func (s *Store) CountKeyPackages(d groups.DeviceID) (int, error) {
	list, err := s.keyPackages(d)
	return len(list), err
}

// TakeKeyPackages takes the oldest package of a suite from each device of a
// user, at most groups.MaxUserDevices. They are gone from the store, durably,
// when it returns: nobody else gets them. NotFound says that no device has one.
func (s *Store) TakeKeyPackages(user groups.UserID, suite groups.CipherSuite) ([]groups.KeyPackage, error) {
	unlock := s.keys.lock([]byte(user))
	defer unlock()
	prefix := nameKey(rowKeyPackage, user)
	var out []groups.KeyPackage
	var rows []row
	err := s.db.View(func(txn *badger.Txn) error {
		from := ""
		return scan(txn, prefix, nil, func(key, value []byte) (bool, error) {
			k, ok, err := s.readKeyPackage(prefix, key, value)
			if err != nil || !ok || k.suite != suite || string(k.name) == from {
				return err == nil, err
			}
			d, err := groups.NewDeviceID(user, string(k.name))
			if err != nil {
				return false, err
			}
			from = string(k.name)
			out = append(out, groups.KeyPackage{Device: d, Suite: suite, Bytes: bytes.Clone(k.bytes)})
			rows = append(rows, row{key: bytes.Clone(k.key), gone: true})
			return len(out) < groups.MaxUserDevices, nil
		})
	})
	if err != nil {
		return nil, readError(err)
	}
	if len(out) == 0 {
		return nil, groups.Errorf(groups.NotFound, "no device of %s can be added: none has left keys here to be added with since it was last online (%v)", user, suite)
	}
	if err := s.writeRows(rows); err != nil { // it frees space
		return nil, err
	}
	return out, nil
}

// Devices returns the devices of a user that logged in here or have key
// packages, in the order of their names.
func (s *Store) Devices(user groups.UserID) ([]groups.DeviceRecord, error) {
	byName := make(map[string]*groups.DeviceRecord)
	note := func(name string) *groups.DeviceRecord {
		if byName[name] == nil {
			byName[name] = &groups.DeviceRecord{}
		}
		return byName[name]
	}
	s.soft.sightings(user, func(name string, at uint64) { note(name).LastSeen = at })
	err := s.db.View(func(txn *badger.Txn) error {
		seen := nameKey(rowDevice, user)
		err := scan(txn, seen, nil, func(key, value []byte) (bool, error) {
			f := fields{b: value}
			d := note(string(key[len(seen):]))
			d.LastSeen = max(d.LastSeen, f.uint64())
			return true, f.done()
		})
		if err != nil {
			return err
		}
		prefix := nameKey(rowKeyPackage, user)
		return scan(txn, prefix, nil, func(key, value []byte) (bool, error) {
			k, ok, err := s.readKeyPackage(prefix, key, value)
			if ok {
				note(string(k.name)).KeyPackages++
			}
			return err == nil, err
		})
	})
	out := make([]groups.DeviceRecord, 0, len(byName))
	for name, d := range byName {
		if d.Device, err = groups.NewDeviceID(user, name); err == nil {
			out = append(out, *d)
		}
	}
	slices.SortFunc(out, func(a, b groups.DeviceRecord) int { return bytes.Compare([]byte(a.Device), []byte(b.Device)) })
	return out, readError(err)
}
