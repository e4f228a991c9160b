package federation

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

func entryAt(seq groups.Seq) joined {
	e := &groups.Entry{EntryHeader: groups.EntryHeader{Seq: seq, Kind: groups.KindMessage}}
	return joined{groups.Replica{Entry: e}, 10}
}

// "Per-room reordering buffer joins lanes 0 and 1 by seq": whatever the lanes
// and however they overtake each other, what comes out is 1, 2, 3 without gap,
// and nothing is left over.
func TestJoinGivesOneOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := groups.Seq(rapid.IntRange(0, 5).Draw(t, "start"))
		n := rapid.IntRange(0, 200).Draw(t, "entries")
		var lanes [2][]joined
		for i := range n {
			lane := rapid.IntRange(0, 1).Draw(t, "lane")
			lanes[lane] = append(lanes[lane], entryAt(groups.Seq(i+1)))
		}
		var j join
		j.reset(start)
		next := start + 1
		for len(lanes[0])+len(lanes[1]) > 0 {
			lane := rapid.IntRange(0, 1).Draw(t, "arrives")
			k := rapid.IntRange(0, len(lanes[lane])).Draw(t, "many")
			if !j.add(lane, lanes[lane][:k]) {
				// start is past some of them: they look like repeats on their lane
				if lanes[lane][0].replica.Entry.Seq > start {
					t.Fatal("an honest lane is called disordered")
				}
				return
			}
			lanes[lane] = lanes[lane][k:]
			if j.gap() {
				t.Fatal("a gap where there is none")
			}
			batch, _ := j.take()
			for _, r := range batch {
				if r.Entry.Seq != next {
					t.Fatalf("entry %d, want %d", r.Entry.Seq, next)
				}
				next++
			}
		}
		for batch, _ := j.take(); len(batch) > 0; batch, _ = j.take() {
			next += groups.Seq(len(batch))
		}
		if want := max(groups.Seq(n), start) + 1; next != want || j.bytes != 0 || j.waiting() {
			t.Fatalf("ended before %d, want %d; %d bytes left", next, want, j.bytes)
		}
	})
}

func TestJoinFindsGapAndDisorder(t *testing.T) {
	var j join
	j.reset(0)
	if !j.add(0, []joined{entryAt(1), entryAt(4)}) || !j.add(1, []joined{entryAt(2)}) || j.gap() {
		t.Fatal("3 may still come on lane 1")
	}
	if !j.add(1, []joined{entryAt(5)}) || !j.gap() {
		t.Fatal("3 can not come any more, and that is not seen")
	}
	if j.add(1, []joined{entryAt(5)}) || j.add(1, []joined{entryAt(3)}) {
		t.Fatal("a lane went backwards, and that is not seen")
	}
}

// What waits for a lane is one write of whole frames of moderate size.
func TestOutboxCoalesces(t *testing.T) {
	o := newOutbox()
	small := &linkv1.Frame{Acks: []*linkv1.Ack{{Subscription: 1, Seq: 2}}}
	for range 1000 {
		if err := o.add(small, maxOutbox); err != nil {
			t.Fatal(err)
		}
	}
	b := o.take()
	if n := binary.BigEndian.Uint32(b); int(n) != len(b)-lengthBytes {
		t.Fatalf("1000 acks are more than one frame: %d of %d bytes", n, len(b))
	}
	f, err := parseFrame(laneReceipts, b[lengthBytes:])
	if err != nil || len(f.Acks) != 1000 {
		t.Fatalf("%d acks: %v", len(f.GetAcks()), err)
	}
	o.recycle(b)
	big := &linkv1.Frame{Entries: []*linkv1.RoomEntries{{Entries: [][]byte{make([]byte, coalesce)}}}}
	count := 0
	for o.add(big, maxOutbox) == nil {
		count++
	}
	if count > maxOutbox/coalesce {
		t.Fatalf("%d frames of %d bytes waited", count, coalesce)
	}
	rest := o.take()
	for i := range count {
		n := int(binary.BigEndian.Uint32(rest))
		if n > coalesce+100 {
			t.Fatalf("frame %d has %d bytes", i, n)
		}
		rest = rest[lengthBytes+n:]
	}
	if len(rest) != 0 {
		t.Fatal("bytes after the frames")
	}
	if err := o.add(&linkv1.Frame{Entries: []*linkv1.RoomEntries{{Entries: [][]byte{make([]byte, groups.MaxFrame)}}}}, hardOutbox); err != errFrameTooLarge {
		t.Fatalf("a frame over the limit: %v", err)
	}
}

// A full lane makes the server wait until it has drained, or the link ends.
func TestOutboxWaits(t *testing.T) {
	o := newOutbox()
	big := &linkv1.Frame{Entries: []*linkv1.RoomEntries{{Entries: [][]byte{make([]byte, 3<<20)}}}}
	if err := o.add(big, maxOutbox); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := o.wait(ctx, big); err != context.DeadlineExceeded {
		t.Fatalf("wait: %v", err)
	}
	done := make(chan error)
	go func() { done <- o.wait(t.Context(), big) }()
	o.recycle(o.take())
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
