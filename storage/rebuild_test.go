package storage

import (
	"reflect"
	"testing"

	"parley/groups"
	"parley/mls"
)

// TestWhatIsDerivedCanBeRebuilt: "The log entry is the only truth; every other
// table can be rebuilt from it."
func TestWhatIsDerivedCanBeRebuilt(t *testing.T) {
	c := testConfig(alpha, t.TempDir())
	s := openTest(t, c)
	alice := found(t, s, "ops", deviceID(t, alpha, "alice", "laptop"))
	phone := newMember(t, deviceID(t, alpha, "alice", "phone"))
	bob := newMember(t, deviceID(t, beta, "bob", "desk"))
	flood(alice, s, 30)
	alice.add(s, phone, bob)
	flood(alice, s, 30)
	sub, p := alice.commit(mls.CommitOptions{Removes: removalOf(alice, bob)})
	mustSubmit(t, s, sub)
	alice.group = p.Next
	what := func() (all []any) {
		in, err := s.Room(alice.room)
		info, head, gerr := s.GroupInfo(alice.room)
		all = append(all, in, info, head)
		for _, d := range []groups.DeviceID{alice.device, phone.device, bob.device} {
			m, ok := s.Membership(alice.room, d)
			all = append(all, m, ok)
		}
		if err != nil || gerr != nil {
			t.Fatal(err, gerr)
		}
		return all
	}
	before := what()
	r := s.find(alice.room)
	var lost []row
	for _, d := range []groups.DeviceID{alice.device, phone.device, bob.device} {
		lost = append(lost, row{key: stayKey(d, r.number, 1), gone: true}, row{key: stayKey(d, r.number, 32), gone: true},
			row{key: stayKey(d, r.number, 7), value: []byte{stayLeft}})
	}
	lost = append(lost, row{key: numberKey(rowInfo, r.number), value: (&info{members: 9}).encode()}, row{key: numberKey(rowSnapshot, r.number), gone: true})
	if err := s.writeRows(lost); err != nil {
		t.Fatal(err)
	}
	r.amend(func(v *view) { v.info = &info{members: 9} })
	if _, ok := s.Membership(alice.room, alice.device); ok {
		t.Fatal("nothing was lost: this test would prove nothing")
	}
	if err := s.Rebuild(alice.room); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if after := what(); !reflect.DeepEqual(before, after) {
			t.Fatalf("%+v\nwas\n%+v", after, before)
		}
		closeTest(t, s)
		s = openTest(t, c)
	}
	mustSubmit(t, s, alice.say("goes on"))
	wantKind(t, s.Rebuild(roomID(t, "none")), groups.NotFound)
}
