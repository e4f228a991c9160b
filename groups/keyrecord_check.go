package groups

import (
	"time"

	"parley/mls/suite"
	"parley/mls/wire"
)

// A KeyEpoch is the epoch that a key record is judged for, as the judge knows
// it from the room's log and group, not as the record claims it.
type KeyEpoch struct {
	Context *wire.GroupContext
	Policy  *Policy        // of this epoch
	Author  wire.LeafIndex // who has to have made it: the committer, or who submits it
	Leaf    *wire.LeafNode // of the author, in this epoch's tree
	Prev    Hash           // the room's last record, zero if there is none
	Since   uint64         // CreatedAt of that one
	At      uint64         // when the hub accepts it, ms since 1970
	Added   bool           // the commit adds a device
	Removed bool           // the commit removes one
	Late    bool           // it comes after the commit, by itself
}

// Check says whether a record is the one that an epoch needs. The hub asks
// before it orders a record, a follower before it stores it, a member before it
// uses the key: all of them this function. That the envelope holds the key is
// for those to check who can open it, and KeyID for the members. What is wrong
// is Invalid.
func (r *KeyRecord) Check(e *KeyEpoch) error {
	bad := func(format string, args ...any) error {
		args = append([]any{r.Epoch, r.Room}, args...)
		return Errorf(Invalid, "key record of epoch %d of %s: "+format, args...)
	}
	s, err := suite.Lookup(suite.ID(e.Context.CipherSuite))
	if err != nil {
		return bad("%w", err)
	}
	switch {
	case len(e.Policy.CoIs) == 0:
		return bad("the room's policy names no community")
	case string(r.Room) != string(e.Context.GroupID) || r.Epoch != Epoch(e.Context.Epoch):
		return bad("it is needed for epoch %d of %s", e.Context.Epoch, e.Context.GroupID)
	case r.ContextHash != ContextHash(e.Context):
		return bad("made for another group context")
	case r.AuthorLeaf != uint32(e.Author):
		return bad("made by leaf %d, it comes from leaf %d", r.AuthorLeaf, e.Author)
	case r.Prev != e.Prev:
		return bad("follows record %v, the last one is %v", r.Prev, e.Prev)
	case r.KeyID == Hash{}:
		return bad("names no key")
	case len(r.Envelope) == 0 || len(r.Envelope) > MaxEnvelope:
		return bad("an envelope of %d bytes: between 1 and %d", len(r.Envelope), MaxEnvelope)
	case !e.plausible(r.Reason):
		return bad("%v is not what happened", r.Reason)
	}
	if err := r.checkTimes(e); err != nil {
		return bad("%w", err)
	}
	if err := r.checkRecipients(e); err != nil {
		return bad("%w", err)
	}
	return r.Verify(s, e.Leaf)
}

// checkTimes: made now, as far as clocks agree, not before the record that it
// follows, and ending within what the policy allows.
func (r *KeyRecord) checkTimes(e *KeyEpoch) error {
	const skew = uint64(ClockSkew / time.Millisecond)
	p := e.Policy
	longest := p.MaxKeyAge
	if longest == 0 {
		longest = maxKeyAge
	}
	switch {
	case r.CreatedAt+skew < e.At || r.CreatedAt > e.At+skew:
		return Errorf(Invalid, "made at %d, it is %d: correct the clock", r.CreatedAt, e.At)
	case r.CreatedAt < e.Since:
		return Errorf(Invalid, "made before the record that it follows")
	case r.NotAfter == 0 && p.MaxKeyAge > 0:
		return Errorf(Invalid, "its key never ends, the policy allows %v", p.MaxKeyAge)
	case r.NotAfter != 0 && r.NotAfter <= r.CreatedAt:
		return Errorf(Invalid, "its key ends before it is made")
	case r.NotAfter > r.CreatedAt+uint64(longest/time.Millisecond):
		return Errorf(Invalid, "its key lasts longer than %v", longest)
	}
	return nil
}

// checkRecipients: exactly the policy's communities, in its order, each under a
// certificate, and with word of its status where there is a service for that.
func (r *KeyRecord) checkRecipients(e *KeyEpoch) error {
	if len(r.Recipients) != len(e.Policy.CoIs) {
		return Errorf(Invalid, "wrapped to %d communities, the policy names %d", len(r.Recipients), len(e.Policy.CoIs))
	}
	for i, c := range r.Recipients {
		coi := &e.Policy.CoIs[i]
		switch {
		case c.Name != coi.Name:
			return Errorf(Invalid, "wrapped to %q, the policy names %s there", c.Name, coi.Name)
		case c.Certificate == Hash{} || len(c.Serial) == 0 || len(c.Serial) > MaxSerial:
			return Errorf(Invalid, "wrapped to %s under no certificate", c.Name)
		case coi.Status != "" && c.Status == Hash{}:
			return Errorf(Invalid, "wrapped to %s without word of its certificate's status", c.Name)
		case c.StatusAt > r.CreatedAt+uint64(ClockSkew/time.Millisecond):
			return Errorf(Invalid, "the status of %s is from the future", c.Name)
		}
	}
	return nil
}

// plausible says whether a reason can be true. Of a record that comes later
// than its commit it is not known what the commit did.
func (e *KeyEpoch) plausible(k KeyReason) bool {
	first := e.Context.Epoch == 0
	switch k {
	case KeyCreated:
		return first
	case KeyJoined, KeyRejoined:
		return !first && (e.Added || e.Late)
	case KeyLeft, KeyRemoved:
		return !first && (e.Removed || e.Late)
	case KeyRotatedByUser, KeyRotatedByPolicy, KeyCertificateReplaced:
		return !first
	}
	return false
}
