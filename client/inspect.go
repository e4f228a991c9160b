package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"parley/groups"
)

// An Encryption is the encryption configuration of a room: everything that
// decides who can read what is written under the next key.
type Encryption struct {
	Room        groups.RoomID
	Epoch       groups.Epoch
	Suite       string
	Policy      groups.Policy
	Communities []CommunityInfo
	Key         *KeyInfo // in use, nil if it has no record
	Denied      string   // why nothing is sent now
	// Accepted says that the person has accepted this very configuration; Changes
	// are what has changed since they accepted one, in words. First is true if
	// they never have.
	Accepted, First bool
	Changes         []string
}

// A CommunityInfo is a Community of Interest of a room, as it stands now.
type CommunityInfo struct {
	groups.CoI
	Certificate         groups.Hash // fingerprint of the one that keys are wrapped to; zero if there is none
	Serial              string
	NotBefore, NotAfter time.Time
	StatusAt            time.Time // when the responder said that it is good
	Problem             string    // why keys can not be wrapped to it now
}

// Inspect describes how a room is encrypted, after asking the communities'
// services. A service that can not be reached is a Problem of its community, no
// error.
func (d *Device) Inspect(ctx context.Context, id groups.RoomID) (*Encryption, error) {
	info, err := d.Room(id)
	if err != nil {
		return nil, err
	}
	e := &Encryption{Room: id, Epoch: info.Epoch, Suite: info.Suite, Policy: info.Policy, Denied: info.KeyDenied}
	if k, err := d.Key(id); err == nil {
		e.Key = &k
	}
	for i := range e.Policy.CoIs {
		e.Communities = append(e.Communities, d.community(ctx, &e.Policy.CoIs[i], e.Policy.StrictStatus))
	}
	if err := d.watchKey(ctx, id); err != nil {
		d.cfg.Log.Info("inspect", "room", id, "error", err)
	}
	if now, err := d.Room(id); err == nil {
		e.Denied = now.KeyDenied
	}
	return e, d.compare(id, e)
}

// community describes one community.
func (d *Device) community(ctx context.Context, c *groups.CoI, strict bool) CommunityInfo {
	info := CommunityInfo{CoI: *c}
	s, err := d.desk.certify(ctx, c, strict)
	if err != nil {
		info.Problem = textOf(err)
		return info
	}
	info.Certificate, info.Serial = sha256.Sum256(s.leaf.Raw), fmt.Sprintf("%x", s.leaf.SerialNumber)
	info.NotBefore, info.NotAfter, info.StatusAt = s.leaf.NotBefore, s.leaf.NotAfter, millis(s.recipient.StatusAt)
	return info
}
