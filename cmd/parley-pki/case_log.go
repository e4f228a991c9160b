package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"parley/client"
	"parley/coi"
	"parley/coi/service"
	"parley/groups"
	"parley/mls/wire"
)

// A roomLog is a room's log, verified from its first entry: who exported it
// could leave out the end, and change nothing.
type roomLog struct {
	room     groups.RoomID
	epochs   []*groups.Past // that have a key record, in order
	messages map[groups.Epoch][]groups.Entry
}

// readRoomLog reads and verifies the log in a file.
func readRoomLog(path string, trust *coi.Trust) (*roomLog, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read room log: %w", err)
	}
	defer f.Close()
	l := &roomLog{messages: map[groups.Epoch][]groups.Entry{}}
	var ledger *groups.Ledger
	in := json.NewDecoder(f)
	for {
		var line json.RawMessage
		if err := in.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		e, err := groups.ParseLogLine(line)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if ledger == nil {
			l.room = e.Room
			ledger = groups.NewLedger(e.Room, client.Directory{Trust: trust})
		}
		step, err := ledger.Replay(e)
		if err != nil {
			return nil, fmt.Errorf("read %s: entry %d: %w", path, e.Seq, err)
		}
		ledger = step.Next
		l.take(ledger, e)
	}
	if ledger == nil {
		return nil, fmt.Errorf("%s holds no entry", path)
	}
	return l, nil
}

// take keeps what an entry says for later.
func (l *roomLog) take(ledger *groups.Ledger, e *groups.Entry) {
	if e.Kind == groups.KindMessage {
		l.messages[e.Epoch] = append(l.messages[e.Epoch], *e)
	}
	past := ledger.Past()
	if past == nil || past.Record == nil {
		return
	}
	if n := len(l.epochs); n == 0 || l.epochs[n-1].Record.Epoch != past.Record.Epoch {
		l.epochs = append(l.epochs, past)
	}
}

// items are the epochs whose key was in use in a case's period, with what the
// unwrap service wants to see of each.
func (l *roomLog) items(c *service.Case) (items []service.CaseItem, epochs []groups.Epoch, err error) {
	for i, p := range l.epochs {
		item := service.CaseItem{}
		end := p.Record.NotAfter
		if i+1 < len(l.epochs) {
			next := l.epochs[i+1].Record
			item.Next, end = next.Marshal(), next.CreatedAt
		}
		if p.Record.CreatedAt >= millis(c.To) || end != 0 && end < millis(c.From) {
			continue
		}
		author, err := p.Tree.Proof(wire.LeafIndex(p.Record.AuthorLeaf))
		if err != nil {
			return nil, nil, err
		}
		item.Proven = groups.Proven{Record: p.Record.Marshal(), Context: wire.Marshal(p.Context), Author: author}
		items, epochs = append(items, item), append(epochs, p.Record.Epoch)
	}
	return items, epochs, nil
}

// past returns an epoch.
func (l *roomLog) past(n groups.Epoch) *groups.Past {
	for _, p := range l.epochs {
		if p.Record.Epoch == n {
			return p
		}
	}
	return nil
}

func millis(t time.Time) uint64 { return uint64(t.UnixMilli()) }
