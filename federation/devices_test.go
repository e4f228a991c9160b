package federation

import (
	"context"
	"testing"

	linkv1 "parley/api/link/v1"
	"parley/groups"
)

// Devices implements Keys: those with key packages here.
func (s *memStore) Devices(user groups.UserID) ([]groups.DeviceRecord, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []groups.DeviceRecord
	for _, kp := range s.keys[user] {
		out = append(out, groups.DeviceRecord{Device: kp.Device, KeyPackages: 1, LastSeen: 7})
	}
	return out, nil
}

// "any node serves any device": one that published at a sibling is found, and
// no other site is told.
func TestDevicesAtSiblingsAreFound(t *testing.T) {
	pki := newPKI(t, alpha, beta)
	a1 := start(t, pki, "mimi://alpha.example/n/a1", nil)
	b1 := start(t, pki, "mimi://beta.example/n/b1", nil)
	a2 := start(t, pki, "mimi://alpha.example/n/a2", func(c *Config) {
		c.Siblings = []string{a1.Addr().String()}
		c.Sites = []Peer{{Site: beta, Addresses: []string{b1.Addr().String()}}}
	})
	phone := groups.DeviceID("mimi://alpha.example/d/alice/phone")
	a2.store.give(phone.User(), []groups.KeyPackage{{Device: phone}})
	eventually(t, "a link between siblings", func() bool { return len(a1.linksOf(alpha)) == 1 })
	got := a1.Devices(context.Background(), phone.User())
	if len(got) != 1 || got[0].Device != phone || got[0].KeyPackages != 1 || got[0].LastSeen != 7 {
		t.Fatalf("a1 hears %v", got)
	}
	stranger := &link{node: a2.Node, peer: "mimi://beta.example/n/b1"}
	if _, err := stranger.devicesSeen(&linkv1.ListDevices{User: string(phone.User())}); groups.KindOf(err) != groups.Denied {
		t.Fatalf("beta is told: %v", err)
	}
	liar := &linkv1.Devices{Devices: []*linkv1.Device{{Device: "mimi://alpha.example/d/bob/phone"}, {Device: "x"}}}
	if got := records(phone.User(), liar); len(got) != 0 {
		t.Fatalf("devices of others are taken: %v", got)
	}
}
