package storage

import (
	"strings"
	"testing"

	"parley/groups"
	"parley/mls"
)

func TestAReceiptMeansDurableAtThisPlace(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	out := mustSubmit(t, s, alice.say("hello"))
	if out.Receipt.Seq != 2 || out.Head.Head.Seq < 2 || out.Head.Verify(c.Verifier) != nil {
		t.Fatalf("receipt %+v, head %+v", out.Receipt, out.Head)
	}
	outs := flood(alice, s, 3000)
	check := func(s *Store) {
		t.Helper()
		log := readAll(t, s, alice.room, 64<<10)
		if len(log) != 3002 {
			t.Fatalf("%d entries", len(log))
		}
		for _, o := range outs {
			if o.Err != nil || log[o.Receipt.Seq-1].EntryHeader.Hash() != o.Receipt.Hash {
				t.Fatalf("outcome %+v", o)
			}
		}
	}
	check(s)
	closeTest(t, s)
	s = openTest(t, c)
	check(s)
	out = mustSubmit(t, s, alice.say("after a restart"))
	if e := readAll(t, s, alice.room, 1<<20)[3002]; e.Term != 2 || out.Receipt.Seq != 3003 {
		t.Fatalf("term %d at %d, want 2 at 3003", e.Term, e.Seq)
	}
}

func TestCommitsMembersAndWelcomes(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	phone := newMember(t, deviceID(t, alpha, "alice", "phone"))
	bob := newMember(t, deviceID(t, beta, "bob", "desk"))
	var rooms []groups.RoomID
	woken := 0
	defer s.WatchRooms(func(id groups.RoomID) { rooms = append(rooms, id) })()
	defer s.WatchDevice(phone.device, func() { woken++ })()
	out := alice.add(s, phone, bob)
	in, err := s.Room(alice.room)
	if err != nil || in.Members != 3 || len(in.Sites) != 2 || !in.Owned || in.Owner != c.Node || in.Head.Epoch != 1 {
		t.Fatalf("%+v, %v", in, err)
	}
	settle(t, s)
	if len(rooms) != 1 || woken != 1 {
		t.Fatalf("rooms %v, woken %d", rooms, woken)
	}
	ws, err := s.Welcomes(phone.device)
	if err != nil || len(ws) != 1 || ws[0].Seq != out.Receipt.Seq || ws[0].EntryHash != out.Receipt.Hash || ws[0].Epoch != 1 || ws[0].Head == nil {
		t.Fatalf("%+v, %v", ws, err)
	}
	if ws, _ := s.Welcomes(bob.device); len(ws) != 0 {
		t.Fatal("a Welcome for a device of another site is routed there, not here")
	}
	tree, size, err := s.ReadBlob(ws[0].Tree, 0, 1<<20)
	if err != nil || uint64(len(tree)) != size || groups.HashOf(tree) != ws[0].Tree {
		t.Fatalf("tree of %d: %v", size, err)
	}
	info, head, err := s.GroupInfo(alice.room)
	if err != nil || len(info) == 0 || head.Epoch != 1 {
		t.Fatal(err)
	}
	log := readAll(t, s, alice.room, 1<<20)
	att, err := s.Attachments(log[1])
	if err != nil || len(att) != 2 || string(att[1]) != string(info) {
		t.Fatal(err)
	}
	if m, ok := s.Membership(alice.room, phone.device); !ok || m.Joined != 2 || m.Left != 0 {
		t.Fatalf("%+v", m)
	}
	if err := s.ForgetWelcome(phone.device, alice.room, ws[0].Seq); err != nil {
		t.Fatal(err)
	}
	if ws, _ := s.Welcomes(phone.device); len(ws) != 0 {
		t.Fatal("forgotten Welcome waits")
	}
	_, _, err = s.ReadBlob(ws[0].Tree, 0, 1)
	wantKind(t, err, groups.NotFound)

	sub, p := alice.commit(mls.CommitOptions{Removes: removalOf(alice, phone, bob)})
	mustSubmit(t, s, sub)
	alice.group = p.Next
	settle(t, s)
	if m, ok := s.Membership(alice.room, phone.device); !ok || m.Left != 3 || woken != 2 {
		t.Fatalf("%+v, woken %d", m, woken)
	}
	in, _ = s.Room(alice.room)
	if in.Members != 1 || in.Left[beta] != 3 || len(in.Sites) != 1 || len(rooms) != 2 {
		t.Fatalf("%+v", in)
	}
	ms, err := s.RoomsOf(phone.device)
	if err != nil || len(ms) != 1 || ms[0].Room != alice.room {
		t.Fatal(ms, err)
	}
	closeTest(t, s)
	s = openTest(t, c)
	again, err := s.Room(alice.room)
	if err != nil || again.Members != 1 || again.Left[beta] != 3 || again.Head != in.Head {
		t.Fatalf("%+v, want %+v", again, in)
	}
	mustSubmit(t, s, alice.say("alone"))
}

// Two nodes on one directory: the second one was told in Badger's words, and
// as a fault of its own.
func TestDirectoryOfARunningNodeIsRefusedInPlainWords(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := Open(c); groups.KindOf(err) != groups.Conflict || !strings.Contains(err.Error(), "another process uses this directory") {
		t.Fatalf("the second open says %v", err)
	}
}
