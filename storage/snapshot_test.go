package storage

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"parley/groups"
	"parley/mls"
)

func TestNothingRunsAfterClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, err := Open(testConfig(alpha, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	closeTest(t, s)
	wantKind(t, s.Ready(), groups.Unavailable)
	wantKind(t, s.write([]row{{key: []byte("x"), value: []byte("y")}}), groups.Unavailable)
}

func TestTwoStoresDoNotShareADirectory(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	openTest(t, c)
	if _, err := Open(c); err == nil {
		t.Fatal("opened twice")
	}
}

// TestARestartReplaysLittle: the ledger comes from a snapshot and the entries
// since, and only one snapshot is kept.
func TestARestartReplaysLittle(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	for range snapshotCommits + 10 {
		sub, p := alice.commit(mls.CommitOptions{})
		mustSubmit(t, s, sub)
		alice.group = p.Next
	}
	r := s.find(alice.room)
	v, err := s.lookup(numberKey(rowSnapshot, r.number))
	if err != nil || v == nil {
		t.Fatal("no snapshot: ", err)
	}
	closeTest(t, s)
	s = openTest(t, c)
	r = s.find(alice.room)
	v, _ = s.lookup(numberKey(rowSnapshot, r.number))
	rec, err := decodeSnapshotRecord(v)
	if err != nil || rec.seq != snapshotCommits+11 {
		t.Fatalf("the snapshot after closing is of entry %d, %v", rec.seq, err)
	}
	mustSubmit(t, s, alice.say("goes on"))

	// without a snapshot the whole log is replayed
	if err := s.writeRows([]row{{key: numberKey(rowSnapshot, r.number), gone: true}}); err != nil {
		t.Fatal(err)
	}
	dir := crash(t, c.Dir)
	c.Dir = dir
	s = openTest(t, c)
	mustSubmit(t, s, alice.say("and on"))
	sub, _ := alice.commit(mls.CommitOptions{})
	mustSubmit(t, s, sub)
}

func TestIdleLedgersLeaveMemoryAndComeBack(t *testing.T) {
	s := newStore(t)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	first := alice.say("once")
	out := mustSubmit(t, s, first)
	r := s.find(alice.room)
	r.unload() // was busy
	if r.tip == nil {
		t.Fatal("a room that was written to is unloaded at once")
	}
	r.unload()
	if r.tip != nil || r.view.Load().ledger != nil {
		t.Fatal("an idle room stays loaded")
	}
	if n := len(readAll(t, s, alice.room, 1<<20)); n != 2 {
		t.Fatal(n)
	}
	if again := mustSubmit(t, s, first); again.Receipt != out.Receipt {
		t.Fatal("another receipt")
	}
	mustSubmit(t, s, alice.say("twice"))
	if e := readAll(t, s, alice.room, 1<<20)[2]; e.Term != 1 {
		t.Fatalf("term %d without a restart", e.Term)
	}
}

// TestRecentEntriesAreBounded: over all rooms, and those written to last stay.
func TestRecentEntriesAreBounded(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	c.RecentBytes = 100_000
	s := openTest(t, c)
	var rooms []*member
	for i := range 10 {
		m := found(t, s, fmt.Sprint("room", i), deviceID(t, alpha, fmt.Sprint("user", i), "d"))
		rooms = append(rooms, m)
		flood(m, s, 100)
	}
	total := 0
	for _, m := range rooms {
		total += s.find(m.room).view.Load().bytes
	}
	if total > 150_000 || total != s.recent.bytes {
		t.Fatalf("%d bytes are kept, %d are counted", total, s.recent.bytes)
	}
	if s.find(rooms[9].room).view.Load().bytes == 0 || s.find(rooms[0].room).view.Load().bytes != 0 {
		t.Fatal("the oldest stay")
	}
	for _, m := range rooms {
		if n := len(readAll(t, s, m.room, 10_000)); n != 101 {
			t.Fatal(n)
		}
	}
}

func TestFilterKnowsWhatItWasGiven(t *testing.T) {
	var f filter
	const n = 3*filterRunLen + 17
	key := func(i int) submissionKey {
		return newSubmissionKey("mimi://alpha.example/d/a/b", groups.SubmissionID{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	for i := range n {
		f.add(key(i), groups.Seq(i+1))
	}
	for i := range n {
		found := false
		f.perhaps(key(i), func(first, last groups.Seq) bool {
			found = found || first <= groups.Seq(i+1) && groups.Seq(i+1) <= last
			return found
		})
		if !found {
			t.Fatalf("entry %d is not known", i+1)
		}
	}
	wrong := 0
	for i := n; i < 20*n; i++ {
		f.perhaps(key(i), func(_, _ groups.Seq) bool { wrong++; return false })
	}
	if wrong > 19*n*len(f.runs)/5000 {
		t.Fatalf("%d false answers to %d questions", wrong, 19*n)
	}
}

// TestErrorsAreTyped: what a Store returns has a kind of its own choosing.
func TestErrorsAreTyped(t *testing.T) {
	s := newStore(t)
	d := deviceID(t, alpha, "alice", "laptop")
	room := roomID(t, "none")
	_, err := s.Read(room, 0, 1)
	wantKind(t, err, groups.NotFound)
	_, err = s.Room(room)
	wantKind(t, err, groups.NotFound)
	_, _, err = s.GroupInfo(room)
	wantKind(t, err, groups.NotFound)
	wantKind(t, s.ForgetWelcome(d, room, 1), groups.NotFound)
	_, _, err = s.ReadBlob(groups.Hash{}, 0, 1)
	wantKind(t, err, groups.NotFound)
	if _, ok := s.Membership(room, d); ok {
		t.Fatal("member of nothing")
	}
	if ms, err := s.RoomsOf(d); err != nil || len(ms) != 0 {
		t.Fatal(ms, err)
	}
	if _, err := Open(Config{}); err == nil {
		t.Fatal("opened nothing")
	} else if e := new(groups.Error); !errors.As(err, &e) {
		t.Fatalf("%T", err)
	}
}
