package gateway

import (
	"google.golang.org/protobuf/encoding/protowire"

	"parley/groups"
)

// Fields of TailResponse and RoomEntries, as api/device/v1/device.proto
// numbers them.
const (
	fieldRooms   protowire.Number = 1
	fieldRoom    protowire.Number = 1
	fieldEntries protowire.Number = 2
	fieldHead    protowire.Number = 3
)

// A page is a run of entries of one room, encoded as the field rooms of a
// TailResponse. It is not changed once it is made: many tails send it.
type page struct {
	changes uint64 // of the room when it was read
	after   groups.Seq
	upto    groups.Seq // the last entry, or after if there is none
	head    groups.Seq // where the log stands
	entries int
	members bool // an entry may have changed who is a member
	bytes   []byte
	read    groups.Page // to encode a part of it
}

// newPage checks that entries are consecutive and encodes them. A gap is our
// own log's fault.
func newPage(room groups.RoomID, after groups.Seq, read groups.Page) (*page, error) {
	p := &page{after: after, upto: after, entries: len(read.Entries), read: read}
	for _, e := range read.Entries {
		if e.Seq != p.upto+1 {
			return nil, groups.Errorf(groups.Internal, "log of %s: entry %d follows %d", room, e.Seq, p.upto)
		}
		p.upto = e.Seq
		p.members = p.members || e.Kind == groups.KindCommit
	}
	p.head = p.upto
	if read.Head != nil {
		p.head = max(p.head, read.Head.Head.Seq)
	}
	if p.entries > 0 {
		p.bytes = appendRoom(nil, room, read)
	}
	return p, nil
}

// cut returns the page without the entries outside first to last.
func (p *page) cut(room groups.RoomID, first, last groups.Seq) *page {
	part := groups.Page{Head: p.read.Head}
	for _, e := range p.read.Entries {
		if e.Seq >= first && e.Seq <= last {
			part.Entries = append(part.Entries, e)
		}
	}
	c := &page{after: p.after, upto: p.upto, head: p.head, entries: len(part.Entries), read: part}
	if c.entries > 0 {
		c.bytes = appendRoom(nil, room, part)
	}
	return c
}

// appendRoom appends one RoomEntries as a field of TailResponse.
func appendRoom(b []byte, room groups.RoomID, read groups.Page) []byte {
	var head []byte
	if read.Head != nil {
		head = read.Head.Marshal()
	}
	size := protowire.SizeTag(fieldRoom) + protowire.SizeBytes(len(room)) +
		protowire.SizeTag(fieldHead) + protowire.SizeBytes(len(head))
	for _, e := range read.Entries {
		size += protowire.SizeTag(fieldEntries) + protowire.SizeBytes(len(e.Bytes))
	}
	if b == nil {
		b = make([]byte, 0, size+protowire.SizeTag(fieldRooms)+protowire.SizeBytes(size))
	}
	b = protowire.AppendTag(b, fieldRooms, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, fieldRoom, protowire.BytesType)
	b = protowire.AppendString(b, string(room))
	for _, e := range read.Entries {
		b = protowire.AppendTag(b, fieldEntries, protowire.BytesType)
		b = protowire.AppendBytes(b, e.Bytes)
	}
	b = protowire.AppendTag(b, fieldHead, protowire.BytesType)
	return protowire.AppendBytes(b, head)
}
