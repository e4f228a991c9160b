package storage

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/groups"
)

// rotten is what stands where a bit is going to flip.
const rotten = "the bit that flips"

// A rot is where on the disk a log is damaged.
var rots = map[string]struct {
	files string
	body  []byte
}{
	"table":     {"*.sst", []byte(rotten)},
	"value log": {"*" + valueSuffix, large(rotten)},
}

// damage closes a store, flips the bit, and opens it again.
func damage(t *testing.T, s *Store, files string) *Store {
	t.Helper()
	closeTest(t, s)
	flip(t, filepath.Join(s.cfg.Dir, badgerDir), files, []byte(rotten))
	return openTest(t, s.cfg)
}

func reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	closeTest(t, s)
	return openTest(t, s.cfg)
}

// rests waits until the first snapshot of a room is written.
func rests(t *testing.T, s *Store, room groups.RoomID) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if n := s.find(room).counted(); n.size > 0 && !n.asked {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no snapshot")
		}
	}
}

// readUntilDamage reads a room's log as far as it goes.
func readUntilDamage(t *testing.T, s *Store, room groups.RoomID) (held groups.Seq, err error) {
	t.Helper()
	for {
		page, err := s.Read(room, held, 2<<10)
		if err != nil || len(page.Entries) == 0 {
			return held, err
		}
		held += groups.Seq(len(page.Entries))
	}
}

// TestALogThatIsDamagedWithinComesBackFromACopy: the start after it was found cuts
// the log back, deletes nothing, and what was promised is asked for until all of it
// is back; at the hub and at a follower.
func TestALogThatIsDamagedWithinComesBackFromACopy(t *testing.T) {
	for name, rot := range rots {
		t.Run(name, func(t *testing.T) {
			hub, follower, _, alice, bob := hubAndFollower(t)
			mustSubmit(t, hub, plain(alice.room, 1, alice.stamp(newID()), rot.body))
			flood(alice, hub, 3)
			phone, tablet := newMember(t, deviceID(t, alpha, "alice", "phone")), newMember(t, deviceID(t, beta, "bob", "tablet"))
			alice.add(hub, phone, tablet)
			flood(alice, hub, 20)
			follow(t, hub, follower, alice.room, 2<<10)
			was, _ := hub.Room(alice.room)
			members := []*member{alice, bob, phone, tablet}
			hub = comesBack(t, hub, follower, rot.files, was.Head, members)
			follower = comesBack(t, follower, hub, rot.files, was.Head, members)
			mustSubmit(t, hub, alice.say("goes on"))
			follow(t, hub, follower, alice.room, 1<<20)
			sameLog(t, hub, follower, alice.room)
		})
	}
}

// comesBack damages a store's log and refills it from another's.
func comesBack(t *testing.T, broken, whole *Store, files string, was groups.Head, members []*member) *Store {
	t.Helper()
	room, hubs, joined := members[0].room, broken.cfg.Node.Site() == alpha, members[3]
	if hubs {
		joined = members[2]
	}
	broken = damage(t, broken, files)
	_, err := readUntilDamage(t, broken, room)
	wantKind(t, err, groups.Internal)
	in, _ := broken.Room(room)
	if in.Head != was || !strings.Contains(in.Parked, "can not be read") || !strings.Contains(in.Parked, "next start") || in.Fenced != 0 || !in.Damaged {
		t.Fatalf("%+v", in)
	}
	broken = reopen(t, broken)
	if in, _ = broken.Room(room); in.Head.Seq < 60 || in.Head.Seq > 72 || in.Parked == "" || in.Fenced != was.Seq || in.Members != 2 {
		t.Fatalf("%+v, was %+v", in, was)
	}
	if held, err := readUntilDamage(t, broken, room); held != in.Head.Seq || err != nil {
		t.Fatal(held, err)
	}
	if ws, err := broken.Welcomes(joined.device); len(ws) != 0 || err != nil {
		t.Fatal("a Welcome without its commit: ", ws, err)
	}
	part := batchOf(t, whole, room, in.Head.Seq, 32<<10)
	part.Entries = part.Entries[:3]
	if head, err := replicate(broken, part); err != nil || head.Seq != in.Head.Seq+3 {
		t.Fatal(head, err)
	}
	broken = reopen(t, broken)
	if again, _ := broken.Room(room); again.Head.Seq != in.Head.Seq+3 || again.Fenced != was.Seq {
		t.Fatalf("a restart has forgotten what was promised: %+v", again)
	}
	follow(t, whole, broken, room, 2<<10)
	for again := range 2 {
		sameLog(t, whole, broken, room)
		in, _ = broken.Room(room)
		if in.Head != was || in.Parked != "" || in.Fenced != 0 || in.Members != 4 || in.Owned != hubs {
			t.Fatalf("%+v, was %+v", in, was)
		}
		if ws, err := broken.Welcomes(joined.device); len(ws) != 1 || err != nil {
			t.Fatal(ws, err)
		}
		if m, ok := broken.Membership(room, joined.device); !ok || m.Left != 0 {
			t.Fatalf("%+v", m)
		}
		if again == 0 {
			broken = reopen(t, broken)
		}
	}
	return broken
}

// TestALossWithinALogCanBeAccepted: nobody else has a copy. What lay behind the
// damage is gone with all that followed from it, and nothing of it comes up again.
func TestALossWithinALogCanBeAccepted(t *testing.T) {
	for name, rot := range rots {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
			before := *alice
			flood(alice, s, 3)
			mustSubmit(t, s, plain(alice.room, 0, alice.stamp(newID()), rot.body))
			bob := newMember(t, deviceID(t, alpha, "bob", "desk"))
			alice.add(s, bob)
			flood(alice, s, 5)
			was, _ := s.Room(alice.room)
			s = damage(t, s, rot.files)
			_, err := readUntilDamage(t, s, alice.room)
			wantKind(t, err, groups.Internal)
			_, err = s.AcceptLoss(alice.room)
			wantKind(t, err, groups.Unavailable)
			s = reopen(t, s)
			in, _ := s.Room(alice.room)
			wantKind(t, submit(s, alice.say("no")).Err, groups.Unavailable)
			if _, ok := s.Membership(alice.room, bob.device); !ok {
				t.Fatal("what may still come back is gone")
			}
			loss, err := s.AcceptLoss(alice.room)
			if err != nil || loss.Held != in.Head.Seq || loss.Lost != was.Head.Seq || loss.Term <= was.Head.Term {
				t.Fatalf("%+v, %v", loss, err)
			}
			if _, ok := s.Membership(alice.room, bob.device); ok {
				t.Fatal("bob is a member by an entry that is gone")
			}
			if ws, err := s.Welcomes(bob.device); len(ws) != 0 || err != nil {
				t.Fatal(ws, err)
			}
			flood(&before, s, 10)
			before.add(s, bob)
			if ws, err := s.Welcomes(bob.device); len(ws) != 1 || err != nil {
				t.Fatal(ws, err)
			}
			log := readAll(t, s, alice.room, 1<<10)
			s = reopen(t, s)
			if again := readAll(t, s, alice.room, 1<<20); len(again) != len(log) || len(log) != int(loss.Held)+11 {
				t.Fatal(len(again), len(log))
			}
			if in, _ = s.Room(alice.room); in.Parked != "" || in.Members != 2 {
				t.Fatalf("%+v", in)
			}
			if name != "table" { // where the header behind confirms what it follows
				acceptedOnce(t, s, &before)
			}
		})
	}
}

// acceptedOnce damages the log right behind what an operator has given up before:
// that covers nothing that was promised since.
func acceptedOnce(t *testing.T, s *Store, m *member) {
	r := s.find(m.room)
	last := r.view.Load().last
	s.park(r, "for a test")
	loss, err := s.AcceptLoss(m.room)
	if err != nil || loss.Held != last.Seq {
		t.Fatalf("%+v, %v", loss, err)
	}
	mustSubmit(t, s, m.say("not confirmed"))
	mustSubmit(t, s, plain(m.room, m.group.Epoch(), m.stamp(newID()), large("another bit")))
	mustSubmit(t, s, m.say("after"))
	closeTest(t, s)
	flip(t, filepath.Join(s.cfg.Dir, badgerDir), "*"+valueSuffix, []byte("another bit"))
	s = openTest(t, s.cfg)
	_, err = readUntilDamage(t, s, m.room)
	wantKind(t, err, groups.Internal)
	s = reopen(t, s)
	if in, _ := s.Room(m.room); in.Head.Seq != last.Seq || in.Parked == "" || in.Fenced != last.Seq+3 {
		t.Fatalf("%+v", in)
	}
}

// An ahead is a store whose log is an entry ahead of its journal, as after a crash:
// somebody has read it, nobody has a receipt. fail lets a step of the next one fail,
// or fail though it is persisted.
type ahead struct {
	*Store
	alice     *member
	disk      disk
	step      atomic.Pointer[string]
	persisted bool
}

func (a *ahead) fail(step string) { a.step.Store(&step) }

func newAhead(t *testing.T) *ahead {
	t.Helper()
	a := &ahead{}
	a.disk.fault = func(name string, perform func() error) error {
		if at := a.step.Load(); at == nil || *at != name {
			return perform()
		}
		if a.persisted {
			if err := perform(); err != nil {
				return err
			}
		}
		return errFault
	}
	c := testConfig(alpha, t.TempDir())
	s, err := open(c, a.disk)
	if err != nil {
		t.Fatal(err)
	}
	a.alice = found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	flood(a.alice, s, 5)
	mustSubmit(t, s, plain(a.alice.room, 0, a.alice.stamp(newID()), large(rotten)))
	flood(a.alice, s, 5)
	rests(t, s, a.alice.room) // the batch that fails is the next entry's
	a.fail("journal write")
	wantKind(t, submit(s, a.alice.say("durable, without a receipt")).Err, groups.Unavailable)
	closeTest(t, s)
	a.Store = openTest(t, c)
	return a
}

// TestACutIsWholeOrNotThere: whichever of its steps fails, or fails but is
// persisted, the start after finds the same. The journal is behind the log, which
// has been read: that is promised before the head moves.
func TestACutIsWholeOrNotThere(t *testing.T) {
	a := newAhead(t)
	room := a.alice.room
	was, _ := a.Room(room)
	b := batchOf(t, a.Store, room, 0, 1<<20)
	if len(b.Entries) != 13 || was.Parked != "" {
		t.Fatal(len(b.Entries), was.Parked)
	}
	s := damage(t, a.Store, "*"+valueSuffix)
	_, err := readUntilDamage(t, s, room)
	wantKind(t, err, groups.Internal)
	closeTest(t, s)
	for _, name := range []string{"journal write", "journal sync", "cut"} {
		for _, a.persisted = range []bool{false, true} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(s.cfg.Dir)); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			c := testConfig(alpha, dir)
			c.Log = slog.New(slog.NewTextHandler(&said, nil))
			a.fail(name)
			if _, err := open(c, a.disk); !errors.Is(err, errFault) {
				t.Fatalf("%s: %v", name, err)
			}
			s := openTest(t, c)
			in, _ := s.Room(room)
			if in.Head.Seq < 4 || in.Head.Seq > 6 || in.Fenced != was.Head.Seq {
				t.Fatalf("%s, persisted %v: %+v", name, a.persisted, in)
			}
			if now, err := replicate(s, b); err != nil || now != was.Head {
				t.Fatalf("%+v, %v", now, err)
			}
			if got := readAll(t, s, room, 1<<20); len(got) != len(b.Entries) {
				t.Fatal(len(got))
			}
			closeTest(t, s)
			cut := fmt.Sprintf(`msg="room is cut back to what is whole of its log" room=%s held=%d was=%d`, room, in.Head.Seq, was.Head.Seq)
			if told := strings.Contains(said.String(), cut); told == (name == "cut" && a.persisted) {
				t.Fatalf("%s, persisted %v: it says\n%s", name, a.persisted, said.String())
			}
		}
	}
}

// A head row that points behind the log's end costs at most what nobody has a receipt
// for, and what the room orders next does not meet what is left of that.
func TestARottenHeadBehindTheEndIsMovedBack(t *testing.T) {
	a := newAhead(t)
	room, number := a.alice.room, a.find(a.alice.room).number
	was, _ := a.Room(room)
	head := was.Head
	head.Seq += 1 << 20
	rec := headRecord{last: head, signed: shown(t, a.Store, room)}
	if err := a.writeRows([]row{{key: numberKey(rowHead, number), value: rec.encode()}}); err != nil {
		t.Fatal(err)
	}
	s := reopen(t, a.Store)
	in, _ := s.Room(room)
	if in.Parked != "" || in.Head.Seq != was.Head.Seq-1 {
		t.Fatalf("%+v", in)
	}
	flood(a.alice, s, 5)
	s = reopen(t, s)
	if n := len(readAll(t, s, room, 1<<20)); n != int(was.Head.Seq)+4 {
		t.Fatal(n)
	}
}

// A snapshot that rots costs nothing but its making.
func TestARottenSnapshotIsMadeAnew(t *testing.T) {
	s := newStore(t)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	flood(alice, s, 20)
	rests(t, s, alice.room)
	r := s.find(alice.room)
	v, err := s.lookup(numberKey(rowSnapshot, r.number))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := decodeSnapshotRecord(v)
	if err != nil {
		t.Fatal(err)
	}
	closed := s.cfg
	if err := s.writeRows([]row{{key: chunkKey(rowHeldChunk, rec.hash, 0), value: []byte("rotten")}, {key: numberKey(rowInfo, r.number), value: []byte("rotten")}}); err != nil {
		t.Fatal(err)
	}
	closeTest(t, s)
	s = openTest(t, closed)
	if snap, err := s.lookup(numberKey(rowSnapshot, r.number)); snap != nil || err != nil {
		t.Fatal("it was not rotten: this test proves nothing")
	}
	mustSubmit(t, s, alice.say("goes on"))
	if in, _ := s.Room(alice.room); in.Members != 1 || in.Head.Seq != 22 {
		t.Fatalf("%+v", in)
	}
}

// A log that is whole and not what was promised is another history: nothing is cut.
func TestAnotherHistoryIsNotCut(t *testing.T) {
	s := newStore(t)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	flood(alice, s, 20)
	closeTest(t, s)
	j, err := openJournal(s.cfg.Dir, disk{})
	if err != nil {
		t.Fatal(err)
	}
	h := j.rooms[1]
	h.hash[0] ^= 1
	j.rooms[1] = h
	if err := errors.Join(j.rewrite(), j.close()); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, s.cfg)
	if err := s.writeRows([]row{{key: numberKey(rowMend, 1), value: []byte{1}}}); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	if in, _ := s.Room(alice.room); in.Head.Seq != 21 || in.Parked != "entry 21 is not what was promised" || in.Fenced != 0 {
		t.Fatalf("%+v", in)
	}
}

// Where a log ends is in a row and in the journal: one of them will do, if what they
// say can be read in the log.
func TestARottenHeadIsTakenFromTheJournal(t *testing.T) {
	hub, follower, c, alice, _ := hubAndFollower(t)
	follow(t, hub, follower, alice.room, 1<<20)
	for _, s := range []*Store{hub, follower} {
		was, _ := s.Room(alice.room)
		if err := s.writeRows([]row{{key: numberKey(rowHead, s.find(alice.room).number), value: []byte("rotten")}}); err != nil {
			t.Fatal(err)
		}
		s = reopen(t, s)
		in, err := s.Room(alice.room)
		if err != nil || in.Head != was.Head || in.Parked != "" || in.Members != 2 {
			t.Fatalf("%+v, %v, was %+v", in, err, was)
		}
		if s.cfg.Node == c.Node {
			follower = s
			continue
		}
		if head := shown(t, s, alice.room); head.Head != was.Head || head.Verify(s.cfg.Verifier) != nil {
			t.Fatalf("%+v", head)
		}
		mustSubmit(t, s, alice.say("goes on"))
		hub = s
	}
	follow(t, hub, follower, alice.room, 1<<20)
	sameLog(t, hub, follower, alice.room)
}
