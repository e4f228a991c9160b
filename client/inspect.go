package client

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
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

// A consent is what a person has accepted of a configuration.
type consent struct {
	Policy       []byte                       `json:"policy"`
	Certificates map[groups.CoIID]groups.Hash `json:"certificates"` // fingerprints
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

// compare finds what has changed since the person accepted a configuration.
func (d *Device) compare(id groups.RoomID, e *Encryption) error {
	d.mu.Lock()
	r := d.rooms[id]
	if r == nil {
		d.mu.Unlock()
		return notIn(id)
	}
	was := slices.Clone(r.Keys.Accepted)
	d.mu.Unlock()
	if was == nil {
		e.First = true
		return nil
	}
	var old consent
	if err := json.Unmarshal(was, &old); err != nil {
		return damaged(TableRooms, err)
	}
	policy, err := groups.ParsePolicy(old.Policy)
	if err != nil {
		return damaged(TableRooms, err)
	}
	e.Changes = differences(&policy, &e.Policy)
	for _, c := range e.Communities {
		if had, ok := old.Certificates[c.Name]; ok && c.Problem == "" && had != c.Certificate {
			e.Changes = append(e.Changes, fmt.Sprintf("%s has another certificate, serial %s", c.Name, c.Serial))
		}
	}
	e.Accepted = len(e.Changes) == 0
	return nil
}

// Accept notes that the person has seen a configuration and accepts it.
func (d *Device) Accept(e *Encryption) error {
	now := consent{Policy: encodedPolicy(&e.Policy), Certificates: make(map[groups.CoIID]groups.Hash)}
	for _, c := range e.Communities {
		if c.Problem == "" {
			now.Certificates[c.Name] = c.Certificate
		}
	}
	b, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("accept configuration: %w", err)
	}
	return d.change(e.Room, func(_ Tx, r *room) error {
		r.Keys.Accepted, r.moved = b, true
		return nil
	})
}

// differences says in words how one policy differs from another.
func differences(old, new *groups.Policy) []string {
	var list []string
	note := func(changed bool, format string, args ...any) {
		if changed {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	for i := range new.CoIs {
		c := &new.CoIs[i]
		j := slices.IndexFunc(old.CoIs, func(o groups.CoI) bool { return o.Name == c.Name })
		if j < 0 {
			note(true, "%s can open the keys, which it could not", c.Name)
			continue
		}
		o := &old.CoIs[j]
		note(o.Root != c.Root, "%s is under another root", c.Name)
		note(o.Lookup != c.Lookup || !slices.Equal(o.Unwrap, c.Unwrap) || o.Status != c.Status, "the services of %s lie elsewhere", c.Name)
		note(o.Officer != c.Officer, "the security officer of %s is %s, was %s", c.Name, c.Officer, o.Officer)
	}
	for _, o := range old.CoIs {
		note(!slices.ContainsFunc(new.CoIs, func(c groups.CoI) bool { return c.Name == o.Name }), "%s can no longer open new keys", o.Name)
	}
	note(old.Mode != new.Mode, "it takes %s of the communities to open a key, was %s", new.Mode, old.Mode)
	note(old.StrictStatus != new.StrictStatus, "certificates' status is asked for directly: %v, was %v", new.StrictStatus, old.StrictStatus)
	note(old.PostQuantum != new.PostQuantum, "keys are wrapped against quantum computers: %v, was %v", new.PostQuantum, old.PostQuantum)
	note(old.History != new.History, "new members may read history: %s, was %s", new.History, old.History)
	note(old.MaxKeyAge != new.MaxKeyAge, "a key lasts %v, was %v", new.MaxKeyAge, old.MaxKeyAge)
	note(old.DefaultKeyAge != new.DefaultKeyAge, "a key lasts %v unless its maker says otherwise, was %v", new.DefaultKeyAge, old.DefaultKeyAge)
	note(old.MaxKeyMessages != new.MaxKeyMessages, "a key seals %d messages, was %d", new.MaxKeyMessages, old.MaxKeyMessages)
	note(old.AutoRenew != new.AutoRenew, "keys are renewed %v before they end, was %v", new.AutoRenew, old.AutoRenew)
	note(!slices.Equal(old.Readers, new.Readers), "who may read without being a member: %v, was %v", new.Readers, old.Readers)
	note(old.Cases.Threshold != new.Cases.Threshold || !slices.Equal(old.Cases.Approvers, new.Cases.Approvers),
		"who may have keys opened for a case has changed")
	return list
}
