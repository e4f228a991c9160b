package mls

import (
	"encoding/hex"
	"fmt"

	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// A pskFinder returns the pre-shared key of that name; false if there is none.
type pskFinder func(id *wire.PreSharedKeyID) ([]byte, bool)

// pskSecret chains the pre-shared keys of a commit or Welcome (RFC 9420,
// Section 8.4). It is nil, which stands for zeros, if there are none. It fails
// with ErrNoPSK.
func pskSecret(s *suite.Suite, ids []wire.PreSharedKeyID, find pskFinder) (secret []byte, err error) {
	n := s.HashSize()
	for i := range ids {
		psk, ok := find(&ids[i])
		if !ok {
			return nil, fmt.Errorf("%s: %w", describePSK(&ids[i]), ErrNoPSK)
		}
		label := wire.Marshal(wire.PSKLabel{ID: ids[i], Index: uint16(i), Count: uint16(len(ids))})
		input := s.ExpandWithLabel(s.Extract(make([]byte, n), psk), "derived psk", label, n)
		if secret == nil {
			secret = make([]byte, n)
		}
		secret = s.Extract(input, secret)
	}
	return secret, nil
}

// describePSK names a PSK in an error.
func describePSK(id *wire.PreSharedKeyID) string {
	if id.PSKType == wire.PSKTypeResumption {
		return fmt.Sprintf("psk of epoch %d of group %q", id.PSKEpoch, id.PSKGroupID[:min(len(id.PSKGroupID), maxSecret)])
	}
	return "psk " + hex.EncodeToString(id.PSKID[:min(len(id.PSKID), maxSecret)])
}

// verifyPSKs verifies the names of the pre-shared keys in a Welcome (RFC 9420,
// Sections 8.4 and 12.4.3.1).
func verifyPSKs(s *suite.Suite, ids []wire.PreSharedKeyID) error {
	if len(ids) > tree.MaxPSKs {
		return tree.ErrTooManyPSKs
	}
	seen := make(map[string]struct{}, len(ids))
	succession := 0
	for i := range ids {
		id := &ids[i]
		if len(id.PSKNonce) != s.HashSize() {
			return tree.ErrPSKNonce
		}
		name := string(wire.Marshal(*id))
		if _, twice := seen[name]; twice {
			return tree.ErrDuplicatePSK
		}
		seen[name] = struct{}{}
		if usage(id) != 0 {
			succession++
		}
	}
	if succession > 1 {
		return fmt.Errorf("%d of them: %w", succession, tree.ErrPSKUsage)
	}
	return nil
}

// usage is reinit or branch if a PSK leads from one group to another, else 0.
func usage(id *wire.PreSharedKeyID) wire.ResumptionPSKUsage {
	if id.PSKType == wire.PSKTypeResumption && id.Usage != wire.ResumptionPSKUsageApplication {
		return id.Usage
	}
	return 0
}

// injection proposes a pre-shared key with a fresh nonce.
func injection(s *suite.Suite, id wire.PreSharedKeyID) wire.Proposal {
	id.PSKNonce = suite.Random(s.HashSize())
	return wire.Proposal{ProposalType: wire.ProposalTypePSK, PreSharedKey: &wire.PreSharedKey{PSK: id}}
}

// ExternalPSK names a pre-shared key that the application knows as id.
func ExternalPSK(id []byte) wire.PreSharedKeyID {
	return wire.PreSharedKeyID{PSKType: wire.PSKTypeExternal, PSKID: id}
}

// ResumptionPSK names the resumption PSK of an epoch of a group, for the
// application's use (RFC 9420, Section 8.6).
func ResumptionPSK(groupID []byte, epoch uint64) wire.PreSharedKeyID {
	return wire.PreSharedKeyID{
		PSKType: wire.PSKTypeResumption, Usage: wire.ResumptionPSKUsageApplication,
		PSKGroupID: groupID, PSKEpoch: epoch,
	}
}

// Resumption returns the resumption PSK of this epoch or of one of the past
// epochs that are kept (RFC 9420, Section 8.6), for PSKs of other groups. It
// must not be changed.
func (g *Group) Resumption(number uint64) ([]byte, bool) {
	p := g.carried(number)
	if p == nil || len(p.resumption) == 0 {
		return nil, false
	}
	return p.resumption, true
}

// find is Policy.find, after what the Group and predecessor, if any, keep.
func (g *Group) finder(predecessor *Group) pskFinder {
	return func(id *wire.PreSharedKeyID) ([]byte, bool) {
		for _, from := range []*Group{predecessor, g} {
			if from == nil || id.PSKType != wire.PSKTypeResumption || string(id.PSKGroupID) != string(from.GroupID()) {
				continue
			}
			if psk, ok := from.Resumption(id.PSKEpoch); ok {
				return psk, true
			}
		}
		return g.policy.find(id)
	}
}

// find asks the application for a pre-shared key.
func (p *Policy) find(id *wire.PreSharedKeyID) ([]byte, bool) {
	switch {
	case p.PSKs == nil:
		return nil, false
	case id.PSKType == wire.PSKTypeExternal:
		return p.PSKs.External(id.PSKID)
	}
	return p.PSKs.Resumption(id.PSKGroupID, id.PSKEpoch)
}

// findPSK finds the pre-shared keys of a Welcome: those of its predecessor are
// for a successor only.
func (o *JoinOptions) findPSK(id *wire.PreSharedKeyID) ([]byte, bool) {
	if g := o.Predecessor; g != nil && id.PSKType == wire.PSKTypeResumption && string(id.PSKGroupID) == string(g.GroupID()) {
		if psk, ok := g.Resumption(id.PSKEpoch); ok {
			return psk, true
		}
	}
	return o.Policy.find(id)
}

// blend learns what a commit of somebody else mixes into the next epoch: the
// pre-shared keys, and the init secret of an external commit.
func (g *Group) blend(tr *transition) (err error) {
	if tr.psk, err = pskSecret(g.suite, tr.change.PSKs, g.finder(nil)); err != nil {
		return err
	}
	if tr.change.External == nil {
		return nil
	}
	key, err := g.suite.DeriveKeyPair(g.secrets.external)
	if err != nil {
		return err
	}
	if tr.init, err = g.suite.ReceiveExternalInit(key, tr.change.External.KEMOutput); err != nil {
		return fmt.Errorf("external init: %w", err)
	}
	return nil
}

// ProposePSK proposes to mix in a pre-shared key (RFC 9420, Section 12.1.4),
// with a fresh nonce: ExternalPSK or ResumptionPSK name it. It fails with
// ErrNoPSK if it is not known here.
func (g *Group) ProposePSK(id wire.PreSharedKeyID, o MessageOptions) ([]byte, error) {
	if _, ok := g.finder(nil)(&id); !ok {
		return nil, fmt.Errorf("propose %s: %w", describePSK(&id), ErrNoPSK)
	}
	return g.propose(proposal{}, injection(g.suite, id), &o)
}
