package groups

import (
	"time"

	"parley/mls/wire"
)

// policyVersion is the version of Policy this package writes and reads.
const policyVersion = 2

// maxKeyAge bounds the times in a policy.
const maxKeyAge = 100 * 365 * 24 * time.Hour

// Extension returns the policy as the GroupContext extension.
//
//	struct {
//	  uint8 version;
//	  opaque admins<V>;            // list of opaque user<V>
//	  uint8 members_may_add;
//	  uint8 basic_credentials;
//	  uint64 max_key_age;          // seconds, 0: no limit
//	  uint64 max_key_messages;     // 0: no limit
//	  uint64 default_key_age;      // seconds, 0: max_key_age
//	  uint64 auto_renew;           // seconds, 0: never
//	  uint8 grace_epochs;
//	  CoI cois<V>;
//	  CoIMode mode;                // any, all
//	  uint8 strict_status;
//	  uint8 post_quantum;
//	  HistoryMode history;         // none, own, all
//	  opaque readers<V>;           // list of opaque coi<V>
//	  CaseRule cases;
//	} Policy;
func (p *Policy) Extension() wire.Extension {
	w := wire.NewWriter(nil)
	w.Uint8(policyVersion)
	w.Vector(func(w *wire.Writer) {
		for _, a := range p.Admins {
			w.String(string(a))
		}
	})
	w.Bool(p.MembersMayAdd)
	w.Bool(p.BasicCredentials)
	w.Uint64(uint64(p.MaxKeyAge / time.Second))
	w.Uint64(p.MaxKeyMessages)
	w.Uint64(uint64(p.DefaultKeyAge / time.Second))
	w.Uint64(uint64(p.AutoRenew / time.Second))
	w.Uint8(p.GraceEpochs)
	w.Vector(func(w *wire.Writer) {
		for i := range p.CoIs {
			p.CoIs[i].Encode(w)
		}
	})
	w.Uint8(uint8(p.Mode))
	w.Bool(p.StrictStatus)
	w.Bool(p.PostQuantum)
	w.Uint8(uint8(p.History))
	w.Vector(func(w *wire.Writer) {
		for _, c := range p.Readers {
			w.String(string(c))
		}
	})
	p.Cases.Encode(w)
	return wire.Extension{ExtensionType: PolicyExtension, ExtensionData: w.Bytes()}
}

// ParsePolicy reads the extension's data. That a policy parses does not mean
// that it may be a room's: Check says that.
func ParsePolicy(data []byte) (Policy, error) {
	var p Policy
	r := wire.NewReader(data)
	if v := r.Uint8(); r.Err() == nil && v != policyVersion {
		return p, Errorf(Invalid, "policy: unknown version %d", v)
	}
	p.Admins = decodeNames[UserID](r, maxAdmins)
	p.MembersMayAdd = r.Bool()
	p.BasicCredentials = r.Bool()
	p.MaxKeyAge = decodeAge(r)
	p.MaxKeyMessages = r.Uint64()
	p.DefaultKeyAge = decodeAge(r)
	p.AutoRenew = decodeAge(r)
	p.GraceEpochs = r.Uint8()
	p.decodeCoIs(r)
	if err := r.Done(); err != nil {
		return p, Errorf(Invalid, "policy: %w", err)
	}
	if p.GraceEpochs > PastEpochs || p.Mode > CoIAll || p.History > HistoryAll {
		return p, Errorf(Invalid, "policy: a limit is out of range")
	}
	return p, nil
}

// decodeCoIs reads what a policy says about readers beside the members.
func (p *Policy) decodeCoIs(r *wire.Reader) {
	r.Vector(func(r *wire.Reader) {
		if len(p.CoIs) >= MaxCoIs {
			r.Fail(wire.ErrTooLong)
			return
		}
		var c CoI
		c.Decode(r)
		p.CoIs = append(p.CoIs, c)
	})
	p.Mode = CoIMode(r.Uint8())
	p.StrictStatus = r.Bool()
	p.PostQuantum = r.Bool()
	p.History = HistoryMode(r.Uint8())
	p.Readers = decodeNames[CoIID](r, MaxCoIs)
	p.Cases.Decode(r)
}

// decodeNames reads a list of at most limit URIs.
func decodeNames[T ~string](r *wire.Reader, limit int) []T {
	var names []T
	r.Vector(func(r *wire.Reader) {
		if len(names) >= limit {
			r.Fail(wire.ErrTooLong)
			return
		}
		names = append(names, T(r.OpaqueMax(MaxName)))
	})
	return names
}

// decodeAge reads a time in seconds.
func decodeAge(r *wire.Reader) time.Duration {
	age := r.Uint64()
	if age > uint64(maxKeyAge/time.Second) {
		r.Fail(wire.ErrMalformed)
		return 0
	}
	return time.Duration(age) * time.Second
}
