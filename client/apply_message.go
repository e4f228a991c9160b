package client

import (
	"errors"
	"fmt"
	"slices"

	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

// message takes what somebody said, or the echo of what we said.
func (a *applier) message() error {
	r := a.r
	r.KeyMessages++
	m, err := wire.ParsePrivateMessage(a.e.Body)
	if err != nil {
		a.unusable("message", err)
		return nil
	}
	s, err := groups.ParseAuthenticatedData(m.AuthenticatedData)
	if err != nil {
		a.unusable("message", err)
		return nil
	}
	if err := a.stamp(s); err != nil {
		return err
	}
	said := &Message{
		Room: r.Room, Seq: a.e.Seq, ID: MessageID(s.ID), Device: s.Device,
		Epoch: a.e.Epoch, Time: millis(a.e.AcceptedAt), State: Received,
	}
	if s.Device == a.d.id {
		return a.echo(said)
	}
	said.Content, err = a.open(m.Epoch, s.Device)
	if errors.Is(err, errBeforeUs) {
		a.line.Note = err.Error()
		return nil
	}
	if err != nil {
		said.Problem = err.Error()
		a.unusable("message", err)
	}
	return a.said(said)
}

// errBeforeUs says that a message was sealed before this device came and was
// ordered after that: it is not for us, and nothing is wrong.
var errBeforeUs = errors.New("sent before this device was added")

// open decrypts a message and checks that who sealed it is who stamped it.
// Whatever is wrong is told to the person in the message's place.
func (a *applier) open(epoch uint64, stamped groups.DeviceID) (Content, error) {
	if err := a.d.openGroup(a.tx, a.r); err != nil {
		return Content{}, err
	}
	m, err := a.r.group.Open(a.e.Body)
	switch {
	case errors.Is(err, mls.ErrFutureEpoch):
		return Content{}, errors.New("sealed under a key that this device does not have")
	case errors.Is(err, mls.ErrPastEpoch):
		return Content{}, a.late(epoch)
	case errors.Is(err, mls.ErrReplay):
		return Content{}, errors.New("is a repetition of another message")
	case err != nil:
		return Content{}, err
	}
	sender, err := a.r.sender(m)
	if err != nil {
		return Content{}, err
	}
	if sender != stamped {
		return Content{}, fmt.Errorf("is stamped by %s and sealed by %s", stamped, sender)
	}
	return ParseContent(m.Plaintext)
}

// late says why the key of a past epoch is not here: the line of the entry we
// joined with names our first epoch.
func (a *applier) late(epoch uint64) error {
	b, err := a.tx.Get(TableLog, seqKey(a.r.Room, uint64(a.r.Joined)))
	if err != nil {
		return err
	}
	var joined LogEntry
	if b != nil {
		if err := unpackRow(TableLog, b, &joined); err != nil {
			return err
		}
	}
	if groups.Epoch(epoch) < joined.Epoch {
		return errBeforeUs
	}
	return errors.New("came too late: its key is gone")
}

// echo takes our own message, which only the outbox knows: its sender can not
// open it.
func (a *applier) echo(said *Message) error {
	it := a.r.find(said.ID)
	said.State = Accepted
	if it == nil {
		said.Problem = "was sent by this device, whose outbox no longer knows it"
		return a.said(said)
	}
	if !slices.Contains(it.hashes, groups.HashOf(a.e.Body)) || it.receipt != 0 && (it.receipt != a.e.Seq || it.receiptHash != a.line.Hash) {
		a.r.alarm(&Alarm{
			Seq: a.e.Seq, Kind: AlarmForged, Device: a.d.id,
			Text: fmt.Sprintf("entry %d is in this device's name and not what it has sent", a.e.Seq),
		})
		said.Problem = "is in this device's name and not what it has sent"
		return a.said(said)
	}
	said.Content = it.Content
	if err := a.r.drop(a.tx, it); err != nil {
		return err
	}
	a.r.tell(Event{Kind: EventDelivery, Message: said})
	return a.said(said)
}

// said puts what was said into the history, or into what it is about.
func (a *applier) said(m *Message) error {
	a.r.Last = a.e.AcceptedAt
	switch m.Content.Kind {
	case KindEdit, KindDelete, KindReaction, KindUnreact:
		done, err := a.amend(m)
		if done || err != nil {
			return err
		}
		m.Problem = "is about a message that is not here, or not its author's"
	}
	if m.Device.User() != a.d.id.User() {
		a.r.Unread++
	}
	return a.keep(m)
}

// keep writes a message and tells of it.
func (a *applier) keep(m *Message) error {
	key := seqKey(a.r.Room, uint64(m.Seq))
	if err := a.tx.Put(TableMessages, key, packRow(m)); err != nil {
		return err
	}
	if m.ID != (MessageID{}) {
		if err := a.index(m, key); err != nil {
			return err
		}
	}
	a.r.tell(Event{Kind: EventMessage, Message: m})
	return nil
}

// index makes a message findable by its id. Of two messages of one id, which
// a device makes only on purpose, the first one counts.
func (a *applier) index(m *Message, key []byte) error {
	there, err := a.tx.Get(TableIDs, idKey(a.r.Room, m.ID))
	if err != nil || there != nil {
		return err
	}
	return a.tx.Put(TableIDs, idKey(a.r.Room, m.ID), key[len(key)-8:])
}

// amend applies an edit, a deletion or a reaction to the message it is about.
// An author may edit and delete, everybody may react. It returns false if the
// message is not here.
func (a *applier) amend(m *Message) (bool, error) {
	target, err := messageByID(a.tx, a.r.Room, m.Content.Target)
	if err != nil || target == nil || target.Deleted || target.Change != nil {
		return false, err
	}
	author := target.Device.User() == m.Device.User()
	switch c := m.Content; c.Kind {
	case KindEdit:
		if !author || target.Content.Kind == 0 {
			return false, nil
		}
		target.Content.Text, target.Edited = c.Text, true
	case KindDelete:
		if !author {
			return false, nil
		}
		target.Content = Content{Kind: target.Content.Kind}
		target.Deleted, target.Reactions = true, nil
	case KindReaction:
		target.react(m.Device.User(), c.Text)
	case KindUnreact:
		gone := Reaction{m.Device.User(), c.Text}
		target.Reactions = slices.DeleteFunc(target.Reactions, func(r Reaction) bool { return r == gone })
	}
	if err := a.tx.Put(TableMessages, seqKey(a.r.Room, uint64(target.Seq)), packRow(target)); err != nil {
		return false, err
	}
	a.r.tell(Event{Kind: EventMessage, Message: target})
	return true, nil
}

// react puts an emoji on a message, once for each person.
func (m *Message) react(user groups.UserID, emoji string) {
	r := Reaction{user, emoji}
	if len(m.Reactions) < maxReactions && !slices.Contains(m.Reactions, r) {
		m.Reactions = append(m.Reactions, r)
	}
}

// changed puts a change of the room into the history.
func (a *applier) changed(c *Change, by groups.DeviceID) error {
	if len(c.Added)+len(c.Removed) == 0 && !c.Policy {
		return nil // a new key alone is in the log, not in the conversation
	}
	return a.keep(&Message{
		Room: a.r.Room, Seq: a.e.Seq, Device: by, Epoch: a.e.Epoch,
		Time: millis(a.e.AcceptedAt), State: Received, Change: c,
	})
}
