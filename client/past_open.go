package client

import (
	"errors"
	"fmt"
	"slices"

	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

// openBatch opens the messages of some epochs, in the order of the log, and
// makes them durable together. What can not be opened stays aside.
func (p *past) openBatch(batch []*pastEpoch, keys map[*pastEpoch]*groups.RoomKey) error {
	histories := make(map[groups.Epoch]*pastReader)
	var order []groups.Seq
	for _, e := range batch {
		key := keys[e]
		if key == nil {
			continue
		}
		h, err := newPastReader(e, key)
		key.Erase()
		if err != nil {
			return err
		}
		defer h.history.Erase()
		histories[groups.Epoch(e.Context.Epoch)] = h
		order = append(order, e.messages...)
	}
	slices.Sort(order)
	for part := range slices.Chunk(order, openBatchSize) {
		err := p.d.change(p.room, func(tx Tx, r *room) error {
			for _, seq := range part {
				if err := p.openOne(tx, r, seq, histories); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		p.progress.Messages = p.report.Messages
		p.tell(p.progress)
	}
	return nil
}

// openBatchSize is how many messages are opened in one transaction.
const openBatchSize = 512

// A pastReader opens the messages of one epoch.
type pastReader struct {
	epoch   *pastEpoch
	history *mls.History
	proven  map[wire.LeafIndex]bool
}

func newPastReader(e *pastEpoch, key *groups.RoomKey) (*pastReader, error) {
	k := mls.RoomKey{CipherSuite: key.Suite, SenderDataSecret: key.SenderDataSecret, EncryptionSecret: key.EncryptionSecret}
	history, err := mls.NewHistory(&k, &e.Context)
	if err != nil {
		return nil, fmt.Errorf("epoch %d of %s: %w", e.Context.Epoch, e.Context.GroupID, err)
	}
	return &pastReader{epoch: e, history: history, proven: make(map[wire.LeafIndex]bool)}, nil
}

// open opens one message and says who has sent it: its sender's leaf is proven
// in the epoch's tree, its signature verified, and its stamp compared.
func (h *pastReader) open(body []byte, stamped groups.DeviceID) (Content, error) {
	sender, err := h.history.Sender(body)
	if err != nil {
		return Content{}, err
	}
	if !h.proven[sender] {
		proof, err := h.epoch.Tree.Proof(sender)
		if err != nil {
			return Content{}, err
		}
		if err := h.history.Prove(proof); err != nil {
			return Content{}, err
		}
		h.proven[sender] = true
	}
	m, err := h.history.Open(body)
	if err != nil {
		return Content{}, err
	}
	device, err := deviceOfLeaf(m.LeafNode)
	if err != nil {
		return Content{}, err
	}
	if device != stamped {
		return Content{}, fmt.Errorf("is stamped by %s and sealed by %s", stamped, device)
	}
	return ParseContent(m.Plaintext)
}

// openOne opens the message at a place and puts it into the history.
func (p *past) openOne(tx Tx, r *room, seq groups.Seq, histories map[groups.Epoch]*pastReader) error {
	key := seqKey(p.room, uint64(seq))
	raw, err := tx.Get(TablePast, key)
	if err != nil || raw == nil {
		return err
	}
	e, err := groups.ParseEntry(slices.Clone(raw))
	if err != nil {
		return damaged(TablePast, err)
	}
	m, err := wire.ParsePrivateMessage(e.Body)
	if err != nil {
		return damaged(TablePast, err)
	}
	stamp, err := groups.ParseAuthenticatedData(m.AuthenticatedData)
	if err != nil {
		return damaged(TablePast, err)
	}
	said := &Message{
		Room: p.room, Seq: seq, ID: MessageID(stamp.ID), Device: stamp.Device,
		Epoch: e.Epoch, Time: millis(e.AcceptedAt), State: Received,
	}
	content, err := histories[e.Epoch].open(e.Body, stamp.Device)
	if err != nil {
		said.Problem = err.Error()
		p.report.Unreadable++
		p.report.Why[reasonOf(err)]++
	} else {
		said.Content = content
		p.report.Messages++
	}
	if err := tx.Delete(TablePast, key); err != nil {
		return err
	}
	line := LogEntry{
		Seq: seq, Hash: e.Hash(), Epoch: e.Epoch, Kind: e.Kind, Device: stamp.Device,
		ID: said.ID, Time: said.Time, Size: len(e.Body), Note: said.Problem,
	}
	if err := tx.Put(TableLog, key, packRow(&line)); err != nil {
		return err
	}
	a := &applier{d: p.d, tx: tx, r: r, e: e, line: line}
	return a.saidBefore(said)
}

// reasonOf says in few words why a message does not open, so that they can be
// counted.
func reasonOf(err error) string {
	for err != nil {
		next := errors.Unwrap(err)
		if next == nil {
			break
		}
		err = next
	}
	return "does not open: " + err.Error()
}

// saidBefore puts what was said before our time into the history, or into what
// it is about.
func (a *applier) saidBefore(m *Message) error {
	switch m.Content.Kind {
	case KindEdit, KindDelete, KindReaction, KindUnreact:
		done, err := a.amend(m)
		if done || err != nil {
			return err
		}
		m.Problem = "is about a message that is not here, or not its author's"
	}
	return a.keep(m)
}

// finish notes how far a reader has read.
func (p *past) finish() error {
	if !p.reader {
		return nil
	}
	head := p.ledger.Head()
	return p.d.change(p.room, func(_ Tx, r *room) error {
		if head.Seq < r.Seq {
			return nil
		}
		r.Seq, r.Hash, r.Time, r.Epoch, r.moved = head.Seq, head.Hash, head.Time, head.Epoch, true
		r.Suite = uint16(p.ledger.Past().Context.CipherSuite)
		r.Devices, r.policy, r.Policy = p.ledger.Members(), p.ledger.Policy(), encodedPolicyOf(p.ledger)
		r.tell(Event{Kind: EventRoom})
		return nil
	})
}

func encodedPolicyOf(l *groups.Ledger) []byte {
	p := l.Policy()
	return encodedPolicy(&p)
}
