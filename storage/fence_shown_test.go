package storage

import (
	"slices"
	"strings"
	"testing"

	"parley/groups"
	"parley/mls"
)

// A rollback is a hub that was put back to an older copy of its directory, Badger
// and journal alike, and a follower that holds what it ordered since.
type rollback struct {
	hub, follower *Store
	hubConfig     Config
	alice         *member
	was           groups.Head       // where the hub's log ended
	late          groups.Submission // a submission that the copy knows nothing of
	receipt       groups.Receipt
}

func newRollback(t *testing.T) *rollback {
	t.Helper()
	hub, follower, _, alice, _ := hubAndFollower(t)
	copied := crash(t, hub.cfg.Dir)
	flood(alice, hub, 30)
	closeTest(t, hub)
	hub = openTest(t, hub.cfg) // what follows has a higher term
	sub, p := alice.commit(mls.CommitOptions{})
	mustSubmit(t, hub, sub)
	alice.group = p.Next
	late := alice.say("after the copy was made")
	out := mustSubmit(t, hub, late)
	follow(t, hub, follower, alice.room, 8<<10)
	in, err := hub.Room(alice.room)
	if err != nil {
		t.Fatal(err)
	}
	closeTest(t, hub)
	c := testConfig(alpha, copied)
	again := openTest(t, c)
	old, err := again.Room(alice.room)
	if err != nil || old.Parked != "" || old.Head.Seq >= in.Head.Seq {
		t.Fatalf("the older copy does not look healthy by itself: %+v, %v", old, err)
	}
	return &rollback{hub: again, follower: follower, hubConfig: c, alice: alice, was: in.Head, late: late, receipt: out.Receipt}
}

// shown is the head that a store shows of a room.
func shown(t *testing.T, s *Store, room groups.RoomID) *groups.SignedHead {
	t.Helper()
	in, err := s.Room(room)
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.Read(room, in.Head.Seq, 1)
	if err != nil || page.Head == nil {
		t.Fatal(page, err)
	}
	return page.Head
}

func (r *rollback) reopen(t *testing.T) groups.RoomInfo {
	t.Helper()
	closeTest(t, r.hub)
	r.hub = openTest(t, r.hubConfig)
	in, err := r.hub.Room(r.alice.room)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestAHubPutBackToAnOlderCopyIsFencedAndRefilled: "each room's head is compared
// with the journal and with the heads that followers report. Lower or different:
// the room is read-only until it is refilled from a verified copy".
func TestAHubPutBackToAnOlderCopyIsFencedAndRefilled(t *testing.T) {
	r := newRollback(t)
	room := r.alice.room
	if err := r.hub.Fence(shown(t, r.follower, room)); err != nil {
		t.Fatal(err)
	}
	in, _ := r.hub.Room(room)
	if in.Parked == "" || in.Fenced != r.was.Seq || !in.Owned {
		t.Fatalf("%+v", in)
	}
	wantKind(t, submit(r.hub, r.alice.say("while fenced")).Err, groups.Unavailable)
	if in = r.reopen(t); in.Parked == "" || in.Fenced != r.was.Seq {
		t.Fatalf("a restart has lifted the fence: %+v", in)
	}
	follow(t, r.follower, r.hub, room, 4<<10)
	sameLog(t, r.follower, r.hub, room)
	if in, _ = r.hub.Room(room); in.Parked != "" || in.Fenced != 0 || in.Head != r.was {
		t.Fatalf("it is not live with all it had promised: %+v", in)
	}
	if out := mustSubmit(t, r.hub, r.late); out.Receipt != r.receipt {
		t.Fatalf("a receipt is contradicted: %+v, then %+v", r.receipt, out.Receipt)
	}
	mustSubmit(t, r.hub, r.alice.say("goes on"))
	if in, _ = r.hub.Room(room); in.Head.Term <= r.was.Term || in.Head.Seq != r.was.Seq+1 {
		t.Fatalf("it goes on at %d under term %d, after %d under %d", in.Head.Seq, in.Head.Term, r.was.Seq, r.was.Term)
	}
	follow(t, r.hub, r.follower, room, 1<<20)
	if err := r.hub.Fence(shown(t, r.follower, room)); err != nil {
		t.Fatal(err)
	}
	if in = r.reopen(t); in.Parked != "" {
		t.Fatal("parked after all: ", in.Parked)
	}
	sameLog(t, r.hub, r.follower, room)
}

// A fence that is raised while the log is refilled ends with the later head.
func TestARoomIsLiveOnlyWithTheLatestHeadThatWasShown(t *testing.T) {
	r := newRollback(t)
	room := r.alice.room
	in, _ := r.hub.Room(room)
	log := batchOf(t, r.follower, room, in.Head.Seq, 1<<20)
	early := log.Entries[4].Entry
	signed, err := groups.SignHeads([]groups.Head{{Room: room, Seq: early.Seq, Hash: early.Hash(), Epoch: early.Epoch, Term: early.Term, Time: early.AcceptedAt}}, newOrdering(alpha))
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range []*groups.SignedHead{&signed[0], shown(t, r.follower, room), &signed[0]} {
		if err := r.hub.Fence(head); err != nil {
			t.Fatal(err)
		}
	}
	if in, _ = r.hub.Room(room); in.Fenced != r.was.Seq {
		t.Fatalf("%+v", in)
	}
	log.Entries = log.Entries[:10]
	if _, err := replicate(r.hub, log); err != nil {
		t.Fatal(err)
	}
	if in = r.reopen(t); in.Parked == "" || in.Fenced != r.was.Seq {
		t.Fatalf("live before the end: %+v", in)
	}
	follow(t, r.follower, r.hub, room, 1<<20)
	if in, _ = r.hub.Room(room); in.Parked != "" {
		t.Fatal(in.Parked)
	}
}

// TestAFollowerCanNotParkARoomByLying: only a head that the hub's site has signed
// counts.
func TestAFollowerCanNotParkARoomByLying(t *testing.T) {
	hub, _, _, alice, _ := hubAndFollower(t)
	good := shown(t, hub, alice.room)
	lie := func(change func(h *groups.Head), by groups.HeadSigner) *groups.SignedHead {
		h := good.Head
		change(&h)
		signed, err := groups.SignHeads([]groups.Head{h}, by)
		if err != nil {
			t.Fatal(err)
		}
		return &signed[0]
	}
	further := func(h *groups.Head) { h.Seq += 5; h.Hash[0] ^= 1 }
	unsigned := *good
	further(&unsigned.Head)
	for name, head := range map[string]*groups.SignedHead{
		"unsigned":         &unsigned,
		"by another site":  lie(further, newOrdering(beta)),
		"different":        lie(func(h *groups.Head) { h.Hash[0] ^= 1 }, newOrdering(beta)),
		"of another site":  lie(func(h *groups.Head) { h.Room = "mimi://beta.example/r/ops" }, newOrdering(beta)),
		"of no known room": lie(func(h *groups.Head) { h.Room += "-new" }, newOrdering(beta)),
	} {
		if err := hub.Fence(head); groups.KindOf(err) != groups.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := hub.Fence(good); err != nil {
		t.Error(err)
	}
	if in, _ := hub.Room(alice.room); in.Parked != "" {
		t.Fatal(in.Parked)
	}
	if rooms := hub.Rooms(); len(rooms) != 1 {
		t.Fatalf("rooms %+v", rooms)
	}
	mustSubmit(t, hub, alice.say("goes on"))
}

// TestARoomOfTwoHistoriesStaysParked: what was ordered twice can not be refilled,
// and the reason says so.
func TestARoomOfTwoHistoriesStaysParked(t *testing.T) {
	r := newRollback(t)
	room := r.alice.room
	held, _ := r.hub.Room(room)
	old := *r.alice
	old.head = held.Head
	mustSubmit(t, r.hub, plain(room, uint64(held.Head.Epoch), old.stamp(newID()), []byte("another history")))
	if err := r.hub.Fence(shown(t, r.follower, room)); err != nil {
		t.Fatal(err)
	}
	in, _ := r.hub.Room(room)
	if _, err := replicate(r.hub, batchOf(t, r.follower, room, in.Head.Seq, 1<<20)); err == nil {
		t.Fatal("another history was taken")
	}
	in, _ = r.hub.Room(room)
	if !strings.Contains(in.Parked, "two histories") || in.Fenced != 0 {
		t.Fatalf("%+v", in)
	}
	wantKind(t, submit(r.hub, r.alice.say("no")).Err, groups.Unavailable)
	if in = r.reopen(t); in.Parked == "" {
		t.Fatal("a restart has lifted the fence")
	}
	e := batchOf(t, r.follower, room, held.Head.Seq, 1).Entries[0].Entry
	signed, err := groups.SignHeads([]groups.Head{{Room: room, Seq: e.Seq, Hash: e.Hash(), Term: e.Term}}, newOrdering(alpha))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.hub.Fence(&signed[0]); err != nil {
		t.Fatal(err)
	}
	if in = r.reopen(t); !strings.Contains(in.Parked, "two histories") || in.Fenced != 0 {
		t.Fatalf("%+v", in)
	}
}

// TestALossThatIsAcceptedMakesANewHistory: the room goes on under a higher term,
// over restarts, and whoever holds what is given up refuses it.
func TestALossThatIsAcceptedMakesANewHistory(t *testing.T) {
	r := newRollback(t)
	room := r.alice.room
	_, err := r.hub.AcceptLoss(room)
	wantKind(t, err, groups.Conflict)
	held, _ := r.hub.Room(room)
	proof := shown(t, r.follower, room)
	if err := r.hub.Fence(proof); err != nil {
		t.Fatal(err)
	}
	loss, err := r.hub.AcceptLoss(room)
	if err != nil || loss.Held != held.Head.Seq || loss.Lost != r.was.Seq || loss.Term <= r.was.Term {
		t.Fatalf("%+v, %v", loss, err)
	}
	wantKind(t, r.hub.Fence(proof), groups.Conflict)
	if in := r.reopen(t); in.Parked != "" {
		t.Fatal("a restart has forgotten the acceptance: ", in.Parked)
	}
	wantKind(t, r.hub.Fence(proof), groups.Conflict)
	old := *r.alice
	old.head = held.Head
	for range r.was.Seq - held.Head.Seq + 2 {
		mustSubmit(t, r.hub, plain(room, uint64(held.Head.Epoch), old.stamp(newID()), []byte("without it")))
	}
	if in, _ := r.hub.Room(room); in.Head.Term < loss.Term {
		t.Fatalf("term %d after %+v", in.Head.Term, loss)
	}
	if _, err := replicate(r.follower, batchOf(t, r.hub, room, r.was.Seq, 1<<20)); err == nil {
		t.Fatal("a follower took another history")
	}
	if in := r.reopen(t); in.Parked != "" {
		t.Fatal(in.Parked)
	}
	if _, err := r.follower.AcceptLoss(room); groups.KindOf(err) != groups.Conflict {
		t.Fatalf("a follower has accepted a loss: %v", err)
	}
	_, err = r.hub.AcceptLoss("mimi://alpha.example/r/nowhere")
	wantKind(t, err, groups.NotFound)
}

// A hub can be put back to a time before one of its rooms was made.
func TestARoomMadeAfterTheCopyComesBack(t *testing.T) {
	hub, follower, c, alice, _ := hubAndFollower(t)
	follow(t, hub, follower, alice.room, 1<<20)
	fresh := openTest(t, testConfig(alpha, t.TempDir()))
	if err := fresh.Fence(shown(t, follower, alice.room)); err != nil {
		t.Fatal(err)
	}
	conf := fresh.cfg
	closeTest(t, fresh)
	fresh = openTest(t, conf)
	in, err := fresh.Room(alice.room)
	if err != nil || !in.Owned || in.Fenced == 0 || in.Head.Seq != 0 {
		t.Fatalf("%+v, %v", in, err)
	}
	wantKind(t, submit(fresh, newMember(t, alice.device).create(alice.room)).Err, groups.Unavailable)
	_, err = fresh.AcceptLoss(alice.room)
	wantKind(t, err, groups.NotFound)
	follow(t, follower, fresh, alice.room, 1<<20)
	sameLog(t, follower, fresh, alice.room)
	mustSubmit(t, fresh, alice.say("goes on"))
	closeTest(t, fresh)
	if in, _ = openTest(t, conf).Room(alice.room); in.Parked != "" || !in.Owned || in.Owner != conf.Node {
		t.Fatalf("%+v", in)
	}
	if err := follower.Fence(shown(t, follower, alice.room)); groups.KindOf(err) != groups.Denied {
		t.Fatalf("another site's room was fenced at %s: %v", c.Node, err)
	}
}

// TestAHubThatLostEntriesIsRefilledByAFollower: the journal beside Badger objects,
// and the hub's own room comes back from a follower.
func TestAHubThatLostEntriesIsRefilledByAFollower(t *testing.T) {
	hub, follower, _, alice, _ := hubAndFollower(t)
	mustSubmit(t, hub, plain(alice.room, 1, alice.stamp(newID()), []byte("the bit that flips")))
	flood(alice, hub, 50)
	follow(t, hub, follower, alice.room, 1<<20)
	dir := crash(t, hub.cfg.Dir)
	flip(t, dir+"/"+badgerDir, "*.mem", []byte("the bit that flips"))
	again := openTest(t, testConfig(alpha, dir))
	if in, _ := again.Room(alice.room); in.Parked == "" || in.Fenced == 0 {
		t.Fatalf("%+v", in)
	}
	follow(t, follower, again, alice.room, 2<<10)
	sameLog(t, follower, again, alice.room)
	mustSubmit(t, again, alice.say("goes on"))
}

// TestKeyPackagesOfAnOlderCopyAreNotHandedOutAgain: a package that was taken after
// the copy was made is in the copy.
func TestKeyPackagesOfAnOlderCopyAreNotHandedOutAgain(t *testing.T) {
	hub, follower, _, alice, _ := hubAndFollower(t)
	d := alice.device
	if _, err := hub.PutKeyPackages(d, []groups.KeyPackage{{Device: d, Suite: 1, Bytes: []byte("once")}}); err != nil {
		t.Fatal(err)
	}
	copied := crash(t, hub.cfg.Dir)
	if got, err := hub.TakeKeyPackages(d.User(), 1); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	flood(alice, hub, 5)
	follow(t, hub, follower, alice.room, 1<<20)
	c := testConfig(alpha, copied)
	for range 2 {
		again := openTest(t, c)
		if err := again.Fence(shown(t, follower, alice.room)); err != nil {
			t.Fatal(err)
		}
		_, err := again.TakeKeyPackages(d.User(), 1)
		wantKind(t, err, groups.NotFound)
		closeTest(t, again)
	}
}

// What a hub had of its own devices and lost, another site of the room has.
func TestBlobsOfARefilledRoomAreAskedForElsewhere(t *testing.T) {
	hub, follower, _, alice, _ := hubAndFollower(t)
	copied := crash(t, hub.cfg.Dir)
	stamp := alice.stamp(newID())
	stamp.Blobs = []groups.Hash{groups.HashOf([]byte("a file"))}
	mustSubmit(t, hub, plain(alice.room, alice.group.Epoch(), stamp, []byte("with a file")))
	follow(t, hub, follower, alice.room, 1<<20)
	again := openTest(t, testConfig(alpha, copied))
	if err := again.Fence(shown(t, follower, alice.room)); err != nil {
		t.Fatal(err)
	}
	follow(t, follower, again, alice.room, 1<<20)
	wanted, err := again.Wanted()
	if err != nil || !slices.Equal(wanted[beta], stamp.Blobs) {
		t.Fatalf("%v, %v", wanted, err)
	}
}
