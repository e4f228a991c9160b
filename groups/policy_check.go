package groups

// A Change is what somebody wants to do to a room, in the words of its rules.
type Change struct {
	Added   []DeviceID
	Removed []DeviceID
	Policy  *Policy // the new policy, nil if it stays
}

// Check says whether a device may make a change. The hub asks before it orders
// a commit, a follower before it stores it, a member before it applies it: all
// of them this function, so that nobody can be brought to a different answer.
//
// Admins may do everything but leave the room without an admin. Everybody may
// add and remove devices of their own. Members may add others where the policy
// says so. A removal that a Warrant proves is not asked about here.
func (p *Policy) Check(actor DeviceID, c Change) error {
	admin := p.Admin(actor.User())
	for _, d := range c.Added {
		if !admin && !p.MembersMayAdd && d.User() != actor.User() {
			return Errorf(Denied, "%s may not add %s: only an admin may, or %s for their own devices", actor, d, actor.User())
		}
	}
	for _, d := range c.Removed {
		if !admin && d.User() != actor.User() {
			return Errorf(Denied, "%s may not remove %s: only an admin may, or %s themselves", actor, d, d.User())
		}
	}
	if c.Policy == nil {
		return nil
	}
	if !admin {
		return Errorf(Denied, "%s may not change the policy: only an admin may", actor)
	}
	return c.Policy.Valid()
}
