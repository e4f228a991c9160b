package groups

import (
	"fmt"
	"time"

	"parley/mls/tree"
	"parley/mls/wire"
)

// A WarrantKind is who proves that a device is to be out.
type WarrantKind uint8

// The kinds of warrants.
const (
	// WarrantRevoked is a status response (RFC 6960) of the device's CA: its
	// certificate is revoked.
	WarrantRevoked WarrantKind = iota + 1
	// WarrantCut is a signed statement of an unwrap service of one of the room's
	// CoIs: the device, a bot, is cut off.
	WarrantCut
)

// A Warrant stands beside a commit that removes a device, and proves that the
// device is to be out of the room, so that any member may remove it who has no
// other right to: the next one online.
//
//	struct { uint8 kind; opaque device<V>; opaque proof<V>; } Warrant;
type Warrant struct {
	Kind   WarrantKind
	Device DeviceID // that the commit removes
	Proof  []byte   // at most MaxProof
}

// A Bailiff is a Directory that also judges warrants. Without one there is no
// removal by warrant. It is safe for many goroutines.
type Bailiff interface {
	// Ousts returns nil only if the proof shows at a time that the device which a
	// leaf's credential names is to be out of a room whose keys are wrapped to some
	// CoIs. What it can not vouch for is Denied.
	Ousts(w *Warrant, leaf *wire.Credential, cois []CoI, now time.Time) error
}

func (w *Warrant) encode(out *wire.Writer) {
	out.Uint8(uint8(w.Kind))
	out.String(string(w.Device))
	out.Opaque(w.Proof)
}

// encodeWarrants writes nothing where there are none, so that a bundle without
// warrants is what it always was.
func encodeWarrants(w *wire.Writer, list []Warrant) {
	if len(list) == 0 {
		return
	}
	w.Vector(func(w *wire.Writer) {
		for i := range list {
			list[i].encode(w)
		}
	})
}

func decodeWarrants(r *wire.Reader) (list []Warrant) {
	if r.Err() != nil || r.Len() == 0 {
		return nil
	}
	r.Vector(func(r *wire.Reader) {
		if len(list) == MaxWarrants {
			r.Fail(fmt.Errorf("%w: more than %d warrants", wire.ErrMalformed, MaxWarrants))
			return
		}
		list = append(list, Warrant{Kind: WarrantKind(r.Uint8()), Device: DeviceID(r.OpaqueMax(MaxName)), Proof: r.OpaqueMax(MaxProof)})
	})
	if r.Err() == nil && len(list) == 0 {
		r.Fail(fmt.Errorf("%w: an empty list of warrants", wire.ErrMalformed))
	}
	return list
}

// An Ousting is what is asked about the warrants of a commit.
type Ousting struct {
	Warrants []Warrant
	Policy   *Policy                    // of the epoch that the commit ends
	Removed  []tree.Member              // by the commit
	Device   func(tree.Member) DeviceID // who sits at a leaf
	At       time.Time                  // when the hub took the commit
}

// Judge returns the devices whose removal is proven. The hub, a follower and a
// member ask the same, with the same time: each warrant is of a kind that is
// known, names a device that the commit removes, each one at most once, and holds;
// anything else spoils the commit. It looks at each warrant once, whatever the
// number of members.
func (o *Ousting) Judge(d Directory) (map[DeviceID]bool, error) {
	if len(o.Warrants) == 0 {
		return nil, nil
	}
	bailiff, ok := d.(Bailiff)
	if !ok {
		return nil, Errorf(Denied, "warrants are not judged here")
	}
	removed := make(map[DeviceID]*tree.Member, len(o.Removed))
	for i := range o.Removed {
		removed[o.Device(o.Removed[i])] = &o.Removed[i]
	}
	proven := make(map[DeviceID]bool, len(o.Warrants))
	for i := range o.Warrants {
		w := &o.Warrants[i]
		leaf := removed[w.Device]
		if leaf == nil || proven[w.Device] {
			return nil, Errorf(Invalid, "a warrant against %s, which the commit does not remove, or against it twice", w.Device)
		}
		if err := bailiff.Ousts(w, &leaf.LeafNode.Credential, o.Policy.CoIs, o.At); err != nil {
			return nil, err
		}
		proven[w.Device] = true
	}
	return proven, nil
}

// Unproven leaves out of a list the devices whose removal is proven.
func Unproven(removed []DeviceID, proven map[DeviceID]bool) (rest []DeviceID) {
	for _, d := range removed {
		if !proven[d] {
			rest = append(rest, d)
		}
	}
	return rest
}
