package client

import (
	"time"

	"parley/groups"
	"parley/mls/wire"
)

// keyStale refuses to seal under a key that has ended, by age or use, that is
// wrapped to nobody yet, whose record is not right, or that is wrapped to a
// certificate which was revoked (I12). The hub refuses most of it as well; here
// it is refused first, in words that say what to do.
func (r *room) keyStale() error {
	stale := func(format string, args ...any) error {
		return groups.Errorf(groups.KeyStale, "the key of %s "+format+r.remedy(), append([]any{r.Room}, args...)...)
	}
	age := r.at.Sub(millis(r.KeyMade))
	switch p := &r.policy; {
	case r.Keys.Denied != "":
		return groups.Errorf(groups.CoIRevoked, "%s; sending goes on by itself when there is another one", r.Keys.Denied)
	case len(p.CoIs) > 0 && r.Keys.Bad != "":
		return stale("has a record that is not right: %s", r.Keys.Bad)
	case len(p.CoIs) > 0 && r.Keys.Record == nil:
		return stale("has no record yet")
	case r.worn:
		return stale("has ended, the hub says")
	case r.keyEnded():
		return stale("has ended: it was made %v ago", age.Round(time.Second))
	case p.MaxKeyAge > 0 && age >= p.MaxKeyAge:
		return stale("is %v old", age.Round(time.Second))
	case p.MaxKeyMessages > 0 && r.KeyMessages >= p.MaxKeyMessages:
		return stale("has sealed %d messages", r.KeyMessages)
	}
	return nil
}

// remedy says what to do about a key that has ended.
func (r *room) remedy() string {
	if r.renewsItself() {
		return ""
	}
	return ": make a new one, with parley keys new"
}

// keyEnded says whether the record's own end has come.
func (r *room) keyEnded() bool {
	end := r.keyEnd()
	return !end.IsZero() && !r.at.Before(end)
}

// keyEnd is when the record of the current key says that it ends; zero if it
// does not say.
func (r *room) keyEnd() time.Time {
	if r.Keys.Record == nil {
		return time.Time{}
	}
	k, err := groups.ParseKeyRecord(r.Keys.Record)
	if err != nil {
		return time.Time{}
	}
	return millis(k.NotAfter)
}

// renewsItself says whether devices make keys by themselves: in a room whose
// keys are wrapped to communities, only if its policy lets them. Keys that are
// not right, or that lack a record, are always replaced: nobody can have meant
// them.
func (r *room) renewsItself() bool { return len(r.policy.CoIs) == 0 || r.policy.AutoRenew > 0 }

// renews says whether this device should make a new key now: for who wants to
// send, or, as the policy may have it, before the old one ends.
func (r *room) renews() bool {
	switch {
	case r.Keys.Denied != "":
		return false
	case r.replace:
		return true
	case len(r.policy.CoIs) > 0 && (r.Keys.Bad != "" || r.Keys.Record == nil):
		return r.unsent() > 0 || r.policy.AutoRenew > 0
	case r.keyStale() != nil:
		return r.unsent() > 0 && r.renewsItself()
	}
	end := r.keyEnd()
	return r.policy.AutoRenew > 0 && !end.IsZero() && !r.at.Before(end.Add(-r.policy.AutoRenew))
}

// why says why this device makes a key by itself.
func (r *room) why() groups.KeyReason {
	if r.replace {
		return groups.KeyCertificateReplaced
	}
	return groups.KeyRotatedByPolicy
}

// joinedKey judges the record that came with a Welcome: all but its place in the
// chain, which who has just come does not know.
func joinedKey(in *invitation) (*groups.KeyRecord, error) {
	policy := &in.fresh.policy
	if len(policy.CoIs) == 0 {
		return nil, nil
	}
	k, err := groups.ParseKeyRecord(in.welcome.KeyRecord)
	if err != nil {
		return nil, err
	}
	e := groups.KeyEpoch{Author: wire.LeafIndex(k.AuthorLeaf), Late: true, Prev: k.Prev, At: k.CreatedAt}
	return k, checkRecord(in.group, k, policy, e)
}

// joinKey keeps the record of the epoch that a room begins with here.
func (r *room) joinKey(tx Tx, k *groups.KeyRecord, why error) error {
	r.Keys.Bad = ""
	if why != nil {
		r.Keys.Bad = why.Error()
		r.alarm(&Alarm{Seq: r.Joined, Kind: AlarmKey, Text: "the key of the room has a record that is not right: " + why.Error()})
	}
	if k == nil {
		return nil
	}
	r.Keys.Record, r.Keys.Last, r.Keys.Made = k.Marshal(), k.Hash(), k.CreatedAt
	row := keyRow{Seq: r.Joined, Record: r.Keys.Record, Bad: r.Keys.Bad}
	if leaf, ok := r.group.Tree().Leaf(wire.LeafIndex(k.AuthorLeaf)); ok {
		row.Author, row.Key = certificatesOf(&leaf.Credential), leaf.SignatureKey
	}
	if err := putJSON(tx, TableKeys, seqKey(r.Room, uint64(k.Epoch)), row); err != nil || why != nil {
		return err
	}
	if err := r.keepTrail(tx, k); err != nil {
		return err
	}
	return r.sweepTrail(tx, 0) // what an earlier stay has left
}
