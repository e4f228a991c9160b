package groups

import (
	"bytes"
	"maps"

	"parley/mls/tree"
	"parley/mls/wire"
)

// commit takes a Commit of the current epoch, with the GroupInfo of the next
// one, its key record, and a Welcome for whoever it adds (I3).
func (s *stepper) commit() (*Step, error) {
	bundle, err := ParseCommitBundle(s.entry.Body)
	if err != nil {
		return nil, err
	}
	m, stamp, err := s.handshake(bundle.Commit, wire.ContentTypeCommit)
	if err != nil {
		return nil, err
	}
	door := newDoorman(s.directory, s.room.policy.BasicCredentials, s.at())
	observer, change, err := s.room.observer.Handle(m, door.config())
	if err != nil {
		return nil, Errorf(Invalid, "commit: %w", err)
	}
	if !s.room.covered(&change) {
		return nil, s.stale("commit leaves out proposals that wait in %s", s.head.Room)
	}
	room := &epochState{observer: observer, began: s.entry.AcceptedAt}
	proven, err := s.oust(bundle, &change)
	if err != nil {
		return nil, err
	}
	door.proven = proven
	what, err := s.judge(stamp.Device, &change, door, room)
	if err != nil {
		return nil, err
	}
	if err := s.newKey(room, bundle.KeyRecord, change.Sender, &what); err != nil {
		return nil, err
	}
	s.seat(room, &change, what)
	step := s.next(room, s.head.Epoch, stamp)
	step.KeyRecord = room.keys.record
	step.Next.messages = 0
	step.Added, step.Removed = what.Added, what.Removed
	if s.replay {
		return step, nil
	}
	return step, s.attach(step, bundle, m, &change)
}

// judge asks the policy about a commit and sets the new epoch's policy.
func (s *stepper) judge(actor DeviceID, change *tree.Change, door *doorman, room *epochState) (Change, error) {
	old := s.room
	var what Change
	for _, m := range change.Added {
		d := door.name(&m.LeafNode)
		if _, twice := old.roster.lookup(d); twice && !removes(old, change, d) {
			return what, Errorf(Conflict, "%s is in %s already", d, s.head.Room)
		}
		what.Added = append(what.Added, d)
	}
	if len(what.Added) != len(unique(what.Added)) {
		return what, Errorf(Invalid, "commit adds a device twice")
	}
	for _, m := range change.Removed {
		what.Removed = append(what.Removed, old.roster.at(m.Index))
	}
	for _, m := range change.Updated {
		if err := sameDevice(old.roster.at(m.Index), door.name(&m.LeafNode)); err != nil {
			return what, err
		}
	}
	room.policy = old.policy
	if change.ExtensionsReplaced {
		p, err := policyOf(change.Extensions)
		if err != nil {
			return what, err
		}
		room.policy, what.Policy = p, &p
	}
	asked := what
	asked.Removed = Unproven(proposedByOthers(old, what.Removed), door.proven)
	return what, old.policy.Check(actor, asked)
}

// oust judges the warrants beside a commit: who of those it removes may be
// removed by any member.
func (s *stepper) oust(bundle *CommitBundle, change *tree.Change) (map[DeviceID]bool, error) {
	o := Ousting{
		Warrants: bundle.Warrants, Policy: &s.room.policy, Removed: change.Removed, At: s.at(),
		Device: func(m tree.Member) DeviceID { return s.room.roster.at(m.Index) },
	}
	return o.Judge(s.directory)
}

// proposedByOthers leaves out removals that somebody was allowed to propose
// when the proposal was taken.
func proposedByOthers(r *epochState, removed []DeviceID) []DeviceID {
	waiting := make(map[DeviceID]bool)
	for p := range r.observer.Pending() {
		if rm := p.Content.Content.Proposal.Remove; rm != nil {
			waiting[r.roster.at(rm.Removed)] = true
		}
	}
	var rest []DeviceID
	for _, d := range removed {
		if !waiting[d] {
			rest = append(rest, d)
		}
	}
	return rest
}

// removes says whether a commit removes a device that it also adds: its way to
// come back with new keys.
func removes(r *epochState, change *tree.Change, d DeviceID) bool {
	for _, m := range change.Removed {
		if r.roster.at(m.Index) == d {
			return true
		}
	}
	return false
}

func unique(devices []DeviceID) map[DeviceID]bool {
	set := make(map[DeviceID]bool, len(devices))
	for _, d := range devices {
		set[d] = true
	}
	return set
}

// seat makes the roster of the next epoch.
func (s *stepper) seat(room *epochState, change *tree.Change, what Change) {
	room.roster, room.left = s.room.roster, s.room.left
	for _, d := range what.Removed {
		room.roster = room.roster.without(d)
	}
	for i, m := range change.Added {
		room.roster = room.roster.with(what.Added[i], m.Index)
	}
	left := make(map[SiteID]Seq, len(room.left))
	maps.Copy(left, room.left)
	for _, site := range append(s.room.policy.readerSites(), sitesOf(what.Removed)...) {
		if !room.serves(site) {
			left[site] = s.entry.Seq
		}
	}
	maps.DeleteFunc(left, func(site SiteID, _ Seq) bool { return room.serves(site) })
	room.left = left
}

// serves says whether a site gets the room: it has devices in it, or some that
// may read it without.
func (r *epochState) serves(s SiteID) bool {
	return r.roster.sites[s] > 0 || r.policy.ReaderSite(s)
}

func sitesOf(devices []DeviceID) []SiteID {
	sites := make([]SiteID, len(devices))
	for i, d := range devices {
		sites[i] = d.Site()
	}
	return sites
}

// attach checks that GroupInfo and Welcome belong to the commit, so that nobody
// who uses them can be led elsewhere.
func (s *stepper) attach(step *Step, bundle *CommitBundle, m *wire.PublicMessage, change *tree.Change) error {
	byHash := make(map[Hash][]byte, len(s.attachments))
	for _, a := range s.attachments {
		byHash[HashOf(a)] = a
	}
	named := 1
	step.Attachments, step.GroupInfo = s.attachments, byHash[bundle.GroupInfo]
	if bundle.Welcome != nil {
		named++
		step.Welcome = byHash[*bundle.Welcome]
	}
	if len(byHash) != named || step.GroupInfo == nil || (bundle.Welcome != nil && step.Welcome == nil) {
		return Errorf(Invalid, "commit names %d attachments, others came with it", named)
	}
	if err := checkGroupInfo(step.GroupInfo, step.Next.room.observer, m); err != nil {
		return err
	}
	if err := checkWelcome(step.Welcome, step.Next.room.observer, change); err != nil {
		return err
	}
	if len(step.Added) > 0 {
		step.Tree = step.Next.Tree()
	}
	return nil
}

// checkGroupInfo: it is of the new epoch, signed by a member, without a tree.
func checkGroupInfo(b []byte, next *tree.Observer, m *wire.PublicMessage) error {
	msg, err := wire.Unmarshal[wire.MLSMessage](b)
	if err != nil || msg.GroupInfo == nil {
		return Errorf(Invalid, "group info of a commit: %w", orMalformed(err))
	}
	info := msg.GroupInfo
	context := next.Context()
	switch {
	case !bytes.Equal(wire.Marshal(info.GroupContext), wire.Marshal(context)):
		return Errorf(Invalid, "group info of a commit is of another epoch")
	case !bytes.Equal(info.ConfirmationTag, m.Auth.ConfirmationTag):
		return Errorf(Invalid, "group info of a commit has another confirmation tag")
	}
	if _, found := info.Extensions.Find(wire.ExtensionTypeRatchetTree); found {
		return Errorf(Invalid, "group info of a commit holds the tree: leave it out, the gateway has it")
	}
	if err := next.Tree().VerifyGroupInfo(info); err != nil {
		return Errorf(Invalid, "group info of a commit: %w", err)
	}
	return nil
}

// checkWelcome: there is one exactly if somebody is added, and it is for them.
func checkWelcome(b []byte, next *tree.Observer, change *tree.Change) error {
	if (len(change.Added) > 0) != (b != nil) {
		return Errorf(Invalid, "a commit has a Welcome if it adds members, and only then")
	}
	if b == nil {
		return nil
	}
	msg, err := wire.Unmarshal[wire.MLSMessage](b)
	if err != nil || msg.Welcome == nil {
		return Errorf(Invalid, "welcome of a commit: %w", orMalformed(err))
	}
	if msg.Welcome.CipherSuite != next.Context().CipherSuite {
		return Errorf(Invalid, "welcome of a commit is of another suite")
	}
	secrets := make(map[string]bool, len(msg.Welcome.Secrets))
	for _, s := range msg.Welcome.Secrets {
		secrets[string(s.NewMember)] = true
	}
	for _, a := range change.Added {
		if !secrets[string(a.KeyPackageRef)] {
			return Errorf(Invalid, "welcome of a commit leaves out a member it adds")
		}
	}
	return nil
}

func orMalformed(err error) error {
	if err == nil {
		return wire.ErrMalformed
	}
	return err
}
