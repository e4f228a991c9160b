package groups

import (
	"bytes"
	"time"

	"parley/mls/wire"
)

// A keyState is what a ledger knows of a room's keys: the record of this
// epoch's, the end of the chain of records, and when the keys before ended.
type keyState struct {
	record *KeyRecord // nil if the epoch is bare, or the policy names no CoIs
	last   Hash       // of the room's last record, zero before the first
	made   uint64     // CreatedAt of that
	past   []keyEnd   // of the epochs before, latest first, at most PastEpochs
}

// A keyEnd says when a key of a past epoch ended.
type keyEnd struct {
	ended bool   // with its epoch: it was bare, or worn
	after uint64 // else after this time, ms since 1970; 0: never
}

// bare says that the epoch's key is wrapped to nobody yet: removing somebody
// does not wait for a PKI, but then nothing is sent before there is a record.
func (r *epochState) bare() bool { return len(r.policy.CoIs) > 0 && r.keys.record == nil }

// keyEnd is the last moment at which the epoch's key is good, ms since 1970; 0
// means that it does not end by time. Where a record says it, its author's
// clock does, and clocks may differ by ClockSkew.
func (r *epochState) keyEnd() uint64 {
	const skew = uint64(ClockSkew / time.Millisecond)
	var end uint64
	if r.policy.MaxKeyAge > 0 {
		end = r.began + uint64(r.policy.MaxKeyAge/time.Millisecond)
	}
	record := r.keys.record
	if record == nil {
		return end
	}
	if end != 0 {
		end += skew
	}
	if record.NotAfter != 0 && (end == 0 || record.NotAfter+skew < end) {
		end = record.NotAfter + skew
	}
	return end
}

// keyStale says that the key of an epoch, this or one within the grace, has
// ended by age or use, or is not wrapped to whom the policy names (I12).
func (l *Ledger) keyStale(epoch Epoch, at uint64) error {
	r := l.room
	p := &r.policy
	if back := l.head.Epoch - epoch; back > 0 {
		if k := r.keys.pastEnd(back); k.ended || k.after != 0 && at > k.after {
			return Errorf(KeyStale, "the key of epoch %d of %s has ended: seal again in epoch %d", epoch, l.head.Room, l.head.Epoch)
		}
	} else if r.bare() {
		return Errorf(KeyStale, "epoch %d of %s has no key record yet: publish one, or make a new key", epoch, l.head.Room)
	}
	if end := r.keyEnd(); end != 0 && at > end {
		age := time.Duration(at-min(at, r.began)) * time.Millisecond
		return Errorf(KeyStale, "the key of %s is %v old and has ended: make a new one", l.head.Room, age.Round(time.Second))
	}
	if p.MaxKeyMessages > 0 && l.messages >= p.MaxKeyMessages {
		return Errorf(KeyStale, "the key of %s has sealed %d messages, its policy allows no more: make a new one", l.head.Room, l.messages)
	}
	return nil
}

// pastEnd is the end of the key so many epochs back; one that is not known has
// ended.
func (k *keyState) pastEnd(back Epoch) keyEnd {
	if back > Epoch(len(k.past)) {
		return keyEnd{ended: true}
	}
	return k.past[back-1]
}

// succeed is the state of keys at the start of the epoch after l's, before
// there is a record of it.
func (l *Ledger) succeed() keyState {
	old := l.room
	end := keyEnd{after: old.keyEnd()}
	end.ended = old.bare() || old.policy.MaxKeyMessages > 0 && l.messages >= old.policy.MaxKeyMessages
	next := old.keys
	next.record = nil
	next.past = append([]keyEnd{end}, old.keys.past[:min(len(old.keys.past), PastEpochs-1)]...)
	return next
}

// newKey takes the record that came with a commit into the new epoch, which has
// its policy and group already. Without one the epoch is bare: a commit that
// adds nobody, and wraps to whom the one before did, may do that.
func (s *stepper) newKey(room *epochState, b []byte, author wire.LeafIndex, what *Change) error {
	room.keys = s.succeed()
	if b == nil {
		if len(room.policy.CoIs) == 0 || len(what.Added) == 0 && sameCoIs(&s.room.policy, &room.policy) {
			return nil
		}
		return Errorf(Invalid, "a commit that adds somebody or names other communities needs the key record of its epoch")
	}
	return s.keep(room, b, KeyEpoch{
		Author: author, Added: len(what.Added) > 0, Removed: len(what.Removed) > 0,
	})
}

// keep checks a record and makes it the epoch's.
func (s *stepper) keep(room *epochState, b []byte, e KeyEpoch) error {
	record, err := ParseKeyRecord(bytes.Clone(b)) // outlives the body it came in
	if err != nil {
		return err
	}
	leaf, ok := room.observer.Tree().Leaf(e.Author)
	if !ok {
		return Errorf(Invalid, "key record: leaf %d is blank", e.Author)
	}
	context := room.observer.Context()
	e.Context, e.Policy, e.Leaf = &context, &room.policy, &leaf
	e.Prev, e.Since, e.At = room.keys.last, room.keys.made, s.entry.AcceptedAt
	if err := record.Check(&e); err != nil {
		return err
	}
	room.keys.record, room.keys.last, room.keys.made = record, record.Hash(), record.CreatedAt
	return nil
}

// keyRecord takes a record for the current epoch if it has none, from any
// member.
func (s *stepper) keyRecord() (*Step, error) {
	body, err := ParseRecordEntry(s.entry.Body)
	if err != nil {
		return nil, err
	}
	stamp, leaf, err := s.memberStamp(&body.Stamp)
	if err != nil {
		return nil, err
	}
	record, err := ParseKeyRecord(body.KeyRecord)
	switch {
	case err != nil:
		return nil, err
	case record.Epoch < s.head.Epoch:
		return nil, s.stale("key record of epoch %d, %s is at %d", record.Epoch, s.head.Room, s.head.Epoch)
	case len(s.room.policy.CoIs) > 0 && !s.room.bare():
		return nil, Errorf(Conflict, "epoch %d of %s has a key record already", s.head.Epoch, s.head.Room)
	}
	room := *s.room
	if err := s.keep(&room, body.KeyRecord, KeyEpoch{Author: leaf, Late: true}); err != nil {
		return nil, err
	}
	step := s.next(&room, s.head.Epoch, stamp)
	step.KeyRecord = room.keys.record
	return step, nil
}

// flag takes a member's report of the room's configuration. It is taken
// whatever the state of the key, and of an epoch that has passed.
func (s *stepper) flag() (*Step, error) {
	f, err := ParseFlag(s.entry.Body)
	if err != nil {
		return nil, err
	}
	stamp, leaf, err := s.memberStamp(&f.Stamp)
	if err != nil {
		return nil, err
	}
	node, _ := s.room.observer.Tree().Leaf(leaf)
	switch {
	case f.Room != s.head.Room || f.Epoch > s.head.Epoch:
		return nil, Errorf(Invalid, "flag of epoch %d of %s, this is %d of %s", f.Epoch, f.Room, s.head.Epoch, s.head.Room)
	case f.AuthorLeaf != uint32(leaf):
		return nil, Errorf(Denied, "flag of leaf %d submitted by leaf %d", f.AuthorLeaf, leaf)
	case f.CreatedAt > s.entry.AcceptedAt+uint64(ClockSkew/time.Millisecond):
		return nil, Errorf(Invalid, "flag from the future: correct the clock")
	case len(f.Text) == 0 || f.Officer == "":
		return nil, Errorf(Invalid, "flag without words, or for nobody")
	}
	if err := f.Verify(s.room.observer.Tree().Suite(), node.SignatureKey); err != nil {
		return nil, err
	}
	return s.next(s.room, s.head.Epoch, stamp), nil
}

// memberStamp checks a stamp that stands in a body of ours, and returns the
// leaf of who submits it.
func (s *stepper) memberStamp(a *AuthenticatedData) (AuthenticatedData, wire.LeafIndex, error) {
	stamp, err := s.stamp(a.Marshal())
	if err != nil {
		return stamp, 0, err
	}
	leaf, ok := s.room.roster.lookup(stamp.Device)
	if !ok {
		return stamp, 0, Errorf(Denied, "%s is not in %s", stamp.Device, s.head.Room)
	}
	return stamp, leaf, nil
}
