package storage

import (
	"slices"
	"testing"

	"parley/groups"
	"parley/mls"
)

// batchOf reads a run of a room's log as its owner would send it.
func batchOf(t testing.TB, s *Store, room groups.RoomID, after groups.Seq, maxBytes int) groups.Batch {
	t.Helper()
	page, err := s.Read(room, after, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	b := groups.Batch{Room: room, Head: page.Head}
	for _, st := range page.Entries {
		e, err := groups.ParseEntry(st.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		att, err := s.Attachments(e)
		if err != nil {
			t.Fatal(err)
		}
		r := groups.Replica{Entry: e, Attachments: att}
		if st.Seq%2 == 0 { // the others are encoded again
			r.Bytes = st.Bytes
		}
		b.Entries = append(b.Entries, r)
	}
	return b
}

func replicate(s *Store, b groups.Batch) (groups.Head, error) {
	type answer struct {
		head groups.Head
		err  error
	}
	ended := make(chan answer, 1)
	s.Replicate(b, func(h groups.Head, err error) { ended <- answer{h, err} })
	a := <-ended
	return a.head, a.err
}

// follow copies a room until nothing is new.
func follow(t testing.TB, from, to *Store, room groups.RoomID, maxBytes int) {
	t.Helper()
	after := groups.Seq(0)
	if in, err := to.Room(room); err == nil {
		after = in.Head.Seq
	}
	for {
		b := batchOf(t, from, room, after, maxBytes)
		if len(b.Entries) == 0 {
			return
		}
		head, err := replicate(to, b)
		if err != nil || head.Seq != b.Entries[len(b.Entries)-1].Entry.Seq {
			t.Fatalf("replicate after %d: %+v, %v", after, head, err)
		}
		after = head.Seq
	}
}

func sameLog(t testing.TB, a, b *Store, room groups.RoomID) {
	t.Helper()
	x, y := readAll(t, a, room, 32<<10), readAll(t, b, room, 1<<20)
	if !slices.EqualFunc(x, y, func(p, q *groups.Entry) bool { return string(p.Marshal()) == string(q.Marshal()) }) {
		t.Fatalf("logs of %d and %d entries differ", len(x), len(y))
	}
}

// hubAndFollower makes a room of alice (alpha) and bob (beta) with some talk.
func hubAndFollower(t *testing.T) (hub, follower *Store, c Config, alice, bob *member) {
	hub = newStore(t)
	c = testConfig(beta, t.TempDir())
	follower = openTest(t, c)
	alice = found(t, hub, "ops", deviceID(t, alpha, "alice", "laptop"))
	bob = newMember(t, deviceID(t, beta, "bob", "desk"))
	flood(alice, hub, 20)
	alice.add(hub, bob)
	flood(alice, hub, 50)
	return hub, follower, c, alice, bob
}

func TestAFollowerHoldsTheSameLog(t *testing.T) {
	hub, follower, c, alice, bob := hubAndFollower(t)
	var rooms []groups.RoomID
	defer follower.WatchRooms(func(id groups.RoomID) { rooms = append(rooms, id) })()
	woken := 0
	defer follower.Watch(alice.room, func() { woken++ })()
	follow(t, hub, follower, alice.room, 4<<10) // heads ahead of their batches
	sameLog(t, hub, follower, alice.room)
	settle(t, follower)
	if len(rooms) != 2 || woken < 5 {
		t.Fatalf("told of %v, woken %d times", rooms, woken)
	}
	ws, err := follower.Welcomes(bob.device)
	if err != nil || len(ws) != 1 {
		t.Fatal(ws, err)
	}
	follower.SetOwner(alice.room, testConfig(alpha, "").Node)
	closeTest(t, follower)
	follower = openTest(t, c)
	in, err := follower.Room(alice.room)
	if err != nil || in.Owned || in.Owner != testConfig(alpha, "").Node || in.Members != 2 {
		t.Fatalf("%+v, %v", in, err)
	}
	wantKind(t, submit(follower, alice.say("not here")).Err, groups.Unavailable)

	// again, and overlapping: nothing changes
	head, err := replicate(follower, batchOf(t, hub, alice.room, 3, 1<<20))
	if err != nil || head != in.Head {
		t.Fatal(head, err)
	}
	flood(alice, hub, 10)
	if _, err := replicate(follower, batchOf(t, hub, alice.room, 30, 1<<20)); err != nil {
		t.Fatal(err)
	}
	sub, p := alice.commit(mls.CommitOptions{})
	mustSubmit(t, hub, sub)
	alice.group = p.Next
	follow(t, hub, follower, alice.room, 1<<20)
	sameLog(t, hub, follower, alice.room)
}

func TestAGapIsAConflictWithWhatIsHeld(t *testing.T) {
	hub, follower, _, alice, _ := hubAndFollower(t)
	_, err := replicate(follower, batchOf(t, hub, alice.room, 5, 1<<20))
	wantKind(t, err, groups.Conflict)
	if _, err := follower.Room(alice.room); groups.KindOf(err) != groups.NotFound {
		t.Fatalf("a room without entries is known: %v", err)
	}
	b := batchOf(t, hub, alice.room, 0, 1<<20)
	if _, err := replicate(follower, groups.Batch{Room: b.Room, Head: b.Head, Entries: b.Entries[:4]}); err != nil {
		t.Fatal(err)
	}
	_, err = replicate(follower, groups.Batch{Room: b.Room, Head: b.Head, Entries: b.Entries[8:]})
	if e, ok := err.(*groups.Error); !ok || e.Kind != groups.Conflict || e.Seq != 4 {
		t.Fatalf("%#v", err)
	}
	if in, _ := follower.Room(alice.room); in.Parked != "" {
		t.Fatal("a gap parked the room: ", in.Parked)
	}
	follow(t, hub, follower, alice.room, 1<<20)
	sameLog(t, hub, follower, alice.room)
}

// TestABadEntryParksItsRoomAlone: "A bad entry parks its room and tells the
// operator; it never stalls the peer" (I13).
func TestABadEntryParksItsRoomAlone(t *testing.T) {
	change := map[string]func(b *groups.Batch){
		"body": func(b *groups.Batch) {
			e := *b.Entries[6].Entry
			e.Body = append([]byte("x"), e.Body...)
			b.Entries[6].Entry = &e
		},
		"link":  func(b *groups.Batch) { e := *b.Entries[6].Entry; e.Prev[0] ^= 1; b.Entries[6].Entry = &e },
		"epoch": func(b *groups.Batch) { e := *b.Entries[6].Entry; e.Epoch++; b.Entries[6].Entry = &e },
		"last": func(b *groups.Batch) {
			n := len(b.Entries) - 1
			e := *b.Entries[n].Entry
			e.AcceptedAt++
			b.Entries[n].Entry = &e
		},
	}
	for name, spoil := range change {
		t.Run(name, func(t *testing.T) {
			hub, follower, _, alice, _ := hubAndFollower(t)
			other := found(t, hub, "other", deviceID(t, alpha, "carol", "desk"))
			b := batchOf(t, hub, alice.room, 0, 1<<20)
			spoil(&b)
			if _, err := replicate(follower, b); err == nil {
				t.Fatal("taken")
			}
			in, err := follower.Room(alice.room)
			if err != nil || in.Parked == "" {
				t.Fatalf("%+v, %v", in, err)
			}
			readAll(t, follower, alice.room, 1<<20)
			_, err = replicate(follower, batchOf(t, hub, alice.room, 0, 1<<20))
			wantKind(t, err, groups.Unavailable)
			follow(t, hub, follower, other.room, 1<<20)
			sameLog(t, hub, follower, other.room)
		})
	}
}

func TestAHeadThatItsHubDidNotSignIsRefused(t *testing.T) {
	hub, follower, _, alice, _ := hubAndFollower(t)
	b := batchOf(t, hub, alice.room, 0, 1<<20)
	forged := *b.Head
	forged.Head.Seq++
	_, err := replicate(follower, groups.Batch{Room: b.Room, Entries: b.Entries, Head: &forged})
	wantKind(t, err, groups.Denied)
	_, err = replicate(follower, groups.Batch{Room: b.Room, Entries: b.Entries})
	wantKind(t, err, groups.Invalid)
	_, err = replicate(follower, groups.Batch{Room: "mimi://alpha.example/r/other", Entries: b.Entries, Head: b.Head})
	wantKind(t, err, groups.Invalid)
	follow(t, hub, follower, alice.room, 1<<20)
}

// TestAHubThatSignsTwoHistoriesIsFound: a signed head beyond what is held binds
// the entries that come later.
func TestAHubThatSignsTwoHistoriesIsFound(t *testing.T) {
	hub, follower, _, alice, _ := hubAndFollower(t)
	b := batchOf(t, hub, alice.room, 0, 1<<20)
	other := b.Entries[9].Entry.EntryHeader
	lie, err := groups.SignHeads([]groups.Head{{Room: b.Room, Seq: 10, Hash: groups.HashOf([]byte("another history")), Epoch: other.Epoch, Term: 1}}, newOrdering(alpha))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replicate(follower, groups.Batch{Room: b.Room, Entries: b.Entries[:5], Head: &lie[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := replicate(follower, groups.Batch{Room: b.Room, Entries: b.Entries[5:], Head: b.Head}); err == nil {
		t.Fatal("two histories were taken")
	}
	in, _ := follower.Room(alice.room)
	if in.Parked == "" || in.Head.Seq != 9 {
		t.Fatalf("%+v", in)
	}
}

// TestAFencedFollowerIsRefilledByItsHub: "the room is read-only until it is
// refilled from a verified copy".
func TestAFencedFollowerIsRefilledByItsHub(t *testing.T) {
	hub, follower, c, alice, _ := hubAndFollower(t)
	mustSubmit(t, hub, plain(alice.room, 1, alice.stamp(newID()), []byte("the bit that flips")))
	follow(t, hub, follower, alice.room, 2<<10)
	flood(alice, hub, 50)
	follow(t, hub, follower, alice.room, 1<<20)
	dir := crash(t, c.Dir)
	flip(t, dir+"/"+badgerDir, "*.mem", []byte("the bit that flips"))
	c.Dir = dir
	again := openTest(t, c)
	before, _ := again.Room(alice.room)
	if before.Parked == "" {
		t.Fatal("not parked")
	}
	follow(t, hub, again, alice.room, 2<<10)
	after, _ := again.Room(alice.room)
	if after.Parked != "" {
		t.Fatal("still parked: ", after.Parked)
	}
	sameLog(t, hub, again, alice.room)
	closeTest(t, again)
	sameLog(t, hub, openTest(t, c), alice.room)
}
