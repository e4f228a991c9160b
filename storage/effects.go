package storage

import (
	"encoding/binary"
	"slices"

	"parley/groups"
)

// opFor turns a step of the room's ledger into an op: the entry, and the rows
// of what follows from it, which land in the same transaction. Everything but
// the entry and the bytes it names could be made again from the log. The entry
// is stored as bytes, or encoded if that is nil.
func (s *Store) opFor(r *room, st *groups.Step, bytes []byte) (*op, error) {
	head := st.Next.Head()
	e := &st.Entry
	if bytes == nil {
		bytes = e.Marshal()
	}
	o := &op{
		room: r, next: st.Next, head: head,
		stored: groups.Stored{Seq: e.Seq, Kind: e.Kind, Bytes: bytes},
	}
	if e.Kind == groups.KindCommit || e.Kind == groups.KindCreate {
		if err := s.commitRows(r, o, st); err != nil {
			return nil, err
		}
	}
	if err := s.wantedRows(o, st); err != nil {
		return nil, err
	}
	o.weight = len(o.stored.Bytes) + segmentPerItem + rowOverhead + weigh(o.rows)
	if o.weight > maxOpBytes {
		return nil, errTooLarge(r.id, o.weight)
	}
	return o, nil
}

// commitRows adds what a create entry or a commit changes beside the log.
func (s *Store) commitRows(r *room, o *op, st *groups.Step) error {
	if r.tipAt.Seq == 0 {
		o.roster = true
		o.rows = append(o.rows, row{key: nameKey(rowRoom, r.id), value: r.record().encode()})
	}
	for _, a := range st.Attachments {
		o.rows = heldRows(o.rows, groups.HashOf(a), a)
	}
	next := infoOf(st.Next, r.info.groupInfo)
	o.roster = o.roster || !slices.Equal(next.sites, r.info.sites) || !slices.Equal(next.readers, r.info.readers)
	if st.GroupInfo != nil {
		next.groupInfo = groups.HashOf(st.GroupInfo)
		o.rows = heldRows(o.rows, next.groupInfo, st.GroupInfo)
	}
	o.info = next
	o.rows = append(o.rows, row{key: numberKey(rowInfo, r.number), value: next.encode()})
	o.rows = memberRows(o.rows, r.number, st)
	o.notify = append(o.notify, st.Removed...)
	return s.welcomeRows(r, o, st)
}

// welcomeRows routes the commit's Welcome to the devices of this site that it
// adds, and holds the public tree they need with it. A tree that does not fit
// the entry's transaction is written before: nobody can ask for it until the
// route is there.
func (s *Store) welcomeRows(r *room, o *op, st *groups.Step) error {
	if st.Welcome == nil || len(st.Added) == 0 {
		return nil
	}
	tree := groups.HashOf(st.Tree)
	route := welcomeRecord{epoch: o.head.Epoch, welcome: groups.HashOf(st.Welcome), tree: tree, entry: o.head.Hash}
	value, local := route.encode(), false
	for _, d := range st.Added {
		if d.Site() != s.cfg.Node.Site() {
			continue
		}
		local = true
		key := welcomeKey(d, r.number, o.head.Seq)
		use := append(hashKey(rowTreeUse, tree), key[1:]...)
		o.rows = append(o.rows, row{key: key, value: value}, row{key: use, value: []byte{}})
		o.notify = append(o.notify, d)
	}
	if !local {
		return nil
	}
	if len(st.Tree) > groups.MaxAttachment {
		return s.writeHeld(tree, st.Tree)
	}
	o.rows = heldRows(o.rows, tree, st.Tree)
	return nil
}

// A welcomeRecord is the route of a Welcome: what the device needs to join.
type welcomeRecord struct {
	epoch   groups.Epoch
	welcome groups.Hash // held bytes
	tree    groups.Hash // held bytes
	entry   groups.Hash // of the commit's header
}

func (w welcomeRecord) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 104), uint64(w.epoch))
	b = append(b, w.welcome[:]...)
	b = append(b, w.tree[:]...)
	return append(b, w.entry[:]...)
}

func decodeWelcomeRecord(b []byte) (welcomeRecord, error) {
	f := fields{b: b}
	w := welcomeRecord{epoch: groups.Epoch(f.uint64()), welcome: f.hash(), tree: f.hash(), entry: f.hash()}
	return w, f.done()
}
