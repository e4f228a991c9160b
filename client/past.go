package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// A PastProgress says how far the fetching of a room's past has come.
type PastProgress struct {
	Stage    string     // reading the log, asking for keys, done
	Entries  groups.Seq // of the log, read and verified
	Total    groups.Seq // entries there are
	Epochs   int        // with messages that this device can not read yet
	Keys     int        // of those, asked for so far
	Messages int        // opened
}

// A PastReport says what came of it.
type PastReport struct {
	Messages   int            // that can be read now
	Unreadable int            // that can not
	Why        map[string]int // why not, in words, and how many messages each
	Keys       int            // opened by unwrap services
	Lied       []string       // unwrap services that gave what is not the room's key, by URL
}

// A past fetches the part of a room's log that this device has no keys of: the
// time before it joined. First it reads the log from its beginning and verifies
// it as a follower does, entry by entry; then it asks unwrap services for the
// keys of the epochs, shows them why it may have them, and opens each message,
// whose signature it verifies. For a room that is only read (reading) it does the
// second half: the log is followed as it grows.
type past struct {
	d        *Device
	s        *session
	room     groups.RoomID
	reader   bool // of a room that is only read
	tell     func(PastProgress)
	progress PastProgress
	report   PastReport

	ledger *groups.Ledger
	epochs []*pastEpoch // by epoch
	upto   groups.Seq   // messages after this entry are read live,
	first  groups.Epoch // unless they were sealed before this epoch, which it began
	end    groups.Head  // the log has to lead to it
	kept   []keptEntry  // messages on their way to the store
	size   int          // of kept, in bytes
	notes  []pastNote   // written when all of the log is known to be right

	// Of a room that is only read.
	held       *heldKeys
	sealed     map[string]int // messages without a key, by why not
	from, last groups.Seq     // of the messages that were opened
}

// A keptEntry is a message that waits for its key.
type keptEntry struct {
	seq   groups.Seq
	bytes []byte
}

const (
	// maxKept bounds what is in memory before it is written.
	maxKept = 4 << 20
	// maxPastEpochs bounds the epochs of a room whose past is fetched.
	maxPastEpochs = 1 << 20
)

// FetchPast makes what was said in a room before this device joined readable,
// as far as the room's policy and the communities let it. It needs a gateway,
// and the communities' services. What it has opened is durable: called again, it
// goes on from there. progress is called from time to time, and may be nil.
//
// A room that is only read (Attach) is opened as it is read, without being asked;
// there it waits until all that the gateway has was read, asks for every key
// that is missing, and reports what has come since it was last called.
//
// The error says why nothing could be tried, or what stopped it; what can not
// be read for good is in the report.
func (d *Device) FetchPast(ctx context.Context, id groups.RoomID, progress func(PastProgress)) (*PastReport, error) {
	s, err := d.online("fetch the past of " + string(id))
	if err != nil {
		return nil, err
	}
	p, err := d.newPast(s, id)
	if err != nil {
		return nil, err
	}
	if p.tell = progress; progress == nil {
		p.tell = func(PastProgress) {}
	}
	if p.reader {
		return p.fetchReading(ctx)
	}
	if p.upto == 0 {
		return &p.report, nil
	}
	if err := p.walk(ctx); err != nil {
		if groups.KindOf(err) == groups.Conflict {
			err = errors.Join(err, p.forget()) // what was put aside is of a log that is not the room's
		}
		return nil, fmt.Errorf("read the log of %s: %w", id, err)
	}
	if err := p.open(ctx); err != nil {
		return &p.report, err
	}
	if err := p.mend(); err != nil {
		return &p.report, err
	}
	p.progress.Stage = "done"
	p.tell(p.progress)
	return &p.report, nil
}

// newPast says where the past of a room ends for this device.
func (d *Device) newPast(s *session, id groups.RoomID) (*past, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rooms[id]
	switch {
	case r == nil:
		return nil, notIn(id)
	case r.State != RoomLive && r.State != RoomReading:
		return nil, closedError(id, r.Why)
	}
	p := &past{d: d, s: s, room: id, reader: r.State == RoomReading}
	p.report.Why = make(map[string]int)
	p.ledger = groups.NewLedger(id, Directory{d.self.Load().trust})
	p.end = groups.Head{Room: id, Seq: r.Seq, Hash: r.Hash}
	p.upto = r.Joined
	if r.Joined <= 1 {
		p.upto = 0 // it has been here from the beginning
	}
	return p, nil
}

// walk reads the log from its first entry.
func (p *past) walk(ctx context.Context) error {
	p.progress.Stage = "reading the log"
	stream, err := p.s.link.Tail(ctx, &devicev1.TailRequest{Cursors: []*devicev1.Cursor{{Room: string(p.room)}}, History: true})
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		resp, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, page := range resp.Rooms {
			if page.Room == string(p.room) {
				if err := p.page(ctx, page); err != nil {
					return err
				}
			}
		}
		for _, c := range resp.Closed {
			if c.Room == string(p.room) {
				return groups.Errorf(groups.Denied, "the gateway gives nothing after entry %d: %s", c.Seq, clip(c.Why))
			}
		}
		if resp.CaughtUp {
			break
		}
	}
	if err := p.checkEnd(); err != nil {
		return err
	}
	if err := p.write(); err != nil {
		return err
	}
	return p.writeNotes()
}

// checkEnd: the log that was read is the one this device knows.
func (p *past) checkEnd() error {
	head := p.ledger.Head()
	if head.Seq < p.end.Seq {
		return groups.Errorf(groups.Unavailable, "the gateway gives %d entries, there are %d at least", head.Seq, p.end.Seq)
	}
	return nil
}

// forget takes back what was put aside.
func (p *past) forget() error {
	return p.d.cfg.Store.Update(func(tx Tx) error { return deleteAll(tx, TablePast, roomKey(p.room)) })
}

// page verifies and applies consecutive entries.
func (p *past) page(ctx context.Context, page *devicev1.RoomEntries) error {
	head, err := p.d.pageHead(ctx, p.s, p.room, page.Head)
	if err != nil {
		return err
	}
	for _, b := range page.Entries {
		e, err := groups.ParseEntry(b)
		if err != nil {
			return err
		}
		if err := p.entry(e, b); err != nil {
			return fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		now := p.ledger.Head()
		if head != nil && now.Seq == head.Head.Seq && now.Hash != head.Head.Hash {
			return groups.Errorf(groups.Conflict, "entry %d is %v, the hub has signed %v: it shows two histories", now.Seq, now.Hash, head.Head.Hash)
		}
	}
	p.progress.Entries = p.ledger.Head().Seq
	p.progress.Total = max(p.progress.Entries, p.end.Seq)
	if head != nil {
		p.progress.Total = max(p.progress.Total, head.Head.Seq)
	}
	p.tell(p.progress)
	return nil
}

// entry takes one entry through the same rules as the hub and its followers.
func (p *past) entry(e *groups.Entry, raw []byte) error {
	if e.Seq <= p.ledger.Head().Seq {
		return nil
	}
	step, err := p.ledger.Replay(e)
	if err != nil {
		return err
	}
	p.ledger = step.Next
	if e.Seq == p.upto {
		p.first = p.ledger.Head().Epoch
	}
	if e.Seq == p.end.Seq && p.ledger.Head().Hash != p.end.Hash {
		return groups.Errorf(groups.Conflict, "it is %v, this device has read %v: the hub shows two histories", p.ledger.Head().Hash, p.end.Hash)
	}
	switch e.Kind {
	case groups.KindCreate, groups.KindCommit:
		if len(p.epochs) >= maxPastEpochs {
			return groups.Errorf(groups.TooLarge, "more than %d epochs", maxPastEpochs)
		}
		p.epochs = append(p.epochs, &pastEpoch{Past: step.Next.Past(), ledger: step.Next, place: len(p.epochs)})
	case groups.KindKeyRecord:
		last := p.epochs[len(p.epochs)-1]
		last.Past, last.ledger = step.Next.Past(), step.Next
	case groups.KindMessage:
		return p.keep(e, raw)
	}
	return p.note(e, step)
}

// keep puts a message aside until its key is there.
func (p *past) keep(e *groups.Entry, raw []byte) error {
	if e.Seq > p.upto && e.Epoch >= p.first || int(e.Epoch) >= len(p.epochs) {
		return nil
	}
	p.epochs[e.Epoch].messages = append(p.epochs[e.Epoch].messages, e.Seq)
	p.kept = append(p.kept, keptEntry{e.Seq, slices.Clone(raw)})
	if p.size += len(raw); p.size < maxKept {
		return nil
	}
	return p.write()
}

// write makes what was put aside durable; what can be read already is left out.
func (p *past) write() error {
	if len(p.kept) == 0 {
		return nil
	}
	err := p.d.cfg.Store.Update(func(tx Tx) error {
		for _, k := range p.kept {
			if done, err := opened(tx, p.room, k.seq); err != nil || done {
				if err != nil {
					return err
				}
				continue
			}
			if err := tx.Put(TablePast, seqKey(p.room, uint64(k.seq)), k.bytes); err != nil {
				return err
			}
		}
		return nil
	})
	p.kept, p.size = nil, 0
	if err != nil {
		return fmt.Errorf("keep messages of %s: %w", p.room, err)
	}
	return nil
}

// opened says whether the message at a place of the log has been opened.
func opened(tx Tx, room groups.RoomID, seq groups.Seq) (bool, error) {
	b, err := tx.Get(TableLog, seqKey(room, uint64(seq)))
	if err != nil || b == nil {
		return false, err
	}
	var line LogEntry
	err = unpackRow(TableLog, b, &line)
	return err == nil && line.Note == "", err
}

// waiting lists the epochs with messages that are put aside, by number.
func (p *past) waiting() ([]*pastEpoch, error) {
	there := make(map[groups.Seq]bool)
	err := p.d.cfg.Store.View(func(tx Tx) error {
		return tx.Scan(TablePast, Range{Prefix: roomKey(p.room)}, func(key, _ []byte) bool {
			there[groups.Seq(seqOf(key))] = true
			return true
		})
	})
	if err != nil {
		return nil, fmt.Errorf("messages of %s: %w", p.room, err)
	}
	var list []*pastEpoch
	for _, e := range p.epochs {
		e.messages = slices.DeleteFunc(e.messages, func(seq groups.Seq) bool { return !there[seq] })
		if len(e.messages) > 0 {
			list = append(list, e)
		}
	}
	return list, nil
}

// unreadable counts messages that can not be read, and why.
func (p *past) unreadable(e *pastEpoch, why string) {
	e.why = why
	p.report.Unreadable += len(e.messages)
	p.report.Why[why] += len(e.messages)
	if p.sealed != nil {
		p.sealed[why] += len(e.messages)
	}
}

// Reasons lists why messages can not be read, the most frequent first.
func (r *PastReport) Reasons() []string {
	list := slices.Collect(maps.Keys(r.Why))
	slices.SortFunc(list, func(a, b string) int { return r.Why[b] - r.Why[a] })
	return list
}
