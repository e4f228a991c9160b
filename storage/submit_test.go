package storage

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"parley/groups"
	"parley/mls"
)

// TestTheSameIDGetsTheSameReceipt: "The same id submitted again gets the same
// receipt (30 days)": on its way, durable, and after a restart.
func TestTheSameIDGetsTheSameReceipt(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	sub := alice.say("once")
	const times = 64
	var outs [times]groups.Outcome
	var wait sync.WaitGroup
	wait.Add(times)
	for i := range times {
		go s.Submit(sub, func(o groups.Outcome) { outs[i] = o; wait.Done() })
	}
	wait.Wait()
	first := outs[0].Receipt
	for _, o := range outs {
		if o.Err != nil || o.Receipt != first || o.Head == nil {
			t.Fatalf("%+v, want %+v", o, first)
		}
	}
	flood(alice, s, 2*filterRunLen+100) // far back, behind whole filters
	if again := mustSubmit(t, s, sub); again.Receipt != first {
		t.Fatalf("%+v, want %+v", again.Receipt, first)
	}
	closeTest(t, s)
	s = openTest(t, c)
	if again := mustSubmit(t, s, sub); again.Receipt != first {
		t.Fatalf("after a restart %+v, want %+v", again.Receipt, first)
	}
	in, _ := s.Room(alice.room)
	if want := groups.Seq(2 + 2*filterRunLen + 100); in.Head.Seq != want {
		t.Fatalf("%d entries, want %d", in.Head.Seq, want)
	}
}

func TestACreateEntryAgain(t *testing.T) {
	s := newStore(t)
	alice := newMember(t, deviceID(t, alpha, "alice", "laptop"))
	sub := alice.create(roomID(t, "ops"))
	first := mustSubmit(t, s, sub)
	if again := mustSubmit(t, s, sub); again.Receipt != first.Receipt {
		t.Fatal("another receipt")
	}
	carol := newMember(t, deviceID(t, alpha, "carol", "desk"))
	wantKind(t, submit(s, carol.create(roomID(t, "ops"))).Err, groups.Conflict)
}

func TestWhatIsRefusedLeavesNothing(t *testing.T) {
	s := newStore(t)
	alice := newMember(t, deviceID(t, alpha, "alice", "laptop"))
	bad := alice.create(roomID(t, "ops"))
	bad.Body = bad.Body[:len(bad.Body)/2]
	wantKind(t, submit(s, bad).Err, groups.Invalid)
	if s.find(alice.room) != nil || len(s.Rooms()) != 0 {
		t.Fatal("a refused create entry left a room")
	}
	wantKind(t, submit(s, alice.say("nowhere")).Err, groups.NotFound)
	abroad := alice.create("mimi://beta.example/r/ops")
	wantKind(t, submit(s, abroad).Err, groups.Denied)
	mustSubmit(t, s, alice.create(roomID(t, "ops")))
	stranger := newMember(t, deviceID(t, alpha, "mallory", "x"))
	stranger.room, stranger.group = alice.room, alice.group
	wantKind(t, submit(s, stranger.say("let me in")).Err, groups.Denied)
	closeTest(t, s)
	if n := s.queue.count.Load(); n != 0 {
		t.Fatalf("%d places in the queue are lost", n)
	}
	if n := s.queue.bytes.Load(); n != 0 {
		t.Fatalf("%d bytes of the queue are lost", n)
	}
}

// TestOneCommitAnEpoch (I3): of commits that race, one wins, the others get
// stale_epoch with where the room is.
func TestOneCommitAnEpoch(t *testing.T) {
	s := newStore(t)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	var subs []groups.Submission
	for range 16 {
		sub, _ := alice.commit(mls.CommitOptions{})
		subs = append(subs, sub)
	}
	var won, stale atomic.Int32
	var wait sync.WaitGroup
	wait.Add(len(subs))
	for _, sub := range subs {
		go s.Submit(sub, func(o groups.Outcome) {
			defer wait.Done()
			if e, ok := o.Err.(*groups.Error); o.Err == nil {
				won.Add(1)
			} else if ok && e.Kind == groups.StaleEpoch && e.Epoch == 1 && e.Seq == 2 {
				stale.Add(1)
			}
		})
	}
	wait.Wait()
	if won.Load() != 1 || stale.Load() != 15 {
		t.Fatalf("%d won, %d are stale", won.Load(), stale.Load())
	}
}

// A slowSigner holds up the committer.
type slowSigner struct {
	ordering
	gate chan struct{}
}

func (w slowSigner) SignHeads(root groups.Hash) ([]byte, error) {
	<-w.gate
	return w.ordering.SignHeads(root)
}

// TestAFullQueueIsBusy: what waits for the disk is bounded, and what is beyond
// is refused and not lost or reordered.
func TestAFullQueueIsBusy(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	gate := make(chan struct{}, 1)
	c.Signer = slowSigner{newOrdering(alpha), gate}
	s := openTest(t, c)
	gate <- struct{}{}
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	var wait sync.WaitGroup
	var taken, busy atomic.Int64
	for i := range maxQueued + 100 {
		wait.Add(1)
		s.Submit(plain(alice.room, 0, alice.stamp(newID()), []byte(fmt.Sprint(i))), func(o groups.Outcome) {
			defer wait.Done()
			switch {
			case o.Err == nil:
				taken.Add(1)
			case groups.KindOf(o.Err) == groups.Busy:
				busy.Add(1)
			}
		})
	}
	close(gate)
	wait.Wait()
	// the room's snapshot may have a place in the queue too
	if n := busy.Load(); n < 100 || n > 102 || taken.Load()+n != maxQueued+100 {
		t.Fatalf("%d taken, %d busy", taken.Load(), n)
	}
	if n := len(readAll(t, s, alice.room, 1<<20)); n != int(taken.Load())+1 {
		t.Fatalf("%d entries", n)
	}
	mustSubmit(t, s, alice.say("and on"))
}

func TestSubmittingWhileTheStoreCloses(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	var wait sync.WaitGroup
	var taken atomic.Int64
	for i := range 2000 {
		wait.Add(1)
		s.Submit(plain(alice.room, 0, alice.stamp(newID()), []byte(fmt.Sprint(i))), func(o groups.Outcome) {
			defer wait.Done()
			if o.Err == nil {
				taken.Add(1)
			} else if groups.KindOf(o.Err) != groups.Unavailable {
				t.Error(o.Err)
			}
		})
		if i == 1000 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				closeTest(t, s)
			}()
		}
	}
	wait.Wait()
	s = openTest(t, c)
	if n := len(readAll(t, s, alice.room, 1<<20)); n != int(taken.Load())+1 {
		t.Fatalf("%d entries, %d receipts", n, taken.Load())
	}
}

// TestEntriesAsLargeAsTheyMayBe: rows of the tree and of the value log.
func TestEntriesAsLargeAsTheyMayBe(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	var sizes []int
	for _, n := range []int{groups.MaxBody - 400, 10, groups.MaxBody / 2, bulk, groups.MaxBody - 500, 1} {
		sub := plain(alice.room, 0, alice.stamp(newID()), make([]byte, n))
		if len(sub.Body) > groups.MaxBody {
			t.Fatal("the test's body is too large")
		}
		mustSubmit(t, s, sub)
		sizes = append(sizes, len(sub.Body))
	}
	over := plain(alice.room, 0, alice.stamp(newID()), make([]byte, groups.MaxBody))
	wantKind(t, submit(s, over).Err, groups.TooLarge)
	for range 2 {
		for i, e := range readAll(t, s, alice.room, 1<<20)[1:] {
			if len(e.Body) != sizes[i] {
				t.Fatalf("entry %d has %d bytes, want %d", e.Seq, len(e.Body), sizes[i])
			}
		}
		closeTest(t, s)
		s = openTest(t, c)
	}
}
