package groups

import (
	"slices"

	"parley/mls/wire"
)

// A CoI is a Community of Interest as a room's policy names it: whose
// certificates keys are wrapped to, and where its services are.
//
//	struct {
//	  opaque name<V>; Hash root; opaque lookup<V>;
//	  URL unwrap<V>;               // list of opaque url<V>
//	  opaque status<V>; opaque officer<V>;
//	} CoI;
type CoI struct {
	Name    CoIID
	Root    Hash     // SHA-256 of the certificate that its chain ends in
	Lookup  string   // URL of its lookup service
	Unwrap  []string // URLs of its unwrap services, in the order to try them
	Status  string   // URL of its OCSP responder, may be empty
	Officer string   // address of its site's security officer
}

// A CoIMode says how many CoIs it takes to open a key.
type CoIMode uint8

// The modes.
const (
	CoIAny CoIMode = iota // each of them alone
	CoIAll                // all of them together
)

// String returns the mode's name.
func (m CoIMode) String() string {
	if m == CoIAll {
		return "all"
	}
	return "any"
}

// A HistoryMode says what a member may read of the time before it joined.
type HistoryMode uint8

// The modes.
const (
	HistoryNone HistoryMode = iota // from joining on
	HistoryOwn                     // epochs in which the person had a device in the room
	HistoryAll                     // everything
)

// String returns the mode's name.
func (m HistoryMode) String() string {
	switch m {
	case HistoryOwn:
		return "own"
	case HistoryAll:
		return "all"
	}
	return "none"
}

// A CaseRule says who together may have a room's keys opened for a case:
// forensics, subpoena, loss prevention. Its zero value means that there is no
// such access.
//
//	struct { uint8 threshold; Approver approvers<V>; } CaseRule;
type CaseRule struct {
	Threshold uint8
	Approvers []Approver
}

// An Approver is somebody who may approve a case with a key of their own.
//
//	struct { opaque name<V>; Hash key; } Approver;
type Approver struct {
	Name string
	Key  Hash // SHA-256 of the SubjectPublicKeyInfo
}

// sameCoIs says whether two policies wrap keys to the same communities, under
// the same roots.
func sameCoIs(a, b *Policy) bool {
	return slices.EqualFunc(a.CoIs, b.CoIs, func(x, y CoI) bool { return x.Name == y.Name && x.Root == y.Root })
}

// Encode writes the community.
func (c *CoI) Encode(w *wire.Writer) {
	w.String(string(c.Name))
	w.Raw(c.Root[:])
	w.String(c.Lookup)
	w.Vector(func(w *wire.Writer) {
		for _, u := range c.Unwrap {
			w.String(u)
		}
	})
	w.String(c.Status)
	w.String(c.Officer)
}

// Decode reads a community.
func (c *CoI) Decode(r *wire.Reader) {
	c.Name = CoIID(r.OpaqueMax(MaxName))
	c.Root = r.Hash()
	c.Lookup = string(r.OpaqueMax(MaxURL))
	r.Vector(func(r *wire.Reader) {
		if len(c.Unwrap) >= MaxUnwrapServices {
			r.Fail(wire.ErrTooLong)
			return
		}
		c.Unwrap = append(c.Unwrap, string(r.OpaqueMax(MaxURL)))
	})
	c.Status = string(r.OpaqueMax(MaxURL))
	c.Officer = string(r.OpaqueMax(MaxName))
}

// Encode writes the rule.
func (c *CaseRule) Encode(w *wire.Writer) {
	w.Uint8(c.Threshold)
	w.Vector(func(w *wire.Writer) {
		for _, a := range c.Approvers {
			w.String(a.Name)
			w.Raw(a.Key[:])
		}
	})
}

// Decode reads a rule.
func (c *CaseRule) Decode(r *wire.Reader) {
	c.Threshold = r.Uint8()
	r.Vector(func(r *wire.Reader) {
		if len(c.Approvers) >= MaxApprovers {
			r.Fail(wire.ErrTooLong)
			return
		}
		c.Approvers = append(c.Approvers, Approver{Name: string(r.OpaqueMax(MaxName)), Key: r.Hash()})
	})
}
