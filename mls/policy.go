package mls

import (
	"time"

	"parley/mls/tree"
	"parley/mls/wire"
)

// A Policy is what an application adds to the rules of the RFC. It must give
// the same answers to all members of a group.
type Policy struct {
	// PSKs finds pre-shared keys. Nil: none but the resumption PSKs that the Group
	// itself keeps.
	PSKs PSKs
	// Accept is asked about each proposal before anything else. Nil accepts those
	// of members, and refuses all messages from outside the group: external
	// senders, new members that propose themselves, external commits.
	Accept func(tree.Sent) error
	// Custom are the application's own proposal types; others are refused with
	// ErrUnsupported. Members list them in their capabilities.
	Custom map[wire.ProposalType]tree.CustomProposal
	// MaxLifetime bounds the lifetime of a key package that is added (RFC 9420,
	// Section 7.2), where the time is given. Zero means DefaultMaxLifetime, less
	// than zero any.
	MaxLifetime time.Duration
}

// DefaultMaxLifetime is the longest lifetime of a key package unless another is
// asked for: a year, and some weeks to renew it.
const DefaultMaxLifetime = 400 * 24 * time.Hour

// maxLifetime is what the public rules are given.
func (p *Policy) maxLifetime(now time.Time) time.Duration {
	switch {
	case now.IsZero():
		return 0
	case p.MaxLifetime == 0:
		return DefaultMaxLifetime
	}
	return max(p.MaxLifetime, 0)
}

// PSKs are the pre-shared keys that an application holds (RFC 9420,
// Section 8.4). Its methods return false for what they do not have. What they
// return must not be changed.
type PSKs interface {
	// External returns the key that the application knows under that psk_id.
	External(id []byte) (psk []byte, ok bool)
	// Resumption returns the resumption PSK of an epoch of another group, or of
	// this group before this client came or longer ago than the Group keeps it.
	Resumption(groupID []byte, epoch uint64) (psk []byte, ok bool)
}

// active refuses to use a group that a ReInit has ended: "the client MUST NOT
// use the group to send messages anymore" (RFC 9420, Section 12.4.2).
func (g *Group) active() error {
	if g.reinit != nil {
		return ErrSuspended
	}
	return nil
}

// ReInit returns what the group that follows this one must be, once a commit
// with a ReInit has ended this one; nil while it goes on. It must not be
// changed.
func (g *Group) ReInit() *wire.ReInit { return g.reinit }
