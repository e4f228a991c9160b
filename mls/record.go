package mls

import (
	"slices"
	"strings"

	"parley/mls/wire"
)

// A Record is one row of a Group's stored form. A nil Value deletes the row.
// Values are secret, but for those of keys that begin with "tree/".
type Record struct {
	Key   string
	Value []byte
}

// recordVersion begins every record that may change its layout; those of groups
// and epochs have changed.
const (
	recordVersion = 1
	groupVersion  = 2
	epochVersion  = 2
)

// changes are the records that differ from what was last taken.
type changes map[recordID]struct{}

// add remembers that a record is to be written, or deleted if it is gone.
func (c changes) add(id recordID) { c[id] = struct{}{} }

// key remembers what the use of a message key changes.
func (c changes) key(epoch uint64, u *used) {
	leaf := uint32(u.leaf)
	c.add(recordID{kind: ratchetsRecord, epoch: epoch, leaf: leaf})
	if u.growth != nil {
		c.add(recordID{kind: secretsRecord, epoch: epoch, leaf: leaf})
		c.add(recordID{kind: secretsRecord, epoch: epoch, leaf: u.growth.fromHome})
	}
	skipped := func(k *messageKey) {
		c.add(recordID{kind: skippedRecord, epoch: epoch, leaf: leaf, content: ratchetOf(u.content), block: k.generation / blockSize})
	}
	if u.step.old {
		skipped(&u.step.messageKey)
		return
	}
	for i := range u.step.skipped {
		skipped(&u.step.skipped[i])
	}
	for i := range len(u.ratchet.skipped) + len(u.step.skipped) - maxSkipped {
		if i < len(u.ratchet.skipped) {
			skipped(&u.ratchet.skipped[i])
		}
	}
}

// ratchetOf names the ratchet that protects a content type by the content
// type that stands for it.
func ratchetOf(t wire.ContentType) byte {
	if t == wire.ContentTypeApplication {
		return byte(wire.ContentTypeApplication)
	}
	return byte(wire.ContentTypeProposal)
}

// secretTree remembers all records of a secret tree.
func (c changes) secretTree(number uint64, t *secretTree) {
	for _, s := range t.nodes {
		c.add(recordID{kind: secretsRecord, epoch: number, leaf: s.home})
	}
	for leaf, s := range t.senders {
		c.add(recordID{kind: ratchetsRecord, epoch: number, leaf: leaf})
		for _, content := range []wire.ContentType{wire.ContentTypeProposal, wire.ContentTypeApplication} {
			for _, k := range s.of(content).skipped {
				c.add(recordID{kind: skippedRecord, epoch: number, leaf: leaf, content: byte(content), block: k.generation / blockSize})
			}
		}
	}
}

// TakeChanges returns the records that differ from those taken before, and
// forgets that they do; of a Group that Create or Join made, all there is. After
// a message they are a few hundred bytes; after a commit some kilobytes, and
// what it changed of the tree.
//
// They must be written together, in the order in which they were taken, and be
// durable before anything that depends on them leaves: a message that Seal
// made, a proposal, or, of a Pending's Next, the commit (I7). If they can not be
// written, the Group is of no use any more: Load it again.
func (g *Group) TakeChanges() []Record {
	records := make([]Record, 0, len(g.changed))
	for id := range g.changed {
		records = append(records, Record{id.key(), g.encode(id)})
	}
	g.changed = make(changes) // a map never shrinks, and that of a join is large
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
	return records
}

// encode returns the value of a record, nil if there is none.
func (g *Group) encode(id recordID) []byte {
	w := wire.NewWriter(nil)
	switch id.kind {
	case groupRecord:
		g.encodeGroup(w)
		return w.Bytes()
	case proposalRecord:
		return g.encodeProposal(id)
	case treeRecord:
		return g.encodeNode(id)
	}
	p := g.carried(id.epoch)
	if p == nil {
		return nil
	}
	there := true
	switch id.kind {
	case epochRecord:
		p.encode(w, id.epoch == g.Epoch())
	case secretsRecord:
		there = p.tree.encodeSecrets(w, id.leaf)
	case ratchetsRecord:
		there = p.tree.encodeRatchets(w, id.leaf)
	case skippedRecord:
		there = p.tree.encodeSkipped(w, id)
	}
	if !there {
		return nil
	}
	return w.Bytes()
}

// carried returns an epoch that g carries, nil if it does not.
func (g *Group) carried(number uint64) *pastEpoch {
	current := g.epoch.context.Epoch
	if number == current {
		return &pastEpoch{epoch: g.epoch}
	}
	if i := current - number - 1; number < current && i < uint64(len(g.past)) {
		return &g.past[i]
	}
	return nil
}
