package groups

import (
	"parley/mls/tree"
	"parley/mls/wire"
)

// message takes a PrivateMessage of the current epoch, or of an older one
// within the policy's grace, from a device that is a member now.
func (s *stepper) message() (*Step, error) {
	m, err := wire.ParsePrivateMessage(s.entry.Body)
	if err != nil {
		return nil, Errorf(Invalid, "message: %w", err)
	}
	if string(m.GroupID) != string(s.head.Room) || m.ContentType != wire.ContentTypeApplication {
		return nil, Errorf(Invalid, "message: not application data of %s", s.head.Room)
	}
	stamp, err := s.stamp(m.AuthenticatedData)
	if err != nil {
		return nil, err
	}
	if !s.Member(stamp.Device) {
		return nil, Errorf(Denied, "%s is not in %s", stamp.Device, s.head.Room)
	}
	epoch, now := Epoch(m.Epoch), s.head.Epoch
	switch {
	case epoch > now:
		return nil, Errorf(Invalid, "message of epoch %d, %s is at %d", epoch, s.head.Room, now)
	case now-epoch > Epoch(s.room.policy.GraceEpochs):
		return nil, s.stale("message of epoch %d, %s is at %d", epoch, s.head.Room, now)
	}
	if err := s.keyStale(epoch, s.entry.AcceptedAt); err != nil {
		return nil, err
	}
	step := s.next(s.room, epoch, stamp)
	step.Next.messages++
	return step, nil
}

// proposal takes a member's Remove or Update, which the next commit has to
// cover.
func (s *stepper) proposal() (*Step, error) {
	m, stamp, err := s.handshake(s.entry.Body, wire.ContentTypeProposal)
	if err != nil {
		return nil, err
	}
	door := newDoorman(s.directory, s.room.policy.BasicCredentials, s.at())
	observer, change, err := s.room.observer.Handle(m, door.config())
	if err != nil {
		return nil, Errorf(Invalid, "proposal: %w", err)
	}
	switch p := change.Proposal; p.ProposalType {
	case wire.ProposalTypeRemove:
		removed := s.room.roster.at(p.Remove.Removed)
		err = s.room.policy.Check(stamp.Device, Change{Removed: []DeviceID{removed}})
	case wire.ProposalTypeUpdate:
		err = sameDevice(stamp.Device, door.name(&p.Update.LeafNode))
	default:
		err = Errorf(Invalid, "a %v is proposed by committing it, not by itself", p.ProposalType)
	}
	if err != nil {
		return nil, err
	}
	room := *s.room
	room.observer = observer
	return s.next(&room, s.head.Epoch, stamp), nil
}

// handshake reads a PublicMessage of the current epoch and who stands behind
// it: the leaf that signed it and the stamp have to name one device.
func (s *stepper) handshake(body []byte, t wire.ContentType) (*wire.PublicMessage, AuthenticatedData, error) {
	var none AuthenticatedData
	msg, err := wire.Unmarshal[wire.MLSMessage](body)
	if err != nil {
		return nil, none, Errorf(Invalid, "%v: %w", t, err)
	}
	m := msg.PublicMessage
	if m == nil || m.Content.ContentType != t || string(m.Content.GroupID) != string(s.head.Room) {
		return nil, none, Errorf(Invalid, "not a public %v of %s", t, s.head.Room)
	}
	stamp, err := s.stamp(m.Content.AuthenticatedData)
	if err != nil {
		return nil, none, err
	}
	if !s.Member(stamp.Device) {
		return nil, none, Errorf(Denied, "%s is not in %s", stamp.Device, s.head.Room)
	}
	if epoch := Epoch(m.Content.Epoch); epoch != s.head.Epoch {
		return nil, none, s.stale("%v of epoch %d, %s is at %d", t, epoch, s.head.Room, s.head.Epoch)
	}
	sender := m.Content.Sender
	if sender.SenderType != wire.SenderTypeMember || s.room.roster.at(sender.LeafIndex) != stamp.Device {
		return nil, none, Errorf(Denied, "%v signed by another leaf than that of %s", t, stamp.Device)
	}
	return m, stamp, nil
}

// sameDevice holds a leaf to its device: a leaf's user never changes.
func sameDevice(old, new DeviceID) error {
	if old != new {
		return Errorf(Denied, "the leaf of %s can not become that of %s", old, new)
	}
	return nil
}

// covered says whether a commit covers the proposals that wait: each removed
// leaf is gone, each updated one is new, gone, or the committer's own.
func (r *epochState) covered(change *tree.Change) bool {
	gone := make(map[wire.LeafIndex]bool, len(change.Removed)+len(change.Updated))
	for _, m := range change.Removed {
		gone[m.Index] = true
	}
	fresh := map[wire.LeafIndex]bool{change.Sender: true}
	for _, m := range change.Updated {
		fresh[m.Index] = true
	}
	for p := range r.observer.Pending() {
		content := &p.Content.Content
		if rm := content.Proposal.Remove; rm != nil && !gone[rm.Removed] {
			return false
		}
		if leaf := content.Sender.LeafIndex; content.Proposal.Update != nil && !fresh[leaf] && !gone[leaf] {
			return false
		}
	}
	return true
}
