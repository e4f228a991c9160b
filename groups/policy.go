package groups

import (
	"time"

	"parley/mls/wire"
)

// PolicyExtension is the GroupContext extension that holds a room's policy, in
// the private-use range of RFC 9420, Section 17.3. All members agree on it,
// because they agree on the GroupContext.
const PolicyExtension wire.ExtensionType = 0xf0a1

// maxAdmins bounds the list of admins.
const maxAdmins = 1024

// A Policy is what a room's members and its hub hold each other to.
//
//	struct {
//	  uint8 version;
//	  opaque admins<V>;            // list of opaque user<V>
//	  uint8 members_may_add;
//	  uint8 basic_credentials;
//	  uint64 max_key_age;          // seconds, 0: no limit
//	  uint64 max_key_messages;     // 0: no limit
//	  uint8 grace_epochs;
//	} Policy;
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
	// GraceEpochs is how many epochs back a late message is accepted, at most
	// PastEpochs.
	GraceEpochs uint8
}

// DefaultPolicy is the policy of a new room: its creator administers it, keys
// last thirty days, late messages of five epochs are accepted.
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

// Extension returns the policy as the GroupContext extension.
func (p *Policy) Extension() wire.Extension {
	w := wire.NewWriter(nil)
	w.Uint8(1)
	w.Vector(func(w *wire.Writer) {
		for _, a := range p.Admins {
			w.String(string(a))
		}
	})
	w.Bool(p.MembersMayAdd)
	w.Bool(p.BasicCredentials)
	w.Uint64(uint64(p.MaxKeyAge / time.Second))
	w.Uint64(p.MaxKeyMessages)
	w.Uint8(p.GraceEpochs)
	return wire.Extension{ExtensionType: PolicyExtension, ExtensionData: w.Bytes()}
}

// ParsePolicy reads the extension's data.
func ParsePolicy(data []byte) (Policy, error) {
	var p Policy
	r := wire.NewReader(data)
	if v := r.Uint8(); r.Err() == nil && v != 1 {
		return p, Errorf(Invalid, "policy: unknown version %d", v)
	}
	r.Vector(func(r *wire.Reader) {
		if len(p.Admins) >= maxAdmins {
			r.Fail(wire.ErrTooLong)
			return
		}
		p.Admins = append(p.Admins, UserID(r.OpaqueMax(MaxName)))
	})
	p.MembersMayAdd = r.Bool()
	p.BasicCredentials = r.Bool()
	age := r.Uint64()
	p.MaxKeyMessages = r.Uint64()
	p.GraceEpochs = r.Uint8()
	if err := r.Done(); err != nil {
		return p, Errorf(Invalid, "policy: %w", err)
	}
	if age > uint64(100*365*24*time.Hour/time.Second) || p.GraceEpochs > PastEpochs {
		return p, Errorf(Invalid, "policy: a limit is out of range")
	}
	p.MaxKeyAge = time.Duration(age) * time.Second
	return p, nil
}
