package client_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"parley/client"
	"parley/groups"
)

// unaccepted fails unless an error says that the person has not accepted how the
// room is encrypted, and what of it.
func unaccepted(t *testing.T, err error, changes ...string) {
	t.Helper()
	why, ok := errors.AsType[*client.Unaccepted](err)
	if !ok || groups.KindOf(err) != groups.Denied || !strings.Contains(err.Error(), "room inspect") {
		t.Fatalf("%v does not say that nothing was accepted, and what to do", err)
	}
	if (len(changes) == 0) != (len(why.Changes) == 0) {
		t.Errorf("what has changed is %q, want %q", why.Changes, changes)
	}
	for _, want := range changes {
		if all := strings.Join(why.Changes, "\n"); !strings.Contains(all, want) {
			t.Errorf("the changes do not say %q:\n%s", want, all)
		}
	}
}

// A person makes a key only for what they have accepted: whatever asks them, the
// device itself refuses the rest, and judges by what is wrapped to in the end.
func TestE13_ThePersonMakesNoKeyForWhatTheyHaveNotAccepted(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, nil)
		alice.add("bob")
		before := alice.key()
		rekey := func() error { return bob.Rekey(t.Context(), ops) }
		unaccepted(t, rekey())
		unaccepted(t, bob.RekeyFor(t.Context(), ops, groups.KeyRotatedByPolicy))
		unaccepted(t, bob.Accepted(ops))
		if bob.key().Record != before.Record {
			t.Fatal("a key was made all the same")
		}
		bob.rekey()
		if err := bob.Accepted(ops); err != nil {
			t.Errorf("what was accepted is not: %v", err)
		}

		// Another policy.
		seen := must(bob.Inspect(t.Context(), ops))
		policy := c.policy(finance, legal)
		policy.History = groups.HistoryAll
		if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
			t.Fatal(err)
		}
		settle()
		unaccepted(t, rekey(), string(legal)+" can open", "history: all")
		unaccepted(t, bob.Accepted(ops), string(legal)+" can open")
		if err := bob.Accept(seen); err != nil { // what was on the screen before
			t.Fatal(err)
		}
		unaccepted(t, rekey(), string(legal)+" can open")
		bob.stop()
		bob.start()
		unaccepted(t, rekey(), string(legal)+" can open")
		bob.rekey()

		// Another certificate, between looking and making.
		seen = must(bob.Inspect(t.Context(), ops))
		c.addKey(finance)
		time.Sleep(2 * time.Minute)
		if err := bob.Accept(seen); err != nil {
			t.Fatal(err)
		}
		settle()
		last := bob.key()
		unaccepted(t, rekey(), "another certificate")
		if bob.key().Record != last.Record {
			t.Error("a key was wrapped to a certificate that nobody has seen")
		}
		bob.rekey()
		agree(alice, bob)
	}, finance, legal)
}

// A certificate that could not be shown when the rest was accepted is one that
// was not accepted.
func TestE13_ACertificateThatCouldNotBeShownIsNotAccepted(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, nil)
		alice.add("bob")
		c.set(func() { c.down["*"] = true })
		time.Sleep(2 * statusLife)
		unaccepted(t, bob.Rekey(t.Context(), ops)) // before any service is asked
		alice.accept()
		c.set(func() { c.down["*"] = false })
		unaccepted(t, alice.Rekey(t.Context(), ops), "had none to show")
		if e := must(alice.Inspect(t.Context(), ops)); e.Accepted || len(e.Changes) != 1 {
			t.Errorf("what could not be shown is accepted: %q", e.Changes)
		}
		alice.rekey()
	})
}

// What devices do by themselves goes by the room's policy, which an admin has
// signed, and waits for nobody: they add, remove and renew keys as before, the
// record says that nobody was asked, and the person is told that they have not
// accepted this.
func TestWhatDevicesDoByThemselvesWaitsForNoConsent(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob, _ := h.device("alice/laptop"), h.device("bob/phone"), h.device("carol/phone")
		c.room(alice, func(p *groups.Policy) {
			p.MembersMayAdd, p.MaxKeyAge, p.AutoRenew = true, time.Hour, 10*time.Minute
		})
		alice.add("bob")
		alice.stop()
		bob.add("carol")
		if k := bob.key(); k.Author != bob.ID() || k.Reason != groups.KeyJoined {
			t.Errorf("the key is %+v", k)
		}
		unaccepted(t, bob.Accepted(ops))
		made := bob.key()
		time.Sleep(time.Until(made.Ends))
		if k := bob.key(); k.Record == made.Record || k.Reason != groups.KeyRotatedByPolicy || !k.Made.Before(made.Ends) {
			t.Errorf("the key was not renewed by itself: %+v", k)
		}
		unaccepted(t, bob.Rekey(t.Context(), ops))
	})
}
