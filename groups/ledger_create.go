package groups

import (
	"parley/mls/suite"
	"parley/mls/tree"
	"parley/mls/wire"
)

// create takes the first entry: a group of its creator alone, of the room's
// own site, with a policy.
func (s *stepper) create() (*Step, error) {
	if s.room != nil || s.head.Seq != 0 {
		return nil, Errorf(Conflict, "%s exists already: choose another name", s.head.Room)
	}
	g, err := ParseGenesis(s.entry.Body)
	if err != nil {
		return nil, err
	}
	stamp, err := s.stamp(g.Stamp.Marshal())
	if err != nil {
		return nil, err
	}
	msg, err := wire.Unmarshal[wire.MLSMessage](g.GroupInfo)
	if err != nil || msg.GroupInfo == nil {
		return nil, Errorf(Invalid, "genesis: %w", orMalformed(err))
	}
	info := msg.GroupInfo
	context := &info.GroupContext
	if string(context.GroupID) != string(s.head.Room) || context.Epoch != 0 || info.Signer != 0 {
		return nil, Errorf(Invalid, "genesis: not the first epoch of %s", s.head.Room)
	}
	policy, err := policyOf(context.Extensions)
	if err == nil {
		err = policy.Valid()
	}
	if err != nil {
		return nil, err
	}
	room, err := s.found(info, policy, stamp.Device)
	if err != nil {
		return nil, err
	}
	if g.KeyRecord == nil && len(policy.CoIs) > 0 {
		return nil, Errorf(Invalid, "genesis: a room that names communities begins with a key record")
	}
	if g.KeyRecord != nil {
		if err := s.keep(room, g.KeyRecord, KeyEpoch{}); err != nil {
			return nil, err
		}
	}
	step := s.next(room, 0, stamp)
	step.KeyRecord = room.keys.record
	step.Added = []DeviceID{stamp.Device}
	step.GroupInfo = g.GroupInfo
	return step, nil
}

// found verifies the group of one and seats its creator.
func (s *stepper) found(info *wire.GroupInfo, policy Policy, creator DeviceID) (*epochState, error) {
	if creator.Site() != s.head.Room.Site() {
		return nil, Errorf(Denied, "%s is of %s, a room of %s is made by its own people", creator, creator.Site(), s.head.Room.Site())
	}
	nodes, ok := info.Extensions.Find(wire.ExtensionTypeRatchetTree)
	if !ok {
		return nil, Errorf(Invalid, "genesis: no ratchet tree")
	}
	cs, err := suite.Lookup(suite.ID(info.GroupContext.CipherSuite))
	if err != nil {
		return nil, Errorf(Invalid, "genesis: %w", err)
	}
	t, err := tree.Parse(cs, nodes)
	if err != nil {
		return nil, Errorf(Invalid, "genesis: %w", err)
	}
	if t.Size() != 1 || t.Width() != 1 {
		return nil, Errorf(Invalid, "genesis: a room begins with its creator alone, not with %d members", t.Size())
	}
	door := newDoorman(s.directory, policy.BasicCredentials, s.at())
	observer, err := tree.NewObserver(info, t, door.config())
	if err != nil {
		return nil, Errorf(Invalid, "genesis: %w", err)
	}
	leaf, _ := t.Leaf(0)
	if err := sameDevice(creator, door.name(&leaf)); err != nil {
		return nil, err
	}
	room := &epochState{observer: observer, policy: policy, began: s.entry.AcceptedAt}
	room.roster = room.roster.with(creator, 0)
	return room, nil
}

// policyOf reads the policy from a GroupContext's extensions.
func policyOf(x wire.Extensions) (Policy, error) {
	data, ok := x.Find(PolicyExtension)
	if !ok {
		return Policy{}, Errorf(Invalid, "the group has no room policy")
	}
	return ParsePolicy(data)
}
