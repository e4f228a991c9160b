package groups

import (
	"slices"
	"time"

	"parley/mls/wire"
)

// PolicyExtension is the GroupContext extension that holds a room's policy, in
// the private-use range of RFC 9420, Section 17.3. All members agree on it,
// because they agree on the GroupContext.
const PolicyExtension wire.ExtensionType = 0xf0a1

// maxAdmins bounds the list of admins.
const maxAdmins = 1024

// A Policy is what a room's members and its hub hold each other to. Whoever may
// open the room beside its members stands in it, so that nobody can be brought
// to seal for a reader that others do not see.
type Policy struct {
	// Admins may add and remove anyone and change the policy.
	Admins []UserID
	// MembersMayAdd lets every member add people. A person's own devices may
	// always be added and removed by that person.
	MembersMayAdd bool
	// BasicCredentials lets leaves without a certificate in (interop, tests).
	BasicCredentials bool
	// MaxKeyAge ends a key by time, MaxKeyMessages by use; zero means never.
	MaxKeyAge      time.Duration
	MaxKeyMessages uint64
	// DefaultKeyAge is how long a key lasts unless its maker says otherwise,
	// at most MaxKeyAge; zero means MaxKeyAge.
	DefaultKeyAge time.Duration
	// AutoRenew is how long before a key ends devices may make the next one by
	// themselves; zero means that only people make keys.
	AutoRenew time.Duration
	// GraceEpochs is how many epochs back a late message is accepted, at most
	// PastEpochs.
	GraceEpochs uint8
	// CoIs are the Communities of Interest that each room key is wrapped to,
	// sorted by name, at most MaxCoIs; none means that no key is wrapped.
	CoIs []CoI
	// Mode says whether one of them opens a key, or all of them together.
	Mode CoIMode
	// StrictStatus asks for the status of each certificate, with a nonce, at
	// every wrap; else a stapled response is enough.
	StrictStatus bool
	// PostQuantum nests X-Wing in the envelope.
	PostQuantum bool
	// History says what a member may read of the time before it joined.
	History HistoryMode
	// Readers are the CoIs, of those above, whose devices may read the room
	// without a leaf; sorted.
	Readers []CoIID
	// Cases says who together may have keys opened without being a member. The
	// zero value means nobody.
	Cases CaseRule
}

// DefaultPolicy is the policy of a new room: its creator administers it, keys
// last thirty days, late messages of five epochs are accepted, and nobody but
// the members can open anything.
func DefaultPolicy(creator UserID) Policy {
	return Policy{
		Admins:      []UserID{creator},
		MaxKeyAge:   30 * 24 * time.Hour,
		GraceEpochs: PastEpochs,
	}
}

// Admin says whether u administers the room.
func (p *Policy) Admin(u UserID) bool {
	for _, a := range p.Admins {
		if a == u {
			return true
		}
	}
	return false
}

// KeyEnd is when a key made at a time ends if its maker says nothing else, both
// in ms since 1970; 0 means never.
func (p *Policy) KeyEnd(made uint64) uint64 {
	age := p.DefaultKeyAge
	if age == 0 {
		age = p.MaxKeyAge
	}
	if age == 0 {
		return 0
	}
	return made + uint64(age/time.Millisecond)
}

// readerSites returns the sites of the Readers, sorted.
func (p *Policy) readerSites() []SiteID {
	var sites []SiteID
	for _, c := range p.Readers {
		sites = append(sites, c.Site())
	}
	slices.Sort(sites)
	return slices.Compact(sites)
}

// ReaderSite says whether devices of a site may read the room without a leaf:
// one of the Readers is of it.
func (p *Policy) ReaderSite(s SiteID) bool {
	for _, c := range p.Readers {
		if c.Site() == s {
			return true
		}
	}
	return false
}
