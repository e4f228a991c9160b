package client

import (
	"encoding/binary"
	"errors"
	"fmt"

	"parley/groups"
	"parley/mls/tree"
	"parley/mls/wire"
)

// An epoch of a room that is read is kept until its messages are opened: its
// context, the record of its key, and proofs of where its author and its senders
// were. So a key that comes later, after a restart too, finds all it takes, and
// no tree is kept for it.
//
//	struct {
//	  uint8 version; opaque context<V>; opaque record<V>; opaque author<V>;
//	} KeptEpoch; // without a record both are empty
type keptEpoch struct {
	context wire.GroupContext
	record  *groups.KeyRecord
	author  *tree.MembershipProof
}

func (k *keptEpoch) encodeRow(w *wire.Writer) {
	w.Opaque(wire.Marshal(&k.context))
	if k.record == nil {
		w.Opaque(nil)
		w.Opaque(nil)
		return
	}
	w.Opaque(k.record.Marshal())
	w.Opaque(wire.Marshal(k.author))
}

func (k *keptEpoch) decodeRow(r *wire.Reader) {
	context, record, author := r.Opaque(), r.Opaque(), r.Opaque()
	if r.Err() != nil {
		return
	}
	c, err := wire.Unmarshal[wire.GroupContext](context)
	if err == nil && len(record) > 0 {
		k.record, err = groups.ParseKeyRecord(record)
		if err == nil {
			k.author, err = parseProof(author)
		}
	}
	if err != nil {
		r.Fail(err)
		return
	}
	k.context = c
}

func parseProof(b []byte) (*tree.MembershipProof, error) {
	r := wire.NewReader(b)
	p := new(tree.MembershipProof)
	p.Decode(r)
	return p, r.Done()
}

// putEpoch keeps an epoch, unless it is kept as it is.
func putEpoch(tx Tx, room groups.RoomID, e *pastEpoch) error {
	if e.kept {
		return nil
	}
	e.kept = true
	key := readingSeq(room, readEpoch, e.Context.Epoch)
	there, err := tx.Get(TableReading, key)
	if err != nil {
		return err
	}
	if there != nil {
		var was keptEpoch
		if err := unpackRow(TableReading, there, &was); err != nil {
			return err
		}
		if was.record != nil || e.Record == nil {
			return nil
		}
	}
	k := &keptEpoch{context: e.Context, record: e.Record}
	if e.Record != nil {
		if k.author, err = e.proof(leafIndex(e.Record)); err != nil {
			return err
		}
	}
	return tx.Put(TableReading, key, packRow(k))
}

func proofKey(room groups.RoomID, epoch uint64, leaf wire.LeafIndex) []byte {
	return binary.BigEndian.AppendUint32(readingSeq(room, readProof, epoch), uint32(leaf))
}

// putProof keeps where a sender was, unless it is kept already.
func putProof(tx Tx, room groups.RoomID, e *pastEpoch, leaf wire.LeafIndex) error {
	if e.shown[leaf] {
		return nil
	}
	if e.shown == nil {
		e.shown = make(map[wire.LeafIndex]bool)
	}
	e.shown[leaf] = true
	key := proofKey(room, e.Context.Epoch, leaf)
	if there, err := tx.Get(TableReading, key); err != nil || there != nil {
		return err
	}
	proof, err := e.proof(leaf)
	if err != nil {
		return err
	}
	return tx.Put(TableReading, key, wire.Marshal(proof))
}

// keptEpochOf reads an epoch; nil if it is not kept. Its proofs are read when
// they are asked for, outside of tx.
func (d *Device) keptEpochOf(tx Tx, room groups.RoomID, n groups.Epoch) (*pastEpoch, error) {
	b, err := tx.Get(TableReading, readingSeq(room, readEpoch, uint64(n)))
	if err != nil || b == nil {
		return nil, err
	}
	var k keptEpoch
	if err := unpackRow(TableReading, append([]byte(nil), b...), &k); err != nil {
		return nil, err
	}
	policy, err := policyOf(k.context.Extensions)
	if err != nil {
		return nil, damaged(TableReading, err)
	}
	e := &pastEpoch{Past: &groups.Past{Context: k.context, Record: k.record}, rules: policy}
	e.stored = func(leaf wire.LeafIndex) (proof *tree.MembershipProof, err error) {
		if k.record != nil && leaf == leafIndex(k.record) {
			return k.author, nil
		}
		err = d.cfg.Store.View(func(tx Tx) error {
			b, err := tx.Get(TableReading, proofKey(room, uint64(n), leaf))
			if err == nil && b == nil {
				return fmt.Errorf("leaf %d has sent it, another one is stamped", leaf)
			}
			if err == nil {
				proof, err = parseProof(append([]byte(nil), b...))
			}
			return err
		})
		return proof, err
	}
	return e, nil
}

// forgetEpochs forgets epochs before one that nothing waits for any more.
func forgetEpochs(tx Tx, room groups.RoomID, before groups.Epoch, waiting map[groups.Epoch]bool) error {
	var gone [][]byte
	for _, kind := range []byte{readEpoch, readProof} {
		prefix := readingKey(room, kind)
		err := tx.Scan(TableReading, Range{Prefix: prefix}, func(key, _ []byte) bool {
			n := groups.Epoch(binary.BigEndian.Uint64(key[len(prefix):]))
			if n >= before {
				return false
			}
			if !waiting[n] {
				gone = append(gone, append([]byte(nil), key...))
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	var errs []error
	for _, key := range gone {
		errs = append(errs, tx.Delete(TableReading, key))
	}
	return errors.Join(errs...)
}
