package storage

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/groups"
)

func somePackages(d groups.DeviceID, suite groups.CipherSuite, from, n int) (list []groups.KeyPackage) {
	for i := range n {
		list = append(list, groups.KeyPackage{Device: d, Suite: suite, Bytes: []byte(fmt.Sprintf("%s %d %d", d.Name(), suite, from+i))})
	}
	return list
}

func mustPut(t *testing.T, s *Store, d groups.DeviceID, list []groups.KeyPackage) int {
	t.Helper()
	n, err := s.PutKeyPackages(d, list)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAKeyPackageIsTakenOnce: of many who ask at a time, nobody gets what
// another got, and everything is given out.
func TestAKeyPackageIsTakenOnce(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	laptop, phone := deviceID(t, alpha, "alice", "laptop"), deviceID(t, alpha, "alice", "phone")
	mustPut(t, s, laptop, somePackages(laptop, 1, 0, 40))
	mustPut(t, s, phone, somePackages(phone, 1, 0, 20))
	mustPut(t, s, phone, somePackages(phone, 2, 0, 5))
	var mu sync.Mutex
	seen := make(map[string]int)
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				list, err := s.TakeKeyPackages(laptop.User(), 1)
				if err != nil {
					if groups.KindOf(err) != groups.NotFound {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				devices := make(map[groups.DeviceID]bool)
				for _, p := range list {
					seen[string(p.Bytes)]++
					if devices[p.Device] || p.Suite != 1 {
						t.Errorf("%+v", list)
					}
					devices[p.Device] = true
				}
				mu.Unlock()
			}
		}()
	}
	wait.Wait()
	if len(seen) != 60 {
		t.Fatalf("%d of 60 were given out", len(seen))
	}
	for name, n := range seen {
		if n != 1 {
			t.Fatalf("%s was given out %d times", name, n)
		}
	}
	if n, err := s.CountKeyPackages(phone); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	closeTest(t, s)
	s = openTest(t, c)
	if n, _ := s.CountKeyPackages(laptop); n != 0 {
		t.Fatalf("%d came back with a restart", n)
	}
}

func TestKeyPackagesAreBounded(t *testing.T) {
	s := newStore(t)
	d := deviceID(t, alpha, "alice", "laptop")
	mustPut(t, s, d, somePackages(d, 1, 0, groups.MaxKeyPackages))
	if n := mustPut(t, s, d, somePackages(d, 1, 1000, 50)); n != groups.MaxKeyPackages {
		t.Fatalf("%d are kept", n)
	}
	list, err := s.TakeKeyPackages(d.User(), 1)
	if err != nil || string(list[0].Bytes) != "laptop 1 50" {
		t.Fatalf("the oldest left is %q, %v", list[0].Bytes, err)
	}
	_, err = s.PutKeyPackages(d, somePackages(d, 1, 0, groups.MaxKeyPackages+1))
	wantKind(t, err, groups.TooLarge)
	_, err = s.PutKeyPackages(d, []groups.KeyPackage{{Device: d, Suite: 1, Bytes: make([]byte, maxKeyPackage+1)}})
	wantKind(t, err, groups.TooLarge)
	_, err = s.PutKeyPackages(d, somePackages(deviceID(t, alpha, "bob", "desk"), 1, 0, 1))
	wantKind(t, err, groups.Denied)
}

// A user's name that begins another's does not open the other's packages.
func TestNamesThatBeginAlike(t *testing.T) {
	s := newStore(t)
	al, alice := deviceID(t, alpha, "al", "ice"), deviceID(t, alpha, "alice", "ice")
	mustPut(t, s, alice, somePackages(alice, 1, 0, 1))
	_, err := s.TakeKeyPackages(al.User(), 1)
	wantKind(t, err, groups.NotFound)
	if n, _ := s.CountKeyPackages(deviceID(t, alpha, "alice", "ic")); n != 0 {
		t.Fatal("counted another device's")
	}
}

func TestDevicesAndSightings(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	laptop, phone := deviceID(t, alpha, "alice", "laptop"), deviceID(t, alpha, "alice", "phone")
	mustPut(t, s, phone, somePackages(phone, 1, 0, 3))
	s.SawDevice(laptop, start)
	s.SawDevice(laptop, start.Add(time.Minute))
	want := []groups.DeviceRecord{{Device: laptop, LastSeen: uint64(start.Add(time.Minute).UnixMilli())}, {Device: phone, KeyPackages: 3}}
	for range 2 { // before it is written, and after
		list, err := s.Devices(laptop.User())
		if err != nil || len(list) != 2 || list[0] != want[0] || list[1] != want[1] {
			t.Fatalf("%+v, %v", list, err)
		}
		closeTest(t, s)
		s = openTest(t, c)
	}
}

func TestCursorsOnlyMoveForward(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	d := deviceID(t, alpha, "alice", "laptop")
	one, two := roomID(t, "one"), roomID(t, "two")
	save := func(m map[groups.RoomID]groups.Seq) {
		if err := s.SaveCursors(d, m); err != nil {
			t.Fatal(err)
		}
	}
	save(map[groups.RoomID]groups.Seq{one: 5, two: 7})
	save(map[groups.RoomID]groups.Seq{one: 4, two: 9})
	for range 3 {
		m, err := s.Cursors(d)
		if err != nil || len(m) != 2 || m[one] != 5 || m[two] != 9 {
			t.Fatal(m, err)
		}
		closeTest(t, s)
		s = openTest(t, c)
		save(map[groups.RoomID]groups.Seq{one: 3})
	}
	if m, _ := s.Cursors(deviceID(t, alpha, "alice", "lap")); len(m) != 0 {
		t.Fatal("cursors of another device")
	}
}
