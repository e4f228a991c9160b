package storage

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"parley/groups"
)

// Rebuild makes what is derived from a room's log anew from its entries:
// members, sites, the ledger's snapshot, from where to where each device may
// read. The log is the only truth; this is for the day when a row beside it is
// in doubt. Welcome routes stay as they are: which of them have been used is
// not in the log. It takes time in proportion to the log, and nobody writes to
// the room meanwhile.
func (s *Store) Rebuild(id groups.RoomID) error {
	r := s.find(id)
	if r == nil {
		return errNoRoom(id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.pending.idle() {
		return groups.Errorf(groups.Busy, "entries of %s are on their way: try again", id)
	}
	b := s.rebuilt(r)
	if err := b.replay(); err != nil {
		return groups.Errorf(groups.Internal, "rebuild %s: %w", id, err)
	}
	if err := b.dropStays(); err != nil {
		return readError(err)
	}
	in := infoOf(b.ledger, b.groupInfo)
	b.rows = append(b.rows, row{key: numberKey(rowInfo, r.number), value: in.encode()})
	if err := b.flush(0); err != nil {
		return err
	}
	if err := s.keepSnapshot(r, b.ledger.Head().Seq, b.ledger.Snapshot()); err != nil {
		return err
	}
	r.amend(func(v *view) { v.info, v.ledger = in, b.ledger })
	r.tip, r.info = nil, in // loaded again when it is written to
	return nil
}

// A rebuilt is a room on its way through its log.
type rebuilt struct {
	*Store
	room      *room
	ledger    *groups.Ledger
	groupInfo groups.Hash
	stays     map[groups.DeviceID][]groups.Seq // entries that each came or went by
	rows      []row
}

func (s *Store) rebuilt(r *room) *rebuilt {
	return &rebuilt{Store: s, room: r, ledger: groups.NewLedger(r.id, s.cfg.Directory), stays: make(map[groups.DeviceID][]groups.Seq)}
}

// replay goes through the whole log.
func (b *rebuilt) replay() error {
	last := b.room.view.Load().last
	for at := b.ledger.Head(); at.Seq < last.Seq; at = b.ledger.Head() {
		page, err := b.readLog(b.room, at.Seq, replayBytes)
		if err != nil {
			return err
		}
		for _, stored := range page {
			if err := b.entry(stored); err != nil {
				return fmt.Errorf("entry %d: %w", stored.Seq, err)
			}
		}
		if err := b.flush(maxHeldWrite); err != nil {
			return err
		}
	}
	if h := b.ledger.Head(); h.Hash != last.Hash {
		return errCorrupt
	}
	return nil
}

// entry takes the ledger one entry further and gathers the rows it makes.
func (b *rebuilt) entry(stored groups.Stored) error {
	e, err := groups.ParseEntry(stored.Bytes)
	if err != nil {
		return err
	}
	st, err := b.ledger.Replay(e)
	if err != nil {
		return err
	}
	b.ledger = st.Next
	switch e.Kind {
	case groups.KindCreate:
		b.groupInfo = groups.HashOf(st.GroupInfo)
	case groups.KindCommit:
		bundle, err := groups.ParseCommitBundle(e.Body)
		if err != nil {
			return err
		}
		b.groupInfo = bundle.GroupInfo
	}
	b.rows = memberRows(b.rows, b.room.number, st)
	for _, d := range slices.Concat(st.Removed, st.Added) {
		b.stays[d] = append(b.stays[d], e.Seq)
	}
	return nil
}

// dropStays deletes what rows say of memberships and the log does not.
func (b *rebuilt) dropStays() error {
	return b.db.View(func(txn *badger.Txn) error {
		for d, by := range b.stays {
			err := scan(txn, deviceKey(rowStay, d, b.room.number), nil, func(key, _ []byte) (bool, error) {
				if !slices.Contains(by, groups.Seq(binary.BigEndian.Uint64(key[len(key)-8:]))) {
					b.rows = append(b.rows, row{key: slices.Clone(key), gone: true})
				}
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// flush writes the rows gathered, if they weigh more than above.
func (b *rebuilt) flush(above int) error {
	if len(b.rows) == 0 || weigh(b.rows) <= above {
		return nil
	}
	err := b.writeRows(b.rows)
	b.rows = nil
	return err
}
