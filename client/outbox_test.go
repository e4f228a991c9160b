package client_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/groups"
)

func numbered(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprint("message ", i))
	}
	return texts
}

func TestOfflineMessagesAreDeliveredInOrder(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		alice.stop()
		alice.open()
		texts := numbered(700) // several batches
		alice.say(texts...)
		alice.shows(texts...)
		info := must(alice.Room(ops))
		if info.Outbox != len(texts) {
			t.Errorf("%d messages in the outbox", info.Outbox)
		}
		alice.stop()
		alice.start() // the queue survives the process
		if err := alice.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		bob.shows(texts...)
		alice.shows(texts...)
		agree(alice, bob)
	})
}

func TestLongPipelineEmptiesTheOutboxInOrder(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		alice.stop()
		alice.pipeline = 300
		alice.open()
		texts := numbered(1500)
		alice.say(texts...)
		alice.run()
		if err := alice.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		bob.shows(texts...)
		agree(alice, bob)
	})
}

// A receipt may come before the entry, mostly at a site that follows the hub: what
// was sent then is accepted, and its place was not known.
func TestAReceiptSaysItsEntryBeforeTheLogDoes(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice := h.device("alice/laptop")
		alice.createRoom()
		alice.say("first")
		settle()
		h.set(func() { h.silent = true })
		sent := must(alice.Send(ops, client.Text("hello")))[0]
		if sent.Receipt != 0 {
			t.Errorf("entry %d before there is a receipt", sent.Receipt)
		}
		if err := alice.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		last := groups.Seq(len(h.log(ops)))
		early := must(alice.Message(ops, sent.ID))
		if early.State != client.Accepted || early.Seq != 0 || early.Receipt != last {
			t.Errorf("%s, seq %d, receipt for %d; the entry is %d", early.State, early.Seq, early.Receipt, last)
		}
		h.set(func() { h.silent = false })
		h.cut()
		settle()
		if m := must(alice.Message(ops, sent.ID)); m.Seq != last {
			t.Errorf("in the log it is entry %d, want %d", m.Seq, last)
		}
	})
}

func TestLostReceiptsDoNotRepeatMessages(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		n := 0
		h.set(func() {
			h.lose = func(*devicev1.Submission) bool { n++; return n%7 == 0 }
		})
		texts := numbered(60)
		for i, text := range texts {
			alice.say(text)
			if i%5 == 0 {
				settle()
			}
		}
		for range 40 {
			settle()
		}
		bob.shows(texts...)
		alice.shows(texts...)
		if n < 60 {
			t.Errorf("only %d submissions", n)
		}
		agree(alice, bob)
	})
}

func TestTemporaryRefusalKeepsTheOrder(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		busy := true
		h.set(func() {
			h.refuse = func(*devicev1.Submission) *devicev1.Refusal {
				if busy {
					return &devicev1.Refusal{Kind: groups.Busy.String(), Text: "slow down"}
				}
				return nil
			}
		})
		texts := numbered(10)
		alice.say(texts...)
		settle()
		bob.shows()
		if why := must(alice.Room(ops)).Waiting; why != "slow down" {
			t.Errorf("the person is told %q, not what the hub said", why)
		}
		h.set(func() { busy = false })
		settle()
		bob.shows(texts...)
		if why := must(alice.Room(ops)).Waiting; why != "" {
			t.Errorf("nothing waits, but %q", why)
		}
	})
}

func TestRefusedMessageFailsAndSaysWhy(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		h.set(func() {
			h.refuse = func(s *devicev1.Submission) *devicev1.Refusal {
				if s.Kind != uint32(groups.KindMessage) {
					return nil
				}
				return &devicev1.Refusal{Kind: groups.Denied.String(), Text: "not today"}
			}
		})
		alice.say("one")
		settle()
		list := must(alice.History(ops, client.HistoryQuery{}))
		m := list[len(list)-1]
		if m.State != client.Failed || m.Problem != "denied: not today" {
			t.Fatalf("%s: %q", m.State, m.Problem)
		}
		h.set(func() { h.refuse = nil })
		alice.say("two")
		settle()
		bob.shows("two")
		if err := alice.Retry(ops, m.ID); err != nil {
			t.Fatal(err)
		}
		settle()
		bob.shows("two", "one")
	})
}

func TestMessageUnderAnOldEpochIsSealedAgain(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		refused := map[string]bool{}
		h.set(func() {
			h.refuse = func(s *devicev1.Submission) *devicev1.Refusal {
				if s.Kind == uint32(groups.KindMessage) && !refused[string(s.Id)] {
					refused[string(s.Id)] = true
					return &devicev1.Refusal{Kind: groups.StaleEpoch.String(), Text: "too old", Epoch: 1, Seq: uint64(len(h.rooms[ops].entries))}
				}
				return nil
			}
		})
		alice.say("one", "two", "three", "four")
		settle()
		bob.shows("one", "two", "three", "four")
	})
}

func TestKeyThatHasEndedIsReplacedBeforeSending(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		policy := groups.DefaultPolicy(alice.User())
		policy.MaxKeyMessages, policy.MaxKeyAge = 10, time.Hour
		if _, err := alice.CreateRoom(t.Context(), client.RoomSpec{Room: ops, Policy: &policy}); err != nil {
			t.Fatal(err)
		}
		alice.add("bob")
		texts := numbered(35)
		alice.say(texts...)
		for range 10 {
			settle()
		}
		bob.shows(texts...)
		before := must(alice.Room(ops)).Epoch
		if before < 4 {
			t.Errorf("epoch %d after 35 messages of 10 a key", before)
		}
		time.Sleep(2 * time.Hour)
		bob.say("late")
		settle()
		alice.shows(append(texts, "late")...)
		if after := must(alice.Room(ops)).Epoch; after <= before {
			t.Errorf("epoch %d, two hours later %d", before, after)
		}
	})
}

func TestDuplicateDeliveryIsAppliedOnce(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		h.set(func() {
			h.tamper = func(d groups.DeviceID, page *devicev1.RoomEntries) {
				r := h.rooms[ops]
				page.Entries = append(slices.Clone(r.entries[1:]), page.Entries...)
				page.Entries = append(page.Entries, page.Entries...)
			}
		})
		alice.say("one")
		settle()
		bob.say("two")
		settle()
		alice.shows("one", "two")
		bob.shows("one", "two")
		agree(alice, bob)
	})
}

func TestMissingEntriesAreAskedForAgain(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice, bob := h.device("alice/laptop"), h.device("bob/laptop")
		alice.createRoom()
		alice.add("bob")
		once := true
		h.set(func() {
			h.tamper = func(d groups.DeviceID, page *devicev1.RoomEntries) {
				if d == bob.ID() && once && len(page.Entries) > 1 {
					page.Entries = page.Entries[1:]
					once = false
				}
			}
		})
		bob.stop()
		alice.say("one", "two", "three")
		settle()
		bob.start()
		bob.shows("one", "two", "three")
		if once {
			t.Error("nothing was left out")
		}
	})
}

func TestOutboxIsBounded(t *testing.T) {
	sim(t, func(t *testing.T, h *hub) {
		alice := h.device("alice/laptop")
		alice.createRoom()
		alice.stop()
		alice.open()
		var err error
		n := 0
		for ; n < 10_000 && err == nil; n++ {
			_, err = alice.Send(ops, client.Text("x"))
		}
		if groups.KindOf(err) != groups.Busy || n != 4097 {
			t.Errorf("after %d messages: %v", n, err)
		}
	})
}
