package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"parley/groups"
	"parley/mls/wire"
)

// A pageReader takes a page of a room that is read, in one transaction: what it
// has of the log, the messages that wait for their keys, and the cursor (I6).
type pageReader struct {
	d      *Device
	tx     Tx
	r      *room
	rd     *reading
	hashes map[groups.Seq]groups.Hash // of the page's entries
	notes  []pastNote                 // what they leave behind
}

// readPage verifies and applies consecutive entries of a room that is read.
func (d *Device) readPage(id groups.RoomID, entries [][]byte, head *groups.SignedHead) error {
	return d.change(id, func(tx Tx, r *room) error {
		if r.State != RoomReading || r.parked {
			return nil
		}
		rd, err := d.readingOf(tx, r)
		if err != nil {
			return err
		}
		p := &pageReader{d: d, tx: tx, r: r, rd: rd, hashes: make(map[groups.Seq]groups.Hash)}
		for _, raw := range entries {
			if err := p.entry(slices.Clone(raw)); err != nil {
				return err
			}
		}
		if err := p.expect(head); err != nil {
			return err
		}
		if err := p.settle(); err != nil {
			return err
		}
		if p.rd.due() {
			if err := p.rd.checkpoint(tx, id); err != nil {
				return err
			}
		}
		r.reading = p.rd
		return nil
	})
}

// entry takes one entry.
func (p *pageReader) entry(raw []byte) error {
	e, err := groups.ParseEntry(raw)
	if err != nil {
		return &Alarm{Room: p.r.Room, Kind: AlarmChain, Text: err.Error()}
	}
	if e.Seq <= p.rd.ledger.Head().Seq {
		return nil // it was delivered twice, and is applied once
	}
	next, step, err := p.rd.take(e, raw)
	if err != nil {
		return err
	}
	p.rd, p.r.moved = next, true
	here := next.ledger.Head()
	p.hashes[here.Seq] = here.Hash
	if here.Seq == p.r.Seq && here.Hash != p.r.Hash { // read again from the beginning
		return p.fork(groups.Head{Seq: p.r.Seq, Hash: p.r.Hash}, here.Hash)
	}
	if err := p.tx.Put(TableReading, readingSeq(p.r.Room, readEntry, uint64(e.Seq)), raw); err != nil {
		return err
	}
	if e.Kind == groups.KindMessage {
		p.r.KeyMessages++
		err = p.aside(e, raw)
	} else {
		p.notes = append(p.notes, noteOf(e, step))
	}
	if err != nil {
		return err
	}
	return p.reached()
}

// aside puts a message away until its key is there, with what it takes to ask
// for the key and to verify who has sent it.
func (p *pageReader) aside(e *groups.Entry, raw []byte) error {
	id := p.r.Room
	if done, err := opened(p.tx, id, e.Seq); err != nil || done {
		return err
	}
	epoch := p.rd.epoch(e.Epoch)
	if epoch == nil {
		return fmt.Errorf("entry %d of %s is of epoch %d, which is not known here", e.Seq, id, e.Epoch)
	}
	if err := putEpoch(p.tx, id, epoch); err != nil {
		return err
	}
	if sender := stampedBy(e.Body); sender != "" {
		if leaf, ok := epoch.ledger.Leaf(sender); ok {
			if err := putProof(p.tx, id, epoch, leaf); err != nil {
				return err
			}
		}
	}
	return p.tx.Put(TablePast, seqKey(id, uint64(e.Seq)), raw)
}

// stampedBy says who claims to have sent a message; empty if nobody does.
func stampedBy(body []byte) groups.DeviceID {
	m, err := wire.ParsePrivateMessage(body)
	if err != nil {
		return ""
	}
	stamp, err := groups.ParseAuthenticatedData(m.AuthenticatedData)
	if err != nil {
		return ""
	}
	return stamp.Device
}

// expect holds the log against a signed head: now if it has been reached, else
// when it is. Of several ahead of us the first counts.
func (p *pageReader) expect(signed *groups.SignedHead) error {
	if signed == nil {
		return nil
	}
	h, here := signed.Head, p.rd.ledger.Head()
	if h.Seq > here.Seq {
		if len(p.r.Heads) == 0 {
			p.r.Heads, p.r.moved = signed.Marshal(), true
		}
		return nil
	}
	ours, known, err := p.hashAt(h.Seq)
	if err != nil || !known {
		return err
	}
	return p.confirm(h, ours)
}

// reached compares, when the log has come to an expected head.
func (p *pageReader) reached() error {
	if len(p.r.Heads) == 0 {
		return nil
	}
	signed, err := groups.ParseSignedHead(p.r.Heads)
	if err != nil {
		return damaged(TableRooms, err)
	}
	here := p.rd.ledger.Head()
	if here.Seq < signed.Head.Seq {
		return nil
	}
	p.r.Heads = nil
	return p.confirm(signed.Head, here.Hash)
}

// hashAt is the hash of an entry that was read, if it is still known.
func (p *pageReader) hashAt(seq groups.Seq) (groups.Hash, bool, error) {
	if here := p.rd.ledger.Head(); here.Seq == seq {
		return here.Hash, true, nil
	}
	if hash, known := p.hashes[seq]; known {
		return hash, true, nil
	}
	if seq == p.r.Seq {
		return p.r.Hash, true, nil
	}
	raw, err := p.tx.Get(TableReading, readingSeq(p.r.Room, readEntry, uint64(seq)))
	if err != nil || raw == nil {
		return groups.Hash{}, false, err
	}
	e, err := groups.ParseEntry(raw)
	if err != nil {
		return groups.Hash{}, false, damaged(TableReading, err)
	}
	return e.Hash(), true, nil
}

// confirm moves the cursor to what the hub has signed.
func (p *pageReader) confirm(h groups.Head, ours groups.Hash) error {
	if h.Hash != ours {
		return p.fork(h, ours)
	}
	if h.Seq > p.r.Seq {
		p.r.Seq, p.r.Hash, p.r.Time, p.r.moved = h.Seq, h.Hash, h.Time, true
	}
	return nil
}

func (p *pageReader) fork(h groups.Head, ours groups.Hash) error {
	return &Alarm{
		Room: p.r.Room, Seq: h.Seq, Kind: AlarmFork,
		Text: fmt.Sprintf("the hub has signed entry %d as %s and shows %s", h.Seq, h.Hash, ours),
	}
}

// settle shows what the cursor has come to, and keeps the rest for then. How
// many changes wait is bounded by what there is between two signed heads.
func (p *pageReader) settle() error {
	if !p.r.moved {
		return nil
	}
	if err := p.release(); err != nil {
		return err
	}
	for i := range p.notes {
		n := &p.notes[i]
		var err error
		if n.Line.Seq <= p.r.Seq {
			err = p.show(n)
		} else {
			err = putJSON(p.tx, TableReading, readingSeq(p.r.Room, readHeld, uint64(n.Line.Seq)), n)
		}
		if err != nil {
			return err
		}
	}
	r, l := p.r, p.rd.ledger
	r.Why = ""
	if r.Seq == 0 || l.Members() == 0 {
		return nil
	}
	policy := l.Policy()
	r.Epoch, r.policy, r.Policy = l.Head().Epoch, policy, encodedPolicy(&policy)
	r.Suite, r.Devices = uint16(l.Past().Context.CipherSuite), l.Members()
	if len(p.notes) > 0 {
		r.Users = usersOf(l)
		r.tell(Event{Kind: EventRoom})
	}
	return nil
}

// usersOf counts the people of a room.
func usersOf(l *groups.Ledger) int {
	users := make(map[groups.UserID]bool)
	for _, d := range l.Devices() {
		users[d.User()] = true
	}
	return len(users)
}

// release shows changes that were held back.
func (p *pageReader) release() error {
	var list []pastNote
	var bad error
	err := p.tx.Scan(TableReading, Range{Prefix: readingKey(p.r.Room, readHeld)}, func(key, value []byte) bool {
		if groups.Seq(seqOf(key)) > p.r.Seq {
			return false
		}
		var n pastNote
		if bad = json.Unmarshal(value, &n); bad != nil {
			bad = damaged(TableReading, bad)
			return false
		}
		list = append(list, n)
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	for i := range list {
		n := &list[i]
		if err := p.show(n); err != nil {
			return err
		}
		if err := p.tx.Delete(TableReading, readingSeq(p.r.Room, readHeld, uint64(n.Line.Seq))); err != nil {
			return err
		}
	}
	return nil
}

// show puts a change where a member has it.
func (p *pageReader) show(n *pastNote) error {
	if n.Change != nil {
		p.r.KeyMade, p.r.KeyMaker, p.r.KeyMessages = uint64(n.Line.Time.UnixMilli()), n.Line.Device, 0
	}
	return writeNote(p.d, p.tx, p.r, n)
}
