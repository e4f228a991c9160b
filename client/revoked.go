package client

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"parley/coi"
	"parley/groups"
	"parley/mls/wire"
)

// A device whose certificate its site has revoked, a bot's for instance, is
// removed from its rooms by whoever may and is online: the unwrap services give
// it nothing from that instant on, and this ends what the room itself gives it.

const (
	// statusEvery is how often a member's certificate is asked about.
	statusEvery = 5 * time.Minute
	// maxStatusRound bounds the questions of one round of upkeep; who was not
	// asked about in this one is in the next.
	maxStatusRound = 8
	// maxStatusTime bounds how long a round waits for answers.
	maxStatusTime = 5 * time.Second
	// maxAsked bounds the certificates whose last question is remembered; over
	// it, all are forgotten.
	maxAsked = 1 << 14
)

// A seat is a member's certificate and the responder of its site.
type seat struct {
	device groups.DeviceID
	chain  [][]byte
	site   groups.CoI // of which Name and Status are set
}

// expel removes devices with revoked certificates from a room, as far as this
// person may.
func (d *Device) expel(ctx context.Context, s *session, id groups.RoomID) error {
	seats, err := d.doubted(s, id)
	if err != nil || len(seats) == 0 {
		return err
	}
	look, cancel := context.WithTimeout(ctx, maxStatusTime)
	defer cancel()
	var out []groups.DeviceID
	for i := range seats {
		if d.cut(look, &seats[i]) {
			out = append(out, seats[i].device)
		}
	}
	if len(out) == 0 {
		return nil
	}
	d.cfg.Log.Warn("devices with revoked certificates are removed", "room", id, "devices", out)
	return d.RemoveDevices(ctx, id, out...)
}

// doubted lists members whom this device could remove and whose certificates
// were not asked about lately.
func (d *Device) doubted(s *session, id groups.RoomID) (list []seat, err error) {
	responders := d.responders()
	if len(responders) == 0 {
		return nil, nil
	}
	err = d.change(id, func(tx Tx, r *room) error {
		if err := d.openGroup(tx, r); err != nil {
			return err
		}
		now := d.cfg.Now()
		for _, i := range slices.Sorted(maps.Keys(r.roster().byLeaf)) {
			device := r.roster().byLeaf[i]
			site, known := responders[device.Site()]
			if !known || device == d.id || r.policy.Check(d.id, groups.Change{Removed: []groups.DeviceID{device}}) != nil {
				continue
			}
			leaf, ok := r.group.Tree().Leaf(i)
			if !ok || leaf.Credential.CredentialType != wire.CredentialTypeX509 || len(leaf.Credential.Certificates) == 0 {
				continue
			}
			chain := certificatesOf(&leaf.Credential)
			key := groups.Hash(sha256.Sum256(chain[0]))
			if now.Before(s.questioned[key].Add(statusEvery)) {
				continue
			}
			if len(s.questioned) >= maxAsked {
				clear(s.questioned)
			}
			s.questioned[key] = now
			if list = append(list, seat{device, chain, site}); len(list) == maxStatusRound {
				break
			}
		}
		return nil
	})
	return list, err
}

// responders are the status services of the sites that this device knows.
func (d *Device) responders() map[groups.SiteID]groups.CoI {
	out := make(map[groups.SiteID]groups.CoI)
	for _, c := range d.Communities() {
		if _, there := out[c.Name.Site()]; !there && c.Status != "" {
			out[c.Name.Site()] = groups.CoI{Name: c.Name, Status: c.Status}
		}
	}
	return out
}

// cut says whether a member's certificate is known for certain to be revoked.
// Whatever is not known changes nothing.
func (d *Device) cut(ctx context.Context, s *seat) bool {
	now := d.cfg.Now()
	subject, err := d.self.Load().trust.Verify(s.chain, coi.Device, now)
	if err != nil {
		return false // what has ended is renewed or removed otherwise
	}
	status, err := d.desk.direct(ctx, &s.site, subject.Leaf, subject.Issuer)
	if err != nil {
		status, err = d.desk.list(ctx, &s.site, subject.Leaf, subject.Issuer)
	}
	if err != nil {
		d.cfg.Log.Debug("status of a member", "device", s.device, "error", err)
		return false
	}
	return status.State == coi.Revoked
}

// isBot says whether a credential's certificate is one that no person holds.
func isBot(c *wire.Credential) bool {
	if len(c.Certificates) == 0 {
		return false
	}
	cert, err := x509.ParseCertificate(c.Certificates[0].CertData)
	return err == nil && coi.IsBot(cert)
}
