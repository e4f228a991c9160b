package client

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"parley/groups"
)

// A consent is the encryption configuration that a person has accepted for a
// room.
type consent struct {
	Policy       []byte                       `json:"policy"`
	Certificates map[groups.CoIID]groups.Hash `json:"certificates"` // fingerprints
}

// Unaccepted says that a person has not accepted the encryption configuration
// that a room has now, and so is not the one who makes a key under it. It is the
// cause of an error of kind Denied.
type Unaccepted struct {
	Room    groups.RoomID
	Changes []string // since they accepted one, in words; nil if they never have
}

// Error says what has changed, and what to do.
func (e *Unaccepted) Error() string {
	what := "was never accepted here"
	if len(e.Changes) > 0 {
		what = "has changed since it was accepted here (" + strings.Join(e.Changes, "; ") + ")"
	}
	return fmt.Sprintf("the encryption configuration of %s %s: look at it with parley room inspect, accept it with parley keys new", e.Room, what)
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

// Accepted says whether the person has accepted the encryption configuration
// that a room has now, as far as it can be told without asking the communities'
// services: nil if they have, or if its keys are wrapped to nobody; else the
// cause is an Unaccepted.
func (d *Device) Accepted(id groups.RoomID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[id]
	if r == nil {
		return notIn(id)
	}
	var recipients []groups.CoIRecipient
	if k, err := groups.ParseKeyRecord(r.Keys.Record); err == nil {
		recipients = k.Recipients
	}
	return r.accepted(recipients)
}

// accepted refuses what the person has not accepted: the room's policy, and the
// certificates that a key is wrapped to.
func (r *room) accepted(to []groups.CoIRecipient) error {
	if len(r.policy.CoIs) == 0 {
		return nil
	}
	given, err := r.consent()
	if err != nil {
		return err
	}
	if given == nil {
		return groups.Errorf(groups.Denied, "%w", &Unaccepted{Room: r.Room})
	}
	changes, err := given.changes(&r.policy, to)
	if err != nil || len(changes) == 0 {
		return err
	}
	return groups.Errorf(groups.Denied, "%w", &Unaccepted{Room: r.Room, Changes: changes})
}

// consent is what the person has accepted last, nil if nothing.
func (r *room) consent() (*consent, error) {
	if r.Keys.Accepted == nil {
		return nil, nil
	}
	c := new(consent)
	if err := json.Unmarshal(r.Keys.Accepted, c); err != nil {
		return nil, damaged(TableRooms, err)
	}
	return c, nil
}

// changes says in words what is other now than what was accepted.
func (c *consent) changes(now *groups.Policy, to []groups.CoIRecipient) ([]string, error) {
	policy, err := groups.ParsePolicy(c.Policy)
	if err != nil {
		return nil, damaged(TableRooms, err)
	}
	list := differences(&policy, now)
	for i := range to {
		r := &to[i]
		serial := new(big.Int).SetBytes(r.Serial)
		had, shown := c.Certificates[r.Name]
		known := slices.ContainsFunc(policy.CoIs, func(o groups.CoI) bool { return o.Name == r.Name })
		switch {
		case shown && had != r.Certificate:
			list = append(list, fmt.Sprintf("%s has another certificate, serial %x", r.Name, serial))
		case !shown && known:
			list = append(list, fmt.Sprintf("%s has a certificate, serial %x, and had none to show", r.Name, serial))
		}
	}
	return list, nil
}

// compare finds what has changed since the person accepted a configuration.
func (d *Device) compare(id groups.RoomID, e *Encryption) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[id]
	if r == nil {
		return notIn(id)
	}
	given, err := r.consent()
	if err != nil {
		return err
	}
	if e.First = given == nil; e.First {
		return nil
	}
	var to []groups.CoIRecipient
	for _, c := range e.Communities {
		if c.Problem == "" {
			serial, _ := new(big.Int).SetString(c.Serial, 16)
			to = append(to, groups.CoIRecipient{Name: c.Name, Certificate: c.Certificate, Serial: serial.Bytes()})
		}
	}
	e.Changes, err = given.changes(&e.Policy, to)
	e.Accepted = err == nil && len(e.Changes) == 0
	return err
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
