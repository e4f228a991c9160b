package storage

import (
	"testing"

	"parley/groups"
)

func TestBlobsThatAreNotHereAreWanted(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	woken := make(chan struct{}, 10)
	defer s.WatchWanted(func() { woken <- struct{}{} })()
	missing, here := someBytes(100), someBytes(200)
	if _, _, err := uploadBlob(s, groups.HashOf(here), here, 1); err != nil {
		t.Fatal(err)
	}
	stamp := alice.stamp(newID())
	stamp.Blobs = []groups.Hash{groups.HashOf(missing), groups.HashOf(here)}
	mustSubmit(t, s, plain(alice.room, 0, stamp, []byte("look at these")))
	<-woken
	for range 20 { // wherever it begins to look, and after a restart
		wanted, err := s.Wanted()
		if err != nil || len(wanted) != 1 || len(wanted[alpha]) != 1 || wanted[alpha][0] != groups.HashOf(missing) {
			t.Fatalf("%v, %v", wanted, err)
		}
	}
	closeTest(t, s)
	s = openTest(t, c)
	if _, _, err := uploadBlob(s, groups.HashOf(missing), missing, 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if wanted, err := s.Wanted(); err != nil || len(wanted) != 0 {
			t.Fatalf("%v, %v", wanted, err)
		}
	}
}

// TestLedgersLoadedForReadingAreUnloadedToo: asking for the members of a room
// loads its ledger, which then counted as not loaded and stayed for ever.
func TestLedgersLoadedForReadingAreUnloadedToo(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	closeTest(t, s)
	s = openTest(t, c)
	if list, err := s.Members(alice.room); err != nil || len(list) != 1 || list[0] != alice.device {
		t.Fatal(list, err)
	}
	r := s.find(alice.room)
	if r.view.Load().ledger == nil {
		t.Fatal("loaded and not known to be")
	}
	r.unload()
	r.unload()
	if r.tip != nil {
		t.Fatal("stays loaded")
	}
}
