package client

import (
	"errors"
	"fmt"
	"slices"
	"sync"

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
		h, err := p.reads(e, keys[e])
		if err != nil {
			return err
		}
		if h == nil {
			continue
		}
		if p.held == nil {
			defer h.history.Erase()
		}
		histories[groups.Epoch(e.Context.Epoch)] = h
		order = append(order, e.messages...)
	}
	slices.Sort(order)
	return p.openAll(order, histories)
}

// reads returns what opens the messages of an epoch, nil if there is no key.
func (p *past) reads(e *pastEpoch, key *groups.RoomKey) (*pastReader, error) {
	switch {
	case p.held != nil:
		return p.held.leased(e, key, p.d.cfg.Now().Add(keyLease))
	case key == nil:
		return nil, nil
	}
	h, err := newPastReader(e, key)
	key.Erase()
	return h, err
}

// openAll opens messages part by part: while one part is stored, the next one is
// opened, without holding up the device.
func (p *past) openAll(order []groups.Seq, histories map[groups.Epoch]*pastReader) error {
	parts := make(chan openedPart) // none waits here: one part is stored, one is opened
	ended := make(chan struct{})
	var opener sync.WaitGroup
	opener.Go(func() {
		defer close(parts)
		for seqs := range slices.Chunk(order, openBatchSize) {
			list, err := p.openPart(seqs, histories)
			select {
			case parts <- openedPart{list, err}:
			case <-ended:
				return
			}
			if err != nil {
				return
			}
		}
	})
	defer opener.Wait()
	defer close(ended)
	for part := range parts {
		if part.err != nil {
			return part.err
		}
		if err := p.store(part.list); err != nil {
			return err
		}
		p.progress.Messages = p.report.Messages
		p.tell(p.progress)
	}
	return nil
}

// An openedPart is some messages on their way to the store.
type openedPart struct {
	list []pastMessage
	err  error
}

// A pastMessage is one message that was put aside, with what came of opening it.
type pastMessage struct {
	entry *groups.Entry
	said  *Message
	err   error // it does not open
}

// openBatchSize is how many messages are opened in one transaction.
const openBatchSize = 512

// A pastReader opens the messages of one epoch.
type pastReader struct {
	epoch   *pastEpoch
	history *mls.History
	proven  map[wire.LeafIndex]groups.DeviceID // who has sent, by the leaf that was proven
}

func newPastReader(e *pastEpoch, key *groups.RoomKey) (*pastReader, error) {
	k := mls.RoomKey{CipherSuite: key.Suite, SenderDataSecret: key.SenderDataSecret, EncryptionSecret: key.EncryptionSecret}
	history, err := mls.NewHistory(&k, &e.Context)
	if err != nil {
		return nil, fmt.Errorf("epoch %d of %s: %w", e.Context.Epoch, e.Context.GroupID, err)
	}
	return &pastReader{epoch: e, history: history, proven: make(map[wire.LeafIndex]groups.DeviceID)}, nil
}

// open opens one message and says who has sent it: its sender's leaf is proven
// in the epoch's tree, its signature verified, and its stamp compared.
func (h *pastReader) open(body []byte, stamped groups.DeviceID) (Content, error) {
	sender, err := h.history.Sender(body)
	if err != nil {
		return Content{}, err
	}
	device, known := h.proven[sender]
	if !known {
		proof, err := h.epoch.proof(sender)
		if err != nil {
			return Content{}, err
		}
		if err := h.history.Prove(proof); err != nil {
			return Content{}, err
		}
	}
	m, err := h.history.Open(body)
	if err != nil {
		return Content{}, err
	}
	if !known {
		if device, err = deviceOfLeaf(m.LeafNode); err != nil {
			return Content{}, err
		}
		h.proven[sender] = device
	}
	if device != stamped {
		return Content{}, fmt.Errorf("is stamped by %s and sealed by %s", stamped, device)
	}
	return ParseContent(m.Plaintext)
}

// openPart opens the messages at some places, of those that are still put aside.
func (p *past) openPart(seqs []groups.Seq, histories map[groups.Epoch]*pastReader) ([]pastMessage, error) {
	list := make([]pastMessage, 0, len(seqs))
	err := p.d.cfg.Store.View(func(tx Tx) error {
		for _, seq := range seqs {
			raw, err := tx.Get(TablePast, seqKey(p.room, uint64(seq)))
			if err != nil {
				return err
			}
			if raw == nil {
				continue
			}
			e, err := groups.ParseEntry(slices.Clone(raw))
			if err != nil {
				return damaged(TablePast, err)
			}
			list = append(list, pastMessage{entry: e})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("messages of %s: %w", p.room, err)
	}
	for i := range list {
		if err := p.openOne(&list[i], histories); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// openOne opens one message.
func (p *past) openOne(one *pastMessage, histories map[groups.Epoch]*pastReader) error {
	e := one.entry
	m, err := wire.ParsePrivateMessage(e.Body)
	if err != nil {
		return damaged(TablePast, err)
	}
	stamp, err := groups.ParseAuthenticatedData(m.AuthenticatedData)
	if err != nil {
		return damaged(TablePast, err)
	}
	one.said = &Message{
		Room: p.room, Seq: e.Seq, ID: MessageID(stamp.ID), Device: stamp.Device,
		Epoch: e.Epoch, Time: millis(e.AcceptedAt), State: Received,
	}
	content, err := histories[e.Epoch].open(e.Body, stamp.Device)
	if err != nil {
		one.err, one.said.Problem = err, err.Error()
	} else {
		one.said.Content = content
	}
	return nil
}

// store puts messages into the history, in one transaction, and counts them.
func (p *past) store(list []pastMessage) error {
	stored := make([]*pastMessage, 0, len(list))
	err := p.d.change(p.room, func(tx Tx, r *room) error {
		for i := range list {
			done, err := p.storeOne(tx, r, &list[i])
			if err != nil {
				return err
			}
			if done {
				stored = append(stored, &list[i])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, one := range stored {
		if one.err != nil {
			p.report.Unreadable++
			p.report.Why[reasonOf(one.err)]++
		} else {
			p.report.Messages++
		}
		if seq := one.entry.Seq; p.from == 0 || seq < p.from {
			p.from = seq
		}
		p.last = max(p.last, one.entry.Seq)
	}
	return nil
}

// storeOne puts one message into the history, unless another call has.
func (p *past) storeOne(tx Tx, r *room, one *pastMessage) (bool, error) {
	e, said := one.entry, one.said
	key := seqKey(p.room, uint64(e.Seq))
	if raw, err := tx.Get(TablePast, key); err != nil || raw == nil {
		return false, err
	}
	if err := tx.Delete(TablePast, key); err != nil {
		return false, err
	}
	line := LogEntry{
		Seq: e.Seq, Hash: e.Hash(), Epoch: e.Epoch, Kind: e.Kind, Device: said.Device,
		ID: said.ID, Time: said.Time, Size: len(e.Body), Note: said.Problem,
	}
	if err := tx.Put(TableLog, key, packRow(&line)); err != nil {
		return false, err
	}
	if p.reader && r.State == RoomReading {
		r.hears(said, e.AcceptedAt)
	}
	a := &applier{d: p.d, tx: tx, r: r, e: e, line: line}
	return true, a.saidBefore(said)
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
