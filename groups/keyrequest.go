package groups

import (
	"fmt"

	"parley/mls/tree"
	"parley/mls/wire"
)

// KeyRequestVersion is the version of KeyRequest this package writes and reads.
const KeyRequestVersion = 1

// A KeyRequest is what a device asks of an unwrap service: the keys of epochs,
// with what shows that it may have them. It is signed with the device's
// credential key over SigningBytes.
//
//	struct {
//	  uint8 version;
//	  opaque coi<V>; opaque device<V>;
//	  opaque service<V>;           // its URI
//	  uint64 time;
//	  opaque nonce[16];
//	  opaque response_key<V>;      // HPKE X-Wing public key
//	  opaque reason<V>;
//	  Anchor anchors<V>;
//	  KeyItem items<V>;
//	} KeyRequest;
type KeyRequest struct {
	CoI         CoIID
	Device      DeviceID
	Service     string
	Time        uint64 // ms since 1970
	Nonce       [16]byte
	ResponseKey []byte
	Reason      string
	Anchors     []Anchor  // at most MaxAnchors
	Items       []KeyItem // at most MaxKeyItems
}

// A Proven is a key record with the GroupContext it names and the proof that
// its author's leaf stands in that context's tree.
//
//	struct {
//	  opaque record<V>; opaque context<V>; MembershipProof author<V>;
//	} Proven;
type Proven struct {
	Record  []byte // KeyRecord
	Context []byte // GroupContext
	Author  *tree.MembershipProof
}

// An Anchor is a record whose maker vouches for who is in the tree of its
// epoch: it knew that epoch's key, and had read what it vouches for anyway.
//
//	struct {
//	  Proven proven;
//	  optional<MembershipProof> self;    // the requester's own leaf in this tree
//	  optional<Vouch> next;              // who vouches for this anchor
//	} Anchor;
type Anchor struct {
	Proven
	Self *tree.MembershipProof // nil if the requester has no leaf here
	Next *Vouch                // nil for one that nobody vouches for
}

// A Vouch says that the author of an anchor was a member of an epoch: by the
// proof of a leaf in that epoch's tree with the same signature key.
//
//	struct { uint16 anchor; MembershipProof author<V>; } Vouch;
type Vouch struct {
	Anchor uint16 // index into the request's Anchors
	Author *tree.MembershipProof
}

// A Standing is what a device's right to a key rests on.
type Standing uint8

// The standings.
const (
	StandingMember   Standing = iota + 1 // own leaf in the epoch's tree
	StandingUser                         // a leaf of the same person, and an own one later
	StandingNewcomer                     // an own leaf later
	StandingReader                       // the epoch's policy lets the CoI read
)

// String returns the standing's name.
func (s Standing) String() string {
	names := [...]string{"", "member", "user", "newcomer", "reader"}
	if int(s) < len(names) && s != 0 {
		return names[s]
	}
	return fmt.Sprintf("standing(%d)", uint8(s))
}

// A KeyItem asks for the key of one epoch.
//
//	struct {
//	  Proven proven;
//	  Standing standing;
//	  optional<MembershipProof> member;  // own leaf, or one of the same person
//	  optional<Vouch> anchor;            // who vouches for the requester
//	} KeyItem;
type KeyItem struct {
	Proven
	Standing Standing
	Member   *tree.MembershipProof
	Anchor   *Vouch
}

// keyRequestPrefix keeps the signature of a request apart from all others.
const keyRequestPrefix = "Parley 1 unwrap\x00"

// SigningBytes returns what the device signs.
func (q *KeyRequest) SigningBytes() []byte {
	return append([]byte(keyRequestPrefix), q.Marshal()...)
}

// Marshal returns the encoded request.
func (q *KeyRequest) Marshal() []byte {
	w := wire.NewWriter(nil)
	w.Uint8(KeyRequestVersion)
	w.String(string(q.CoI))
	w.String(string(q.Device))
	w.String(q.Service)
	w.Uint64(q.Time)
	w.Raw(q.Nonce[:])
	w.Opaque(q.ResponseKey)
	w.String(q.Reason)
	w.Vector(func(w *wire.Writer) {
		for i := range q.Anchors {
			q.Anchors[i].Encode(w)
		}
	})
	w.Vector(func(w *wire.Writer) {
		for i := range q.Items {
			q.Items[i].Encode(w)
		}
	})
	return w.Bytes()
}

// ParseKeyRequest reads one request and nothing after it. What it returns
// aliases b. The shape of its proofs is checked and that its vouches name an
// anchor, nothing of what they say.
func ParseKeyRequest(b []byte) (*KeyRequest, error) {
	if len(b) > MaxKeyRequest {
		return nil, Errorf(TooLarge, "key request of %d bytes: at most %d", len(b), MaxKeyRequest)
	}
	r := wire.NewReader(b)
	q := new(KeyRequest)
	if v := r.Uint8(); r.Err() == nil && v != KeyRequestVersion {
		r.Fail(fmt.Errorf("%w: key request version %d", wire.ErrMalformed, v))
	}
	q.CoI = CoIID(r.OpaqueMax(MaxName))
	q.Device = DeviceID(r.OpaqueMax(MaxName))
	q.Service = string(r.OpaqueMax(MaxURL))
	q.Time = r.Uint64()
	copy(q.Nonce[:], r.Fixed(len(q.Nonce)))
	q.ResponseKey = r.OpaqueMax(MaxResponseKey)
	q.Reason = string(r.OpaqueMax(MaxReason))
	r.Vector(func(r *wire.Reader) {
		if len(q.Anchors) >= MaxAnchors {
			r.Fail(wire.ErrTooLong)
			return
		}
		var a Anchor
		a.Decode(r)
		q.Anchors = append(q.Anchors, a)
	})
	r.Vector(func(r *wire.Reader) {
		if len(q.Items) >= MaxKeyItems {
			r.Fail(wire.ErrTooLong)
			return
		}
		var i KeyItem
		i.Decode(r)
		q.Items = append(q.Items, i)
	})
	if err := r.Done(); err != nil {
		return nil, Errorf(Invalid, "key request: %w", err)
	}
	return q, q.checkVouches()
}

// checkVouches: each names an anchor, and of anchors a later one, so that no
// chain of them comes back to itself.
func (q *KeyRequest) checkVouches() error {
	for i := range q.Anchors {
		if next := q.Anchors[i].Next; next != nil && (int(next.Anchor) <= i || int(next.Anchor) >= len(q.Anchors)) {
			return Errorf(Invalid, "key request: anchor %d is vouched for by %d of %d", i, next.Anchor, len(q.Anchors))
		}
	}
	for i := range q.Items {
		if a := q.Items[i].Anchor; a != nil && int(a.Anchor) >= len(q.Anchors) {
			return Errorf(Invalid, "key request: item %d names anchor %d of %d", i, a.Anchor, len(q.Anchors))
		}
	}
	return nil
}
