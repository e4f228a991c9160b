package groups

// A Stay is a run of entries of a room that a device may read. The next one
// may begin with the entry that ends it: a commit can remove a device and add
// it again.
type Stay struct {
	Joined Seq // the create entry or the commit that added the device
	Left   Seq // the commit that removed it, 0 while it is a member
}

// MaxStays bounds the stays of one device in one room that a Membership holds.
// Older ones are forgotten: a device that is further behind than that gets
// nothing of them, and goes on with the oldest that is known.
const MaxStays = 16

// A Membership is a room that a device may read, or might for a while: its
// last stay and those before it. What lies between two stays is not for it.
type Membership struct {
	Room RoomID
	Stay
	Before []Stay // earlier ones, oldest first, at most MaxStays-1
}

// Enter begins a stay with an entry. A device that is a member already, which
// no ledger lets happen, begins anew.
func (m *Membership) Enter(seq Seq) {
	if m.Left != 0 {
		m.Before = append(m.Before, m.Stay)
		m.Before = m.Before[max(0, len(m.Before)-(MaxStays-1)):]
	}
	m.Stay = Stay{Joined: seq}
}

// Leave ends the stay with an entry, the last that belongs to it.
func (m *Membership) Leave(seq Seq) { m.Left = seq }

// After returns the first stay that has anything after an entry, which may lie
// in it, before it or between two; false if the device has left for good.
func (m *Membership) After(seq Seq) (Stay, bool) {
	for _, s := range m.Before {
		if s.Left > seq {
			return s, true
		}
	}
	return m.Stay, m.Left == 0 || m.Left > seq
}
