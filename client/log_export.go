package client

import (
	"context"
	"errors"
	"io"

	devicev1 "parley/api/device/v1"
	"parley/groups"
)

// ExportLog reads a room's log from its first entry, verifies it as a follower
// does, and gives each entry to take, in order. What it gives out is what
// gateways store: ciphertext. It is for those who open cases, and for whoever
// keeps a copy. The room's policy has to let this device read the past.
func (d *Device) ExportLog(ctx context.Context, id groups.RoomID, take func(*groups.Entry) error) error {
	s, err := d.online("export the log of " + string(id))
	if err != nil {
		return err
	}
	stream, err := s.link.Tail(ctx, &devicev1.TailRequest{Cursors: []*devicev1.Cursor{{Room: string(id)}}, History: true})
	if err != nil {
		return err
	}
	defer stream.Close()
	ledger := groups.NewLedger(id, Directory{d.self.Load().trust})
	for {
		resp, err := stream.Receive()
		if errors.Is(err, io.EOF) || err == nil && resp.CaughtUp && len(resp.Rooms) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		for _, page := range resp.Rooms {
			if page.Room != string(id) {
				continue
			}
			if ledger, err = exportPage(ledger, page.Entries, take); err != nil {
				return err
			}
		}
		for _, c := range resp.Closed {
			if c.Room == string(id) {
				return groups.Errorf(groups.Denied, "the gateway gives nothing after entry %d: %s", c.Seq, clip(c.Why))
			}
		}
		if resp.CaughtUp {
			return nil
		}
	}
}

func exportPage(ledger *groups.Ledger, entries [][]byte, take func(*groups.Entry) error) (*groups.Ledger, error) {
	for _, b := range entries {
		e, err := groups.ParseEntry(b)
		if err != nil {
			return ledger, err
		}
		step, err := ledger.Replay(e)
		if err != nil {
			return ledger, err
		}
		if err := take(e); err != nil {
			return ledger, err
		}
		ledger = step.Next
	}
	return ledger, nil
}
