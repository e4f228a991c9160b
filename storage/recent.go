package storage

import "slices"

// maxRecentBytes bounds the entries of one room that are kept in memory: the
// last quarter of a second of a room that is all a node does. Readers that are
// further behind read from Badger.
const maxRecentBytes = 2 << 20

// A recentRooms bounds the entries kept in memory over all rooms: above the
// limit, the rooms that were not touched for longest give up theirs. It
// belongs to the committer.
type recentRooms struct {
	limit int
	bytes int
	holds []*room // rooms with recent entries, in the order they came
}

// note counts what a room's view has gained.
func (q *recentRooms) note(r *room, gained int) {
	if len(r.view.Load().recent) == 0 {
		q.holds = append(q.holds, r)
	}
	q.bytes += gained
}

// trim takes recent entries from rooms, save those touched just now, until the
// limit is kept. A room that was touched since it came to the list is passed
// over once.
func (q *recentRooms) trim(touched []*room) {
	for tries := len(q.holds); q.bytes > q.limit && tries > 0; tries-- {
		r := q.holds[0]
		q.holds = q.holds[1:]
		if slices.Contains(touched, r) {
			q.holds = append(q.holds, r)
			continue
		}
		q.bytes -= r.view.Load().bytes
		r.amend(func(v *view) { v.recent, v.bytes = nil, 0 })
	}
}
