package groups

import (
	"crypto/sha256"
	"time"
)

// ClockSkew is how far ahead a hub's clock may be before its entries are
// refused.
const ClockSkew = 5 * time.Minute

// Accept puts a submission next, as the room's owner with that term, or refuses
// it with an *Error. The entry's epoch is read from its MLS bytes. Kinds of
// refusal: Invalid, Denied, Conflict (the room exists), NotFound (it does not),
// StaleEpoch, KeyStale, TooLarge, Busy.
func (l *Ledger) Accept(sub Submission, term Term, now time.Time) (*Step, error) {
	if sub.Room != l.head.Room {
		return nil, Errorf(Invalid, "submission for %s was given to %s", sub.Room, l.head.Room)
	}
	if term < l.head.Term {
		return nil, Errorf(Unavailable, "%s has an owner of term %d, this one has %d: it has been replaced", l.head.Room, l.head.Term, term)
	}
	e := Entry{Body: sub.Body}
	e.EntryHeader = EntryHeader{
		Room: sub.Room, Seq: l.head.Seq + 1, Term: term, Kind: sub.Kind, Prev: l.head.Hash,
		AcceptedAt: max(uint64(now.UnixMilli()), l.head.Time),
		BodyHash:   sha256.Sum256(sub.Body),
	}
	s := &stepper{Ledger: l, entry: &e, attachments: sub.Attachments, sub: &sub}
	return s.step()
}

// Verify is the one way an entry that somebody else ordered comes in: live,
// backfill, repair, restore (I5). It checks the chain, the body's hash, and the
// same rules as Accept; not the signed head, which covers many entries. An
// entry that is not the next one is a Conflict, everything else that is wrong
// is Invalid or the kind that Accept would have given.
func (l *Ledger) Verify(e *Entry, attachments [][]byte, now time.Time) (*Step, error) {
	if e.AcceptedAt > uint64(now.Add(ClockSkew).UnixMilli()) {
		return nil, Errorf(Invalid, "entry %d of %s is from the future: correct the clock here or at %s", e.Seq, e.Room, e.Room.Site())
	}
	s := &stepper{Ledger: l, attachments: attachments}
	return s.verify(e)
}

// Replay is Verify for an entry that was stored here once: its attachments lie
// elsewhere and are not asked for.
func (l *Ledger) Replay(e *Entry) (*Step, error) {
	s := &stepper{Ledger: l, replay: true}
	return s.verify(e)
}

func (s *stepper) verify(e *Entry) (*Step, error) {
	head := &s.head
	switch {
	case e.Room != head.Room:
		return nil, Errorf(Invalid, "entry of %s was given to %s", e.Room, head.Room)
	case e.Seq != head.Seq+1:
		return nil, Errorf(Conflict, "entry %d of %s does not follow %d", e.Seq, e.Room, head.Seq)
	case e.Prev != head.Hash:
		return nil, Errorf(Conflict, "entry %d of %s follows %v, here is %v: two histories", e.Seq, e.Room, e.Prev, head.Hash)
	case e.Term < head.Term:
		return nil, Errorf(Invalid, "entry %d of %s: term fell from %d to %d", e.Seq, e.Room, head.Term, e.Term)
	case e.AcceptedAt < head.Time:
		return nil, Errorf(Invalid, "entry %d of %s: time runs backwards", e.Seq, e.Room)
	case e.BodyHash != sha256.Sum256(e.Body):
		return nil, Errorf(Invalid, "entry %d of %s: body has another hash", e.Seq, e.Room)
	}
	claimed := e.Epoch
	again := *e
	s.entry = &again
	step, err := s.step()
	if err != nil {
		return nil, err
	}
	if step.Entry.Epoch != claimed {
		return nil, Errorf(Invalid, "entry %d of %s claims epoch %d, its body is of %d", e.Seq, e.Room, claimed, step.Entry.Epoch)
	}
	return step, nil
}

// A stepper takes a ledger one entry further.
type stepper struct {
	*Ledger
	entry       *Entry // all but Epoch is set
	attachments [][]byte
	sub         *Submission // as the owner; nil as a follower
	replay      bool        // attachments were checked when the entry was stored
}

// step applies the entry by its kind.
func (s *stepper) step() (*Step, error) {
	if err := s.bounds(); err != nil {
		return nil, err
	}
	if s.entry.Kind == KindCreate {
		return s.create()
	}
	if s.room == nil {
		return nil, Errorf(NotFound, "there is no room %s here", s.head.Room)
	}
	switch s.entry.Kind {
	case KindMessage:
		return s.message()
	case KindCommit:
		return s.commit()
	case KindProposal:
		return s.proposal()
	case KindKeyRecord:
		return s.keyRecord()
	case KindFlag:
		return s.flag()
	default:
		return nil, Errorf(Invalid, "an entry of kind %s is not taken", s.entry.Kind)
	}
}

// bounds checks what is bounded whatever it says.
func (s *stepper) bounds() error {
	if len(s.entry.Body) > MaxBody {
		return Errorf(TooLarge, "a body of %d bytes: at most %d", len(s.entry.Body), MaxBody)
	}
	if len(s.attachments) > MaxAttachments {
		return Errorf(TooLarge, "%d attachments: at most %d", len(s.attachments), MaxAttachments)
	}
	for _, a := range s.attachments {
		if len(a) > MaxAttachment {
			return Errorf(TooLarge, "an attachment of %d bytes: at most %d", len(a), MaxAttachment)
		}
	}
	if len(s.attachments) > 0 && s.entry.Kind != KindCommit {
		return Errorf(Invalid, "an entry of kind %s has no attachments", s.entry.Kind)
	}
	return nil
}

// stamp reads and checks what the sender signed about its submission.
func (s *stepper) stamp(authenticatedData []byte) (AuthenticatedData, error) {
	a, err := ParseAuthenticatedData(authenticatedData)
	if err != nil {
		return a, err
	}
	if s.sub != nil && (a.Device != s.sub.Device || a.ID != s.sub.ID) {
		return a, Errorf(Denied, "signed for %s, submitted by %s, or under another id", a.Device, s.sub.Device)
	}
	if a.Seq > s.head.Seq {
		return a, Errorf(Invalid, "the sender claims to have seen entry %d of %s, the last one is %d", a.Seq, s.head.Room, s.head.Seq)
	}
	return a, nil
}

// next returns the step to a ledger whose epoch goes on as room.
func (s *stepper) next(room *epochState, epoch Epoch, stamp AuthenticatedData) *Step {
	s.entry.Epoch = epoch
	next := *s.Ledger
	next.room = room
	next.head.Seq, next.head.Term, next.head.Time = s.entry.Seq, s.entry.Term, s.entry.AcceptedAt
	next.head.Hash = s.entry.Hash()
	next.head.Epoch = Epoch(room.observer.Epoch())
	return &Step{Next: &next, Entry: *s.entry, Stamp: stamp}
}

// at is the time at which certificates are judged: the hub's, so that everybody
// judges alike, also when the log is read years later.
func (s *stepper) at() time.Time { return time.UnixMilli(int64(s.entry.AcceptedAt)) }
