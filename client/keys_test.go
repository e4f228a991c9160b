package client_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"parley/client"
	"parley/groups"
)

// room makes a room under communities, with the fixture's policy changed.
func (c *communities) room(p *phone, edit func(*groups.Policy), names ...groups.CoIID) {
	p.t.Helper()
	if len(names) == 0 {
		names = []groups.CoIID{finance}
	}
	policy := c.policy(names...)
	if edit != nil {
		edit(policy)
	}
	if _, err := p.CreateRoom(p.t.Context(), client.RoomSpec{Room: ops, Policy: policy}); err != nil {
		p.t.Fatal(err)
	}
	settle()
}

// key is the key in use, as a device shows it.
func (p *phone) key() client.KeyInfo {
	p.t.Helper()
	k, err := p.Key(ops)
	if err != nil {
		p.t.Fatal(err)
	}
	return k
}

func TestE15_TheKeyInUseIsShown(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		began := time.Now()
		c.room(alice, nil, finance, legal)
		alice.add("bob")
		for _, p := range []*phone{alice, bob} {
			k := p.key()
			if k.Author != alice.ID() || k.Room != ops || k.Epoch != 1 || k.ID == (groups.Hash{}) || k.Reason != groups.KeyJoined || k.Bad != "" {
				t.Errorf("%s shows %+v", p.ID(), k)
			}
			if k.Made.Before(began) || k.Made.After(time.Now()) || k.Ends.Sub(k.Made) != 30*24*time.Hour {
				t.Errorf("%s: made at %v, ends at %v", p.ID(), k.Made, k.Ends)
			}
			if len(k.Recipients) != 2 {
				t.Fatalf("wrapped to %d communities", len(k.Recipients))
			}
			for i, name := range []groups.CoIID{finance, legal} {
				r, cert := k.Recipients[i], c.list[name].keys[0].cert
				if r.Name != name || r.Certificate != sha256.Sum256(cert.Raw) || string(r.Serial) != string(cert.SerialNumber.Bytes()) || r.StatusAt == 0 {
					t.Errorf("recipient %d is %+v", i, r)
				}
			}
		}
		if a, b := alice.key(), bob.key(); a.Record != b.Record {
			t.Error("two devices show two records")
		}
	}, finance, legal)
}
