package service

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"parley/coi/wrap"
	"parley/groups"
	"parley/mls/suite"
)

// book returns the rules in force. A change is in the log before it is used, and
// a book older than one that was in force is not used at all.
func (u *Unwrap) book(ctx context.Context) (*RuleBook, error) {
	book, err := u.config.Entitlements.Book()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	u.rules.Lock()
	defer u.rules.Unlock()
	other, err := u.config.State.checkRules(book)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	if !other {
		return book, nil
	}
	entries := []AuditEntry{{
		Decision: Changed, Time: u.now(), Actor: u.config.Service, First: book.Version, Last: book.Version,
		Count: uint32(len(book.Rules)), Policy: book.hash, Why: lastRule(book),
	}}
	for _, f := range book.Forgotten {
		if f.Version > u.config.State.version() {
			entries = append(entries, AuditEntry{
				Decision: Changed, Time: u.now(), Actor: u.config.Service, Room: u.config.Log.Room(f.Room),
				Why: "the newest epoch of the room is forgotten, by " + f.By,
			})
		}
	}
	entries = append(entries, u.logLifts(book)...)
	if _, err := u.config.Log.Append(ctx, entries...); err != nil {
		return nil, err
	}
	for i := range entries {
		u.config.State.Recall(0, &entries[i])
	}
	return book, nil
}

// lastRule says what a book's last change was.
func lastRule(b *RuleBook) string {
	if n := len(b.Lifted); n > 0 && b.Lifted[n-1].Version == b.Version {
		return "a cut was taken back: the entry that follows says whose"
	}
	if len(b.Rules) == 0 {
		return "no rules"
	}
	r := &b.Rules[len(b.Rules)-1]
	return fmt.Sprintf("%s %s %s, by %s", r.Effect, r.Subject, orEvery(r.CoI), r.By)
}

// writeLog makes the log say what is about to be done, room by room, before it
// is done. What was denied stands there too, with why.
func (u *Unwrap) writeLog(ctx context.Context, a *asking) error {
	for _, r := range a.rooms {
		a.logged = append(a.logged, a.roomEntries(r)...)
	}
	slices.SortStableFunc(a.logged, func(x, y AuditEntry) int { // so that the asker is shown those before: see entries
		switch {
		case x.Decision != Refused && y.Decision == Refused:
			return -1
		case x.Decision == Refused && y.Decision != Refused:
			return 1
		}
		return 0
	})
	if len(a.logged) == 0 && len(a.items) == 0 {
		return nil // an announcement of nothing new: no key is touched
	}
	if len(a.logged) == 0 { // nothing that was shown holds
		e := a.entry(Refused)
		e.Count, e.Why = uint32(len(a.items)), firstWhy(a.items).Error()
		a.logged = append(a.logged, e)
	}
	var err error
	if a.receipt, err = u.config.Log.Append(ctx, a.logged...); err != nil {
		a.logged = nil
		if ctx.Err() == nil && !errors.Is(err, ErrLogDown) {
			err = fmt.Errorf("%w: %w", ErrLogDown, err)
		}
		return err
	}
	for _, r := range a.rooms {
		if r.next != nil {
			u.config.State.lift(r.hash, *r.next)
		}
	}
	return nil
}

// roomEntries are the entries about one room: what is granted, what is denied,
// and, if nothing else carries it, its new mark.
func (a *asking) roomEntries(r *roomAsked) []AuditEntry {
	var granted, denied *AuditEntry
	var out []AuditEntry
	for _, it := range a.items {
		if it.proof == nil || it.record.Room != r.room {
			continue
		}
		e, d := &granted, Granted
		if it.why != nil {
			e, d = &denied, Refused
		}
		if *e == nil {
			first := a.entry(d)
			first.Room, first.First, first.Policy = r.hash, uint64(it.record.Epoch), it.policyHash()
			if it.why != nil {
				first.Why = it.why.Error()
			}
			*e = &first
		}
		(*e).Count++
		(*e).First = min((*e).First, uint64(it.record.Epoch))
		(*e).Last = max((*e).Last, uint64(it.record.Epoch))
	}
	if granted == nil && r.next != nil {
		e := a.entry(Announced)
		e.Room, e.First, e.Last = r.hash, r.next.epoch, r.next.epoch
		granted = &e
	}
	for _, e := range []*AuditEntry{granted, denied} {
		if e == nil {
			continue
		}
		if e == granted && r.next != nil {
			e.Newest, e.NewestContext = r.next.epoch, r.next.context
		}
		out = append(out, *e)
	}
	return out
}

func firstWhy(items []*item) error {
	for _, it := range items {
		if it.why != nil {
			return it.why
		}
	}
	return errors.New("nothing that was shown holds")
}

// openKeys touches the private key, for what was granted and logged, and for
// nothing else.
func (u *Unwrap) openKeys(_ context.Context, a *asking) error {
	inParallel(len(a.items), func(i int) {
		if it := a.items[i]; it.why == nil {
			it.part, it.why = openPart(it.proof, a.keys)
		}
	})
	for _, it := range a.items {
		if it.why == nil || it.proof == nil {
			continue
		}
		if outage, ok := errors.AsType[interface {
			error
			Unavailable() bool
		}](it.why); ok && outage.Unavailable() {
			return fmt.Errorf("%w: %w", errBroken, it.why)
		}
	}
	return nil
}

// openPart opens an envelope for exactly what its record says: room, epoch, key
// id, recipients and context. Where all of the key comes out, it must be the one
// that the record commits to.
func openPart(p *proof, keys []HeldKey) ([]byte, error) {
	err := wrap.ErrOpen
	for i := range keys {
		var part []byte
		if part, err = wrap.Open(p.record.Envelope, keys[i].wrapKey(), p.binding()); err == nil {
			return part, checkPart(p, part)
		}
		if !errors.Is(err, wrap.ErrOpen) {
			return nil, err
		}
	}
	return nil, err
}

// binding is what the record's envelope has to be bound to.
func (p *proof) binding() wrap.Binding {
	r := p.record
	return wrap.Binding{Room: string(r.Room), Epoch: uint64(r.Epoch), KeyID: r.KeyID, Recipients: r.BindingHash()}
}

// checkPart recomputes the key id of what came out.
func checkPart(p *proof, part []byte) error {
	if p.policy.Mode == groups.CoIAll && len(p.policy.CoIs) > 1 {
		return nil // a share: the envelope's binding has to do
	}
	key, err := groups.ParseRoomKeyBytes(part)
	if err != nil {
		return err
	}
	defer key.Erase()
	s, err := suite.Lookup(suite.ID(key.Suite))
	if err != nil {
		return err
	}
	if key.Suite != p.context.CipherSuite || groups.KeyID(s, key, p.record.ContextHash) != p.record.KeyID {
		return fmt.Errorf("epoch %d of %s: the envelope holds another key than its record commits to", p.record.Epoch, p.record.Room)
	}
	return nil
}

// sealAnswer seals what came out to the device, for this very request.
func (u *Unwrap) sealAnswer(_ context.Context, a *asking) error {
	answer := groups.KeyAnswer{Parts: make([][]byte, len(a.items))}
	for i, it := range a.items {
		if it.why == nil {
			answer.Parts[i] = it.part
		} else if it.part != nil {
			u.log.Error("unwrap: what came out of an envelope is not the key of its record", "device", a.who.URI, "why", it.why)
			clear(it.part)
		}
	}
	for _, r := range a.rooms {
		m := r.mark
		if r.next != nil {
			m = *r.next
		}
		if m != (mark{}) {
			answer.Marks = append(answer.Marks, groups.KeyMark{Room: r.room, Epoch: groups.Epoch(m.epoch), Context: m.context})
		}
	}
	var err error
	a.sealed, err = answer.Seal(a.raw, a.request.ResponseKey)
	for _, part := range answer.Parts {
		clear(part)
	}
	return err
}
