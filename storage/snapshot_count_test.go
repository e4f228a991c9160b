package storage

import "testing"

// A commit that came while a snapshot was written was forgotten, and the
// snapshot of closing left out.
func TestEntriesThatCameDuringASnapshotStayCounted(t *testing.T) {
	r := new(room)
	r.pending.since = since{commits: 64, bytes: 1000, asked: true}
	holds := r.counted()
	r.pending.since.commits, r.pending.since.bytes = 69, 1100
	r.began(500, holds)
	if got := r.counted(); got != (since{commits: 5, bytes: 100, size: 500}) {
		t.Fatalf("counted %+v", got)
	}
	r.pending.since.asked = true
	r.began(-1, since{})
	if got := r.counted(); got != (since{commits: 5, bytes: 100, size: 500}) {
		t.Fatalf("after a failure counted %+v", got)
	}
}
