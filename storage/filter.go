package storage

import (
	"encoding/binary"

	"parley/groups"
)

// A filter answers, from memory, that a submission has not been seen before,
// which is so for nearly every one. "Perhaps" is settled by the log's segments.
//
// It is a list of Bloom filters, one for each run of filterRun entries, so that
// a "perhaps" points at a short piece of the log. With 24 bits an entry and 8
// probes one in 24,000 questions to a run is "perhaps" by chance.
type filter struct {
	runs []filterRun
}

const (
	filterRunLen = 1 << 13
	filterBits   = 24 * filterRunLen
	filterProbes = 8
	// maxFilterRuns bounds the filter of a room: 8 million entries in 25 MiB.
	// The oldest run is forgotten first: a submission that old is not
	// recognised.
	maxFilterRuns = 1 << 10
)

type filterRun struct {
	first groups.Seq
	n     int
	bits  []uint64
}

// add notes the submission of entry seq; seqs come in order.
func (f *filter) add(key submissionKey, seq groups.Seq) {
	if key == (submissionKey{}) {
		return
	}
	if n := len(f.runs); n == 0 || f.runs[n-1].n == filterRunLen {
		if n == maxFilterRuns {
			f.runs = append(f.runs[:0:0], f.runs[1:]...)
		}
		f.runs = append(f.runs, filterRun{first: seq, bits: make([]uint64, filterBits/64)})
	}
	run := &f.runs[len(f.runs)-1]
	run.n++
	at, stride := key.probes()
	for range filterProbes {
		run.bits[at/64] |= 1 << (at % 64)
		at = (at + stride) % filterBits
	}
}

// perhaps calls look with the range of seqs, newest first, in which the
// submission may be, until look finds it.
func (f *filter) perhaps(key submissionKey, look func(first, last groups.Seq) bool) {
	at, stride := key.probes()
	last := groups.Seq(1<<64 - 1)
	for i := len(f.runs) - 1; i >= 0; i-- {
		run := &f.runs[i]
		if run.has(at, stride) && look(run.first, last) {
			return
		}
		last = run.first - 1
	}
}

func (r *filterRun) has(at, stride uint64) bool {
	for range filterProbes {
		if r.bits[at/64]&(1<<(at%64)) == 0 {
			return false
		}
		at = (at + stride) % filterBits
	}
	return true
}

// probes turns the key, which is a hash already, into a walk over the bits.
func (k submissionKey) probes() (at, stride uint64) {
	at = binary.BigEndian.Uint64(k[:8]) % filterBits
	stride = binary.BigEndian.Uint64(k[8:])%(filterBits-1) | 1
	return at, stride
}
