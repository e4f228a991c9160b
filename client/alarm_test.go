package client_test

import (
	"slices"
	"strings"
	"testing"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/groups"
)

// alarms are the kinds of alarm that a device keeps about the room.
func (p *phone) alarms() (kinds []client.AlarmKind) {
	p.t.Helper()
	for _, a := range must(p.Room(ops)).Alarms {
		kinds = append(kinds, a.Kind)
	}
	return kinds
}

// A hub that shows two histories is found by the first message that crosses.
func TestTwoHistoriesAreFoundByAMessageThatCrosses(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob, carol := h.device("alice/laptop"), h.device("bob/laptop"), h.device("carol/laptop")
		alice.createRoom()
		alice.add("bob", "carol")
		alice.say("same for all")
		settle()
		bob.stop()
		carol.stop()
		// Two hubs that know the same room order differently from here on.
		fork := h.fork(ops)
		alice.say("only in one history")
		settle()
		carol.start()
		carol.say("said by who has seen it")
		settle()
		body := must(carol.History(ops, client.HistoryQuery{}))
		last := body[len(body)-1]
		if last.Content.Text != "said by who has seen it" {
			t.Fatalf("carol's last is %q", last.Content.Text)
		}
		h.set(func() { h.crossOver(fork, carol.ID()) })
		bob.start()
		settle()
		if kinds := bob.alarms(); !slices.Contains(kinds, client.AlarmFork) {
			t.Errorf("bob has alarms %v", kinds)
		}
		if kinds := alice.alarms(); len(kinds) > 0 {
			t.Errorf("alice has alarms %v", kinds)
		}
	})
}

func TestEntryThatDoesNotFollowParksTheRoomOnly(t *testing.T) {
	for name, tamper := range map[string]func(page *devicev1.RoomEntries, other []byte){
		"changed body":  func(p *devicev1.RoomEntries, _ []byte) { flip(p.Entries[len(p.Entries)-1], -1) },
		"changed chain": func(p *devicev1.RoomEntries, _ []byte) { flip(p.Entries[0], 110) },
		"foreign head":  func(p *devicev1.RoomEntries, other []byte) { p.Head = other },
		"changed head":  func(p *devicev1.RoomEntries, _ []byte) { flip(p.Head, -1) },
		"no entry":      func(p *devicev1.RoomEntries, _ []byte) { p.Entries[0] = []byte("nonsense") },
	} {
		t.Run(name, func(t *testing.T) {
			sim(t, func(t *testing.T, h *hub) {
				alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
				alice.createRoom()
				other := groups.RoomID("mimi://alpha.example/r/other")
				if _, err := alice.CreateRoom(t.Context(), client.RoomSpec{Room: other}); err != nil {
					t.Fatal(err)
				}
				alice.add("bob")
				if _, err := alice.Add(t.Context(), other, bob.User()); err != nil {
					t.Fatal(err)
				}
				settle()
				h.set(func() {
					h.tamper = func(d groups.DeviceID, page *devicev1.RoomEntries) {
						if d == bob.ID() && page.Room == string(ops) {
							page.Entries = slices.Clone(page.Entries)
							for i := range page.Entries {
								page.Entries[i] = slices.Clone(page.Entries[i])
							}
							tamper(page, h.rooms[other].head.Marshal())
						}
					}
				})
				events := bob.Subscribe(100)
				defer events.Close()
				alice.say("one", "two")
				if _, err := alice.Send(other, client.Text("elsewhere")); err != nil {
					t.Fatal(err)
				}
				settle()
				if len(bob.alarms()) == 0 || !must(bob.Room(ops)).Parked {
					t.Errorf("bob has alarms %v", bob.alarms())
				}
				bob.shows()
				list := must(bob.History(other, client.HistoryQuery{}))
				if last := list[len(list)-1]; last.Content.Text != "elsewhere" {
					t.Errorf("the other room shows %q", last.Content.Text)
				}
				told := false
				for len(events.C) > 0 {
					told = (<-events.C).Kind == client.EventAlarm || told
				}
				if !told {
					t.Error("nobody was told")
				}
				h.set(func() { h.tamper = nil })
				bob.stop()
				bob.start()
				bob.shows("one", "two") // the right history can still be read
			})
		})
	}
}

func flip(b []byte, i int) {
	if i < 0 {
		i += len(b)
	}
	b[i] ^= 1
}

func TestMessageOfSomebodyElsesMakingInOurNameIsAnAlarm(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		alice.say("one")
		settle()
		// The hub orders one message of alice's again, under her id.
		entries := h.log(ops)
		h.set(func() { h.repeat(ops, entries[len(entries)-1].Body) })
		settle()
		for _, p := range []*phone{alice, bob} {
			texts := p.texts()
			if len(texts) != 2 || texts[0] != "one" || !strings.HasPrefix(texts[1], "!") {
				t.Errorf("%s shows %q", p.ID(), texts)
			}
		}
	})
}
