package storage

import (
	"reflect"
	"testing"

	"parley/groups"
	"parley/mls"
	"parley/mls/wire"
)

// A device that was added again had lost its first stay: its node no longer
// knew that the entries of it are for the device.
func TestStaysBeforeTheLastAreKept(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	phone := newMember(t, deviceID(t, alpha, "alice", "phone"))
	remove := func() {
		sub, p := alice.commit(mls.CommitOptions{Removes: removalOf(alice, phone)})
		mustSubmit(t, s, sub)
		alice.group = p.Next
	}
	alice.add(s, phone) // 2
	mustSubmit(t, s, alice.say("first stay"))
	remove() // 4
	mustSubmit(t, s, alice.say("between"))
	alice.add(s, phone) // 6
	remove()            // 7
	alice.add(s, phone) // 8
	mustSubmit(t, s, alice.say("third stay"))
	again := phone.keyPackage()
	sub, p := alice.commit(mls.CommitOptions{Removes: removalOf(alice, phone), Adds: []*wire.KeyPackage{&again.Public}})
	mustSubmit(t, s, sub) // 10
	alice.group = p.Next
	want := groups.Membership{Room: alice.room, Stay: groups.Stay{Joined: 10}, Before: []groups.Stay{{Joined: 2, Left: 4}, {Joined: 6, Left: 7}, {Joined: 8, Left: 10}}}
	check := func(when string) {
		t.Helper()
		m, ok := s.Membership(alice.room, phone.device)
		of, err := s.RoomsOf(phone.device)
		if !ok || err != nil || !reflect.DeepEqual(m, want) || !reflect.DeepEqual(of, []groups.Membership{want}) {
			t.Fatalf("%s: %+v and %+v, %v, want %+v", when, m, of, err, want)
		}
	}
	check("at once")
	closeTest(t, s)
	s = openTest(t, c)
	check("after a restart")
	r := s.find(alice.room)
	if err := s.writeRows([]row{{key: stayKey(phone.device, r.number, 4), gone: true}, {key: stayKey(phone.device, r.number, 5), value: []byte{stayLeft}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Rebuild(alice.room); err != nil {
		t.Fatal(err)
	}
	check("rebuilt")
}

// The rooms of a device do not run into each other.
func TestStaysOfManyRooms(t *testing.T) {
	s := newStore(t)
	phone := newMember(t, deviceID(t, alpha, "alice", "phone"))
	for _, name := range []string{"b", "a", "c"} {
		m := found(t, s, name, deviceID(t, alpha, "alice", "laptop"))
		m.add(s, phone)
		sub, _ := m.commit(mls.CommitOptions{Removes: removalOf(m, phone)})
		mustSubmit(t, s, sub)
	}
	got, err := s.RoomsOf(phone.device)
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for i, name := range []string{"a", "b", "c"} {
		want := groups.Membership{Room: roomID(t, name), Stay: groups.Stay{Joined: 2, Left: 3}}
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("%+v, want %+v", got[i], want)
		}
	}
}
