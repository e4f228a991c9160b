package mls

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// A recordID names a record. Epoch, leaf and block are zero where a kind has
// none; leaf is a proposal's number for proposals, a chunk's for the tree.
//
//	group                             this member's keys, what the epoch hangs on
//	epoch/EPOCH                       what opens the messages of an epoch
//	secrets/EPOCH/LEAF                subtree secrets left over when LEAF was first heard
//	ratchets/EPOCH/LEAF               where the two ratchets of LEAF are
//	skipped/EPOCH/LEAF/CONTENT/BLOCK  keys of 32 generations of a ratchet not yet seen
//	proposal/EPOCH/NUMBER             a proposal that waits for a commit
//	tree/CHUNK                        a part of the public tree
//
// A message changes ratchets, and seldom secrets and skipped; a commit changes
// the others.
type recordID struct {
	kind    recordKind
	content byte // ContentType of skipped
	leaf    uint32
	block   uint32
	epoch   uint64
}

type recordKind byte

const (
	groupRecord recordKind = iota
	epochRecord
	secretsRecord
	ratchetsRecord
	skippedRecord
	proposalRecord
	treeRecord
	recordKinds
)

// A recordLayout says how the key of a kind is written: its name, then the
// fields it has, in hexadecimal.
type recordLayout struct {
	name                        string
	epoch, leaf, content, block bool
}

var recordLayouts = [recordKinds]recordLayout{
	groupRecord:    {name: "group"},
	epochRecord:    {name: "epoch", epoch: true},
	secretsRecord:  {name: "secrets", epoch: true, leaf: true},
	ratchetsRecord: {name: "ratchets", epoch: true, leaf: true},
	skippedRecord:  {name: "skipped", epoch: true, leaf: true, content: true, block: true},
	proposalRecord: {name: "proposal", epoch: true, leaf: true},
	treeRecord:     {name: "tree", leaf: true},
}

// key writes the id as a Record's key.
func (id recordID) key() string {
	l := recordLayouts[id.kind]
	b := append(make([]byte, 0, 64), l.name...)
	field := func(on bool, v []byte) {
		if on {
			b = hex.AppendEncode(append(b, '/'), v)
		}
	}
	field(l.epoch, binary.BigEndian.AppendUint64(nil, id.epoch))
	field(l.leaf, binary.BigEndian.AppendUint32(nil, id.leaf))
	field(l.content, []byte{id.content})
	field(l.block, binary.BigEndian.AppendUint32(nil, id.block))
	return string(b)
}

// parseKey reads what key wrote.
func parseKey(key string) (recordID, error) {
	parts := strings.Split(key, "/")
	kind := slices.IndexFunc(recordLayouts[:], func(l recordLayout) bool { return l.name == parts[0] })
	if kind < 0 {
		return recordID{}, fmt.Errorf("record %q: %w", key, ErrRecord)
	}
	id := recordID{kind: recordKind(kind)}
	var raw []byte
	for _, p := range parts[1:] {
		b, err := hex.DecodeString(p)
		if err != nil {
			return recordID{}, fmt.Errorf("record %q: %w", key, ErrRecord)
		}
		raw = append(raw, b...)
	}
	take := func(on bool, n int) (v uint64) {
		if !on || len(raw) < n {
			return 0
		}
		for _, b := range raw[:n] {
			v = v<<8 | uint64(b)
		}
		raw = raw[n:]
		return v
	}
	l := recordLayouts[kind]
	id.epoch = take(l.epoch, 8)
	id.leaf = uint32(take(l.leaf, 4))
	id.content = byte(take(l.content, 1))
	id.block = uint32(take(l.block, 4))
	if id.key() != key {
		return recordID{}, fmt.Errorf("record %q: %w", key, ErrRecord)
	}
	return id, nil
}
