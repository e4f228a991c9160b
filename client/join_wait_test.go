package client_test

import (
	"slices"
	"strings"
	"testing"

	"parley/client"
)

// behind is a room in which bob is away while he is removed and added again,
// twice, and people talk.
func behind(h *hub) (alice, bob *phone) {
	alice, bob = h.device("alice/laptop"), h.device("bob/laptop")
	alice.createRoom()
	alice.add("bob")
	alice.say("seen")
	settle()
	bob.shows("seen")
	bob.stop()
	for _, stay := range []string{"first", "second"} {
		alice.say(stay + " stay")
		settle()
		if err := alice.Remove(h.t.Context(), ops, bob.User()); err != nil {
			h.t.Fatal(err)
		}
		alice.say("between")
		settle()
		alice.add("bob")
	}
	alice.say("third stay")
	settle()
	return alice, bob
}

// A device that was removed and added again while it was behind lost the rest
// of its first stay: its Welcome took it past what it had not read.
func TestAddedAgainBeforeItHasReadItsFirstStay(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := behind(h)
		bob.start()
		bob.shows("seen", "first stay", "second stay", "third stay")
		bob.say("back")
		settle()
		alice.shows("seen", "first stay", "between", "second stay", "between", "third stay", "back")
		agree(alice, bob)
		if n := len(h.welcomes[bob.ID()]); n > 0 {
			t.Errorf("%d Welcomes still wait", n)
		}
	})
}

// A Welcome that waits stays at the gateway, so that it survives the process.
func TestAddedAgainAndRestartedWhileTheWelcomeWaits(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := behind(h)
		h.set(func() { h.mute = true })
		bob.open()
		bob.runQuietly(nil)
		settle()
		bob.shows("seen")
		if n := len(h.welcomes[bob.ID()]); n != 2 {
			t.Errorf("%d Welcomes wait", n)
		}
		bob.stop()
		h.set(func() { h.mute = false })
		bob.start()
		bob.shows("seen", "first stay", "second stay", "third stay")
		agree(alice, bob)
	})
}

// What will not come is not waited for: a gateway that sends nothing of the
// stay before, or has forgotten it, does not keep a device out.
func TestWelcomeDoesNotWaitForever(t *testing.T) {
	for name, fault := range map[string]func(*hub){
		"silent":    func(h *hub) { h.silent = true },
		"forgetful": func(h *hub) { h.forgetful = true },
	} {
		t.Run(name, func(t *testing.T) {
			sim(t, func(t *testing.T, h *hub) {
				alice, bob := behind(h)
				h.set(func() { fault(h) })
				bob.start()
				h.set(func() { h.silent = false })
				for range 10 {
					settle()
				}
				alice.say("later")
				settle()
				info := must(bob.Room(ops))
				if got := bob.texts(); info.State != client.RoomLive || !slices.Contains(got, "later") || strings.Contains(strings.Join(got, ""), "between") {
					t.Errorf("bob is %s and shows %q", info.State, got)
				}
			})
		})
	}
}
