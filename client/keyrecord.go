package client

import (
	"errors"
	"time"

	"parley/groups"
	"parley/mls"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A keyState is what a device keeps of a room's keys, beside the group: part of
// the room's row.
type keyState struct {
	Record []byte      `json:",omitempty"` // of the current epoch; nil if it has none
	Last   groups.Hash // of the room's last record
	Made   uint64      // CreatedAt of that one
	// Bad says why the current epoch's record is not one to send under.
	Bad string `json:",omitempty"`
	// Denied says why nothing is sent: a community's certificate was revoked and
	// there is no other.
	Denied string `json:",omitempty"`
	// Accepted is the encryption configuration that the person accepted last.
	Accepted []byte `json:",omitempty"`

	asked bool // the key that is being made is one that a person asks for
}

// A keyRow is what a device keeps of the key of an epoch.
type keyRow struct {
	Seq    groups.Seq // of the entry the record came with; zero if it came with a Welcome
	At     uint64     // when the hub accepted that entry
	Record []byte
	Author [][]byte // certificates of who made it, leaf first
	Key    []byte   // signature key of the author's leaf
	Bad    string   `json:",omitempty"`
}

// A needCertificates says that a commit can not be made before certificates of
// communities have been fetched.
type needCertificates struct {
	policy *groups.Policy
	// bare says that the commit may be made without a record: it adds nobody,
	// and removing somebody does not wait for a PKI.
	bare bool
}

// Error says what is missing.
func (e *needCertificates) Error() string { return "certificates of communities have to be fetched" }

// A making is what a record is made of, beside the group and the certificates.
type making struct {
	reason groups.KeyReason
	prev   groups.Hash
	since  uint64 // CreatedAt of the record before
	now    time.Time
}

// makeRecord makes the key record of the epoch that next begins, with the room
// key wrapped to every community of its policy; nil if the policy names none.
func (d *Device) makeRecord(next *mls.Group, m making) (*groups.KeyRecord, error) {
	context := next.GroupContext()
	policy, err := policyOf(context.Extensions)
	if err != nil || len(policy.CoIs) == 0 {
		return nil, err
	}
	to, recipients, ok := d.desk.recipients(policy, m.now)
	if !ok {
		return nil, &needCertificates{policy: policy}
	}
	me, err := d.identity(uint16(context.CipherSuite))
	if err != nil {
		return nil, err
	}
	return NewKeyRecord(next, me, &KeyWrapping{
		To: to, Recipients: recipients, Reason: m.reason, Prev: m.prev, Made: millis(max(uint64(m.now.UnixMilli()), m.since)),
	})
}

// policyOf reads the policy of a GroupContext.
func policyOf(extensions wire.Extensions) (*groups.Policy, error) {
	data, found := extensions.Find(groups.PolicyExtension)
	if !found {
		return nil, groups.Errorf(groups.Invalid, "the group has no room policy")
	}
	p, err := groups.ParsePolicy(data)
	return &p, err
}

// certificatesOf returns the chain of an X.509 credential, leaf first.
func certificatesOf(c *wire.Credential) [][]byte {
	chain := make([][]byte, len(c.Certificates))
	for i := range c.Certificates {
		chain[i] = c.Certificates[i].CertData
	}
	return chain
}

// recordOf makes the record of the epoch a commit of ours leads to, nil if the
// room needs none.
func (d *Device) recordOf(r *room, p *mls.Pending) ([]byte, error) {
	record, err := d.makeRecord(p.Next, making{reason: r.reasonOf(&p.Change), prev: r.Keys.Last, since: r.Keys.Made, now: r.at})
	if need, missing := errors.AsType[*needCertificates](err); missing {
		need.bare = len(p.Change.Removed) > 0 && len(p.Change.Added) == 0 && !p.Change.ExtensionsReplaced
	}
	if err != nil || record == nil {
		return nil, err
	}
	if r.Keys.asked {
		if err := r.accepted(record.Recipients); err != nil {
			return nil, err
		}
	}
	return record.Marshal(), nil
}

// reasonOf says why a commit makes a new key.
func (r *room) reasonOf(c *tree.Change) groups.KeyReason {
	switch {
	case r.reason != 0:
		return r.reason
	case len(c.Added) > 0:
		return groups.KeyJoined
	case len(c.Removed) > 0:
		return r.removal(c)
	}
	return groups.KeyRotatedByPolicy
}

// removal tells who left by themselves from who was removed.
func (r *room) removal(c *tree.Change) groups.KeyReason {
	asked := make(map[wire.LeafIndex]bool)
	for _, p := range r.group.PendingProposals() {
		if p.Proposal.Remove != nil && p.Outside == nil && p.Sender == p.Proposal.Remove.Removed {
			asked[p.Proposal.Remove.Removed] = true
		}
	}
	for _, m := range c.Removed {
		if !asked[m.Index] {
			return groups.KeyRemoved
		}
	}
	return groups.KeyLeft
}
