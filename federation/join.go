package federation

import "parley/groups"

// A join puts the entries of a room, which arrive on two lanes, back into one
// order. Each lane is in order by itself, so the next entry is the first of
// one lane or has not arrived.
type join struct {
	last    groups.Seq // the last entry joined
	lanes   [2][]joined
	ready   []joined // in order, without gap, to be stored
	bytes   int      // of lanes and ready
	highest [2]groups.Seq
}

// A joined entry and how much memory it holds.
type joined struct {
	replica groups.Replica
	bytes   int
}

// reset begins anew after an entry.
func (j *join) reset(after groups.Seq) { *j = join{last: after, highest: [2]groups.Seq{after, after}} }

// add takes entries of a lane. What was there before is dropped; an entry that
// comes after a later one on its lane is the sender's fault.
func (j *join) add(lane int, entries []joined) bool {
	for _, e := range entries {
		seq := e.replica.Entry.Seq
		if seq <= j.highest[lane] {
			return false
		}
		j.highest[lane] = seq
		if seq <= j.last {
			continue
		}
		j.lanes[lane] = append(j.lanes[lane], e)
		j.bytes += e.bytes
	}
	j.merge()
	return true
}

// merge moves what follows the last joined entry to ready.
func (j *join) merge() {
	for moved := true; moved; {
		moved = false
		for i := range j.lanes {
			for len(j.lanes[i]) > 0 && j.lanes[i][0].replica.Entry.Seq == j.last+1 {
				j.ready = append(j.ready, j.lanes[i][0])
				j.lanes[i] = j.lanes[i][1:]
				j.last++
				moved = true
			}
		}
	}
}

// gap says whether the next entry can not come any more: both lanes are past it.
func (j *join) gap() bool {
	return j.highest[0] > j.last && j.highest[1] > j.last
}

// waiting says whether entries wait for others that have not arrived.
func (j *join) waiting() bool { return len(j.lanes[0])+len(j.lanes[1]) > 0 }

// take removes at most batchEntries of batchBytes that are ready, at least one
// if there is one.
func (j *join) take() ([]groups.Replica, int) {
	n, bytes := 0, 0
	for n < len(j.ready) && n < batchEntries && (n == 0 || bytes+j.ready[n].bytes <= batchBytes) {
		bytes += j.ready[n].bytes
		n++
	}
	batch := make([]groups.Replica, n)
	for i := range batch {
		batch[i] = j.ready[i].replica
		j.ready[i] = joined{}
	}
	j.ready = j.ready[n:]
	j.bytes -= bytes
	return batch, bytes
}
