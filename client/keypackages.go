package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/groups"
	"parley/mls"
	"parley/mls/suite"
	"parley/mls/wire"
)

const (
	// keyPackageLife is how long a key package is good.
	keyPackageLife = 90 * 24 * time.Hour
	// maxPublish bounds the key packages of one call.
	maxPublish = 50
	// maxPrivate bounds the unused key packages whose private parts are kept;
	// expired ones are dropped first, then none is made.
	maxPrivate = 4 * groups.MaxKeyPackages
)

// PublishKeyPackages makes n new key packages and publishes them. Their
// private parts are durable before anybody can use them.
func (d *Device) PublishKeyPackages(ctx context.Context, n int) error {
	s, err := d.online("publish key packages")
	if err != nil {
		return err
	}
	return d.publish(ctx, s, n)
}

func (d *Device) publish(ctx context.Context, s *session, n int) error {
	for ; n > 0; n -= maxPublish {
		list, err := d.makeKeyPackages(min(n, maxPublish))
		if err != nil {
			return err
		}
		var answer devicev1.PublishKeyPackagesResponse
		if err := s.link.Call(ctx, &devicev1.PublishKeyPackagesRequest{KeyPackages: list}, &answer); err != nil {
			return fmt.Errorf("publish key packages: %w", err)
		}
	}
	return nil
}

// makeKeyPackages makes key packages and stores them.
func (d *Device) makeKeyPackages(n int) (list [][]byte, err error) {
	cs, err := suite.Lookup(d.cfg.Suite)
	if err != nil {
		return nil, err
	}
	me, err := d.self.Load().mls(cs)
	if err != nil {
		return nil, err
	}
	made := make([]*mls.KeyPackage, n)
	for i := range made {
		made[i], err = mls.NewKeyPackage(cs, me, mls.KeyPackageOptions{
			Now: d.cfg.Now(), Lifetime: keyPackageLife, Capabilities: leafCapabilities(),
		})
		if err != nil {
			return nil, err
		}
		list = append(list, made[i].Message())
	}
	return list, d.cfg.Store.Update(func(tx Tx) error {
		if err := d.pruneKeyPackages(tx, n); err != nil {
			return err
		}
		for _, kp := range made {
			b, err := kp.Marshal()
			if err != nil {
				return err
			}
			if err := tx.Put(TableKeyPackages, kp.Ref(), b); err != nil {
				return err
			}
		}
		return nil
	})
}

// pruneKeyPackages drops private parts that nobody can use any more, and
// refuses to keep more than maxPrivate.
func (d *Device) pruneKeyPackages(tx Tx, more int) error {
	var old [][]byte
	kept := 0
	now := uint64(d.cfg.Now().Add(-24 * time.Hour).Unix())
	err := tx.Scan(TableKeyPackages, Range{}, func(key, value []byte) bool {
		kp, err := mls.LoadKeyPackage(slices.Clone(value))
		if err != nil || kp.Public.LeafNode.Lifetime.NotAfter < now {
			old = append(old, slices.Clone(key))
		} else {
			kept++
		}
		return true
	})
	for _, key := range old {
		if err == nil {
			err = tx.Delete(TableKeyPackages, key)
		}
	}
	if err == nil && kept+more > maxPrivate {
		err = groups.Errorf(groups.Busy, "%d key packages have been made and not used", kept)
	}
	return err
}

// KeyPackageCount is how many unused key packages a device has.
type KeyPackageCount struct {
	Published int // at the gateway
	Private   int // private parts in the store
}

// KeyPackages counts this device's unused key packages.
func (d *Device) KeyPackages(ctx context.Context) (c KeyPackageCount, err error) {
	s, err := d.online("count key packages")
	if err != nil {
		return c, err
	}
	var answer devicev1.CountKeyPackagesResponse
	if err := s.link.Call(ctx, &devicev1.CountKeyPackagesRequest{}, &answer); err != nil {
		return c, fmt.Errorf("count key packages: %w", err)
	}
	c.Published = int(answer.Count)
	err = d.cfg.Store.View(func(tx Tx) error {
		return tx.Scan(TableKeyPackages, Range{}, func(_, _ []byte) bool { c.Private++; return true })
	})
	return c, err
}

// refill publishes key packages, if less than half of them are left.
func (d *Device) refill(ctx context.Context, s *session) error {
	var answer devicev1.CountKeyPackagesResponse
	if err := s.link.Call(ctx, &devicev1.CountKeyPackagesRequest{}, &answer); err != nil {
		return fmt.Errorf("count key packages: %w", err)
	}
	if have := int(answer.Count); have <= d.cfg.KeyPackages/2 {
		return d.publish(ctx, s, d.cfg.KeyPackages-have)
	}
	return nil
}

// claim takes key packages of all devices of users. What is malformed, not
// vouched for, or of somebody else is left out and logged.
func (d *Device) claim(ctx context.Context, s *session, id groups.RoomID, users []groups.UserID) (claimed, error) {
	got := claimed{packages: make(map[groups.DeviceID]*wire.KeyPackage), failed: make(map[groups.UserID]string)}
	cs, err := d.roomSuite(id)
	if err != nil {
		return got, err
	}
	req := &devicev1.ClaimKeyPackagesRequest{Room: string(id), Suite: uint32(cs.ID())}
	for _, u := range users {
		req.Users = append(req.Users, string(u))
	}
	var answer devicev1.ClaimKeyPackagesResponse
	if err := s.link.Call(ctx, req, &answer); err != nil {
		return got, fmt.Errorf("claim key packages: %w", err)
	}
	for _, f := range answer.Failures {
		got.failed[groups.UserID(f.User)] = f.Text // the kind is for programs
	}
	for _, k := range answer.KeyPackages {
		device, kp, err := d.checkKeyPackage(cs, k.KeyPackage)
		if err == nil && (string(device) != k.Device || !slices.Contains(users, device.User())) {
			err = fmt.Errorf("it is of %s", device)
		}
		if err != nil {
			d.meets(err)
			d.cfg.Log.Warn("key package is not used", "device", k.Device, "error", err)
			if name, bad := groups.ParseDeviceID(k.Device); bad == nil {
				got.failed[name.User()] = fmt.Sprintf("the key package of %s is not acceptable: %v", name.Name(), err)
			}
			continue
		}
		got.packages[device] = kp
	}
	return got, nil
}

// claimed are key packages by device, and why there are none of some users.
type claimed struct {
	packages map[groups.DeviceID]*wire.KeyPackage
	failed   map[groups.UserID]string
}

// roomSuite returns the cipher suite of a room.
func (d *Device) roomSuite(id groups.RoomID) (*suite.Suite, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[id]
	if r == nil {
		return nil, notIn(id)
	}
	return suite.Lookup(suite.ID(r.Suite))
}
