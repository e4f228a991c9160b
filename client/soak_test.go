package client_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/groups"
)

// soak lets devices talk, come and go, while links break, answers are lost,
// the hub is busy, and pages come twice. In the end everybody has seen the same
// conversation, and of every author each message once, in order.
func soak(t *testing.T, seed uint64) {
	sim(t, func(t *testing.T, h *hub) {
		dice := rand.New(rand.NewPCG(seed, 1))
		var people []*phone
		for i := range 4 {
			people = append(people, h.device(fmt.Sprintf("p%d/laptop", i)))
		}
		policy := groups.DefaultPolicy(people[0].User())
		policy.MembersMayAdd = true
		policy.MaxKeyMessages = 25
		if _, err := people[0].CreateRoom(t.Context(), client.RoomSpec{Room: ops, Policy: &policy}); err != nil {
			t.Fatal(err)
		}
		people[0].add("p1", "p2", "p3")
		faults := rand.New(rand.NewPCG(seed, 2))
		h.set(func() {
			h.lose = func(*devicev1.Submission) bool { return faults.IntN(25) == 0 }
			h.refuse = func(*devicev1.Submission) *devicev1.Refusal {
				if faults.IntN(40) == 0 {
					return &devicev1.Refusal{Kind: groups.Unavailable.String(), Text: "for a moment"}
				}
				return nil
			}
			h.tamper = func(_ groups.DeviceID, page *devicev1.RoomEntries) {
				if faults.IntN(10) == 0 {
					page.Entries = append(slices.Clone(page.Entries), page.Entries...)
				}
			}
		})
		said := make([]int, len(people))
		for range 150 {
			i := dice.IntN(len(people))
			p := people[i]
			switch n := dice.IntN(20); {
			case n < 12:
				for range 1 + dice.IntN(5) {
					p.say(fmt.Sprintf("%d: %d", i, said[i]))
					said[i]++
				}
			case n < 14:
				p.Rekey(t.Context(), ops) // may fail: the link may break
			case n < 16:
				h.cut()
			case n < 17:
				h.device(fmt.Sprintf("p%d/extra%d", i, said[i]))
			case n < 18:
				p.stop()
				p.start()
			default:
				time.Sleep(time.Duration(dice.IntN(5000)) * time.Millisecond)
			}
		}
		h.set(func() { h.lose, h.refuse, h.tamper = nil, nil, nil })
		for range 60 {
			settle()
		}
		agree(people...)
		whole := people[0].texts()
		for _, p := range people {
			if got := p.texts(); !slices.Equal(got, whole) {
				t.Fatalf("%s shows another conversation than %s:\n%q\n%q", p.ID(), people[0].ID(), got, whole)
			}
		}
		for i := range people {
			mine := slices.DeleteFunc(slices.Clone(whole), func(s string) bool { return !strings.HasPrefix(s, fmt.Sprintf("%d: ", i)) })
			for j := range said[i] {
				if j >= len(mine) || mine[j] != fmt.Sprintf("%d: %d", i, j) {
					t.Fatalf("of %d messages of p%d: %q", said[i], i, mine)
				}
			}
			if len(mine) != said[i] {
				t.Fatalf("p%d said %d and is heard %d times", i, said[i], len(mine))
			}
		}
		info := must(people[0].Room(ops))
		t.Logf("seed %d: %d messages, epoch %d, %d devices, %d entries", seed, len(whole), info.Epoch, info.Devices, info.Seq)
	})
}

func TestConversationSurvivesEverything(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { soak(t, seed) })
	}
}
