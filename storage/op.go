package storage

import (
	"crypto/sha256"

	"parley/groups"
)

// submissionKeyLen is enough of a SHA-256 that nobody finds two submissions
// with one key.
const submissionKeyLen = 16

// A submissionKey names a submission of a device in a room's log: the first
// bytes of SHA-256(device, 0, id). It is zero for an entry that came from
// another node, whose submissions are remembered there.
type submissionKey [submissionKeyLen]byte

func newSubmissionKey(d groups.DeviceID, id groups.SubmissionID) (k submissionKey) {
	var buf [groups.MaxName + 1 + len(id)]byte
	b := append(buf[:0], d...)
	b = append(b, 0)
	b = append(b, id[:]...)
	sum := sha256.Sum256(b)
	copy(k[:], sum[:])
	return k
}

// An op is one thing for the committer: the next entry of a room with all that
// follows from it, or rows alone. It belongs to the committer from the moment
// it is queued.
type op struct {
	room   *room // nil for rows alone
	stored groups.Stored
	key    submissionKey
	next   *groups.Ledger // the room's state after the entry
	head   groups.Head    // where the log stands after it
	id     groups.SubmissionID
	owned  bool               // this node gave it its place
	signed *groups.SignedHead // replicated: came with the entry; owned: of the room's last op of a batch
	info   *info              // when the entry changed it
	notify []groups.DeviceID  // devices to wake: a Welcome waits, a membership ended
	roster bool               // the room is new or its sites changed
	wanted bool               // it refers to a blob that is not here

	rows   []row
	weight int // bytes in a transaction, for the bounds of queue and batch

	// One of these hears, once, how it ended.
	done   func(groups.Outcome)     // of a submission
	landed func(groups.Head, error) // of the last entry of a replicated batch
	wrote  func(error)              // of rows alone

	// waiting are submissions of the same id that came while this one was on
	// its way; guarded by the room's pending.mu.
	waiting []func(groups.Outcome)
}

// receipt is what a submission of the entry gets.
func (o *op) receipt() groups.Receipt {
	return groups.Receipt{Room: o.room.id, ID: o.id, Seq: o.head.Seq, Hash: o.head.Hash,
		Epoch: o.head.Epoch, AcceptedAt: o.head.Time}
}
