package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"parley/groups"
)

var errFault = errors.New("disk fault")

// TestDurableSteps is the fault table: every durable step, failed, and failed
// but persisted. In each case the submission is refused, the store stops, reads
// go on with what was durable, and a restart finds a log without gap in which
// the submission, tried again, stands exactly once.
func TestDurableSteps(t *testing.T) {
	for _, step := range []string{"badger commit", "journal write", "journal sync"} {
		for _, persisted := range []bool{false, true} {
			name := step + " failed"
			if persisted {
				name += " but was persisted"
			}
			t.Run(name, func(t *testing.T) { testFault(t, step, persisted) })
		}
	}
}

func testFault(t *testing.T, step string, persisted bool) {
	c := testConfig(alpha, t.TempDir())
	var armed atomic.Bool
	s, err := open(c, disk{fault: func(name string, perform func() error) error {
		if !armed.Load() || name != step {
			return perform()
		}
		if persisted {
			if err := perform(); err != nil {
				return err
			}
		}
		return errFault
	}})
	if err != nil {
		t.Fatal(err)
	}
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	before := mustSubmit(t, s, alice.say("before"))
	armed.Store(true)
	lost := alice.say("lost?")
	out := submit(s, lost)
	wantKind(t, out.Err, groups.Unavailable)
	if !errors.Is(out.Err, errFault) || out.Receipt != (groups.Receipt{}) {
		t.Fatalf("%+v", out)
	}
	armed.Store(false)
	wantKind(t, submit(s, alice.say("after")).Err, groups.Unavailable)
	wantKind(t, s.Ready(), groups.Unavailable)
	if _, err := s.PutKeyPackages(alice.device, []groups.KeyPackage{{Device: alice.device, Suite: 1}}); groups.KindOf(err) != groups.Unavailable {
		t.Fatalf("a stopped store took a key package: %v", err)
	}
	if n := len(readAll(t, s, alice.room, 1<<20)); n != 2 {
		t.Fatalf("%d entries are shown, 2 are durable", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, c)
	if in, _ := s.Room(alice.room); in.Parked != "" {
		t.Fatal("parked: ", in.Parked)
	}
	again := mustSubmit(t, s, lost)
	log := readAll(t, s, alice.room, 1<<20)
	if len(log) != 3 || log[1].EntryHeader.Hash() != before.Receipt.Hash || log[2].EntryHeader.Hash() != again.Receipt.Hash {
		t.Fatalf("%d entries after the restart", len(log))
	}
}

func TestAFailingSignerStopsTheStore(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	signer := &moodySigner{ordering: newOrdering(alpha)}
	c.Signer = signer
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	signer.fail.Store(true)
	wantKind(t, submit(s, alice.say("unsigned")).Err, groups.Unavailable)
	if n := len(readAll(t, s, alice.room, 1<<20)); n != 1 {
		t.Fatalf("%d entries are shown, 1 is durable", n)
	}
}

type moodySigner struct {
	ordering
	fail atomic.Bool
}

func (m *moodySigner) SignHeads(root groups.Hash) ([]byte, error) {
	if m.fail.Load() {
		return nil, errFault
	}
	return m.ordering.SignHeads(root)
}

// TestRewritingTheJournal is the fault table of its rewriting: whichever step
// fails, or fails but is persisted, the next start finds all heads.
func TestRewritingTheJournal(t *testing.T) {
	for _, step := range []string{"none", "new journal write", "new journal sync", "new journal rename", "new journal directory sync"} {
		for _, persisted := range []bool{false, true} {
			t.Run(fmt.Sprint(step, " persisted ", persisted), func(t *testing.T) { testRewrite(t, step, persisted) })
		}
	}
}

func testRewrite(t *testing.T, step string, persisted bool) {
	c := testConfig(alpha, t.TempDir())
	var armed atomic.Bool
	s, err := open(c, disk{fault: func(name string, perform func() error) error {
		if !armed.Load() || name != step {
			return perform()
		}
		if persisted {
			if err := perform(); err != nil {
				return err
			}
		}
		return errFault
	}})
	if err != nil {
		t.Fatal(err)
	}
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	settle(t, s)
	armed.Store(true)
	s.journal.limit = 4096 // read by the committer with the next batch
	var receipts []groups.Receipt
	for range 100 {
		out := submit(s, alice.say("fills the journal"))
		if out.Err != nil {
			break
		}
		receipts = append(receipts, out.Receipt)
	}
	if stopped := s.failed.Load() != nil; stopped == (step == "none") || len(receipts) < 20 {
		t.Fatalf("stopped %v after %d receipts", stopped, len(receipts))
	}
	armed.Store(false)
	closeTest(t, s)
	s = openTest(t, c)
	in, err := s.Room(alice.room)
	if err != nil || in.Parked != "" || in.Head.Seq < receipts[len(receipts)-1].Seq {
		t.Fatalf("%+v, %v", in, err)
	}
	if s.journal.rooms[1].seq < receipts[len(receipts)-1].Seq {
		t.Fatalf("the journal knows of entry %d", s.journal.rooms[1].seq)
	}
	mustSubmit(t, s, alice.say("goes on"))
}

func TestAMissingJournalVouchesForNothing(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	closeTest(t, s)
	if err := os.Remove(filepath.Join(c.Dir, journalName)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = openTest(t, c)
		if in, err := s.Room(alice.room); err != nil || in.Parked == "" {
			t.Fatalf("%+v, %v", in, err)
		}
		closeTest(t, s)
	}
}
