package storage

import (
	"encoding/binary"
	"slices"

	"parley/groups"
)

// A roomRecord is the row that gives a room its number.
type roomRecord struct {
	number uint64
	owned  bool // created here: this node gives the room its order
	owner  groups.NodeID
}

func (r roomRecord) encode() []byte {
	b := uint64Value(r.number)
	if r.owned {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return appendName(b, r.owner)
}

func decodeRoomRecord(b []byte) (roomRecord, error) {
	f := fields{b: b}
	r := roomRecord{number: f.uint64()}
	owned := f.uint8()
	r.owned = owned == 1
	r.owner = groups.NodeID(f.name())
	if owned > 1 {
		return r, errCorrupt
	}
	return r, f.done()
}

// A headRecord says where a room's log stands, and the latest head that its
// hub signed. For a follower that head may lie beyond the log held here.
type headRecord struct {
	last   groups.Head
	signed *groups.SignedHead // nil before the first
}

func (h headRecord) encode() []byte {
	b := make([]byte, 0, 512)
	b = binary.BigEndian.AppendUint64(b, uint64(h.last.Seq))
	b = append(b, h.last.Hash[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.last.Epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(h.last.Term))
	b = binary.BigEndian.AppendUint64(b, h.last.Time)
	if h.signed != nil {
		b = append(b, h.signed.Marshal()...)
	}
	return b
}

func decodeHeadRecord(room groups.RoomID, b []byte) (headRecord, error) {
	f := fields{b: b}
	h := headRecord{last: groups.Head{Room: room, Seq: groups.Seq(f.uint64()), Hash: f.hash(),
		Epoch: groups.Epoch(f.uint64()), Term: groups.Term(f.uint64()), Time: f.uint64()}}
	signed := f.rest()
	if err := f.done(); err != nil || len(signed) == 0 {
		return h, err
	}
	var err error
	h.signed, err = groups.ParseSignedHead(signed)
	return h, err
}

// An info is what is asked of a room more often than it changes. It is written
// when members or the GroupInfo change and never written to afterwards.
type info struct {
	members   int
	sites     []groups.SiteID
	left      map[groups.SiteID]groups.Seq // sites that get no more of it
	readers   []groups.SiteID              // whose devices may read it without a leaf
	history   groups.HistoryMode
	groupInfo groups.Hash // held bytes
}

func (i *info) encode() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(i.members))
	b = append(b, i.groupInfo[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(i.sites)))
	for _, s := range i.sites {
		b = appendName(b, s)
	}
	b = append(b, byte(i.history))
	b = binary.BigEndian.AppendUint32(b, uint32(len(i.readers)))
	for _, s := range i.readers {
		b = appendName(b, s)
	}
	gone := make([]groups.SiteID, 0, len(i.left))
	for s := range i.left {
		gone = append(gone, s)
	}
	slices.Sort(gone)
	for _, s := range gone {
		b = binary.BigEndian.AppendUint64(b, uint64(i.left[s]))
		b = appendName(b, s)
	}
	return b
}

func decodeInfo(b []byte) (*info, error) {
	f := fields{b: b}
	i := &info{members: int(f.uint32()), groupInfo: f.hash()}
	for n := f.uint32(); n > 0 && !f.bad; n-- {
		i.sites = append(i.sites, groups.SiteID(f.name()))
	}
	i.history = groups.HistoryMode(f.uint8())
	for n := f.uint32(); n > 0 && !f.bad; n-- {
		i.readers = append(i.readers, groups.SiteID(f.name()))
	}
	for len(f.b) > 0 && !f.bad {
		seq := groups.Seq(f.uint64())
		if i.left == nil {
			i.left = make(map[groups.SiteID]groups.Seq)
		}
		i.left[groups.SiteID(f.name())] = seq
	}
	return i, f.done()
}

// infoOf returns what is asked of the room of a ledger.
func infoOf(l *groups.Ledger, groupInfo groups.Hash) *info {
	return &info{
		members: l.Members(), sites: l.Sites(), left: l.Left(), readers: l.Readers(),
		history: l.Policy().History, groupInfo: groupInfo,
	}
}
