package client_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/client/store"
	"parley/coi/service"
	"parley/groups"
)

func everything(p *groups.Policy) { p.History = groups.HistoryAll }

// reads fetches the past and demands that so many messages can be read now, and
// so many not.
func (p *phone) reads(read, not int) *client.PastReport {
	p.t.Helper()
	report, err := p.FetchPast(p.t.Context(), ops, nil)
	if err != nil {
		p.t.Fatalf("%s: %v", p.ID(), err)
	}
	if report.Messages != read || report.Unreadable != not {
		p.t.Fatalf("%s: %d messages can be read, %d can not: %v", p.ID(), report.Messages, report.Unreadable, report.Why)
	}
	return report
}

// last is the last message a device shows.
func (p *phone) last() client.Message {
	p.t.Helper()
	list := must(p.History(ops, client.HistoryQuery{Limit: 1000}))
	list = slices.DeleteFunc(list, func(m client.Message) bool { return m.Change != nil })
	return list[len(list)-1]
}

func (p *phone) tell(contents ...client.Content) {
	p.t.Helper()
	if _, err := p.Send(ops, contents...); err != nil {
		p.t.Fatal(err)
	}
	settle()
}

func TestADeviceEnrolledTodayReadsThePast(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, everything)
		alice.add("bob")
		alice.tell(client.Text("first"))
		first := alice.last().ID
		alice.tell(client.Text("misstped"))
		wrong := alice.last().ID
		bob.tell(client.Text("taken back"))
		gone := bob.last().ID
		bob.rekey()
		bob.tell(client.React(first, "👍"))
		alice.tell(client.Edit(wrong, "right"))
		bob.tell(client.Content{Kind: client.KindDelete, Target: gone})
		if _, err := alice.SendFile(ops, client.FileSource{Name: "plan.txt", Body: strings.NewReader("the plan")}); err != nil {
			t.Fatal(err)
		}
		settle()
		carol := h.device("carol/phone")
		alice.add("carol")
		// What is said about the past after she has come waits for it.
		bob.tell(client.React(first, "🎉"))
		alice.tell(client.Edit(first, "the very first"))
		carol.reads(7, 0)
		want := must(alice.History(ops, client.HistoryQuery{Limit: 1000}))
		got := must(carol.History(ops, client.HistoryQuery{Limit: 1000}))
		show := func(list []client.Message) (out []string) {
			for _, m := range list {
				if m.Change != nil {
					continue
				}
				slices.SortFunc(m.Reactions, func(a, b client.Reaction) int { return strings.Compare(a.Emoji, b.Emoji) })
				line := fmt.Sprintf("%d %s %s %q %v %v %v %s", m.Seq, m.Device, m.Content.Kind, m.Content.Text, m.Edited, m.Deleted, m.Reactions, m.Problem)
				if m.Content.File != nil {
					line += m.Content.File.Name
				}
				out = append(out, line)
			}
			return out
		}
		if a, b := show(want), show(got); !slices.Equal(a, b) {
			t.Errorf("alice shows\n%s\ncarol\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
		if a, b := must(alice.Keys(ops)), must(carol.Keys(ops)); len(a) != len(b) || a[0].Record != b[0].Record || a[0].Author != b[0].Author {
			t.Errorf("alice shows %d keys, carol %d", len(a), len(b))
		}
		if a, b := must(alice.Log(ops, 0, 1000)), must(carol.Log(ops, 0, 1000)); len(a) != len(b) {
			t.Errorf("alice's log has %d lines, carol's %d", len(a), len(b))
		}
		carol.reads(0, 0)
		for _, m := range got {
			if m.Content.File != nil {
				f := must(os.Create(filepath.Join(t.TempDir(), "plan.txt")))
				err := carol.Fetch(t.Context(), ops, m.ID, f)
				f.Close()
				if b := must(os.ReadFile(f.Name())); err != nil || string(b) != "the plan" {
					t.Errorf("the file says %q, %v", b, err)
				}
			}
		}
	})
}

func TestE5_WhoIsLetInIsSeenBeforeItReads(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, everything)
		alice.add("bob")
		alice.say("before")
		settle()
		must(c.list[finance].rules.Add(service.Rule{CoI: string(finance), Subject: "mimi://alpha.example/u/mallory", Effect: service.Denies, By: "officer"}))
		mallory := h.device("mallory/phone")
		// The gateway's administrator alone: no commit, so no leaf and no key.
		h.set(func() { h.hostile = true })
		if _, err := mallory.Attach(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
		report, err := mallory.FetchPast(t.Context(), ops, nil)
		if err != nil || report.Messages != 0 || report.Unreadable != 1 {
			t.Fatalf("an administrator of the gateway reads: %+v, %v", report, err)
		}
		h.set(func() { h.hostile = false })
		// With a member's commit: all see it, in the log before the first message
		// that it can read, and the past stays shut without the community.
		eve := h.device("mallory/laptop")
		alice.add("mallory")
		alice.say("after")
		settle()
		for _, p := range []*phone{alice, bob} {
			if !slices.ContainsFunc(must(p.Members(ops)), func(m client.Member) bool { return m.Device == eve.ID() }) {
				t.Errorf("%s does not show the new member", p.ID())
			}
			list := must(p.History(ops, client.HistoryQuery{Limit: 100}))
			came := slices.IndexFunc(list, func(m client.Message) bool { return m.Change != nil && slices.Contains(m.Change.Added, eve.ID()) })
			after := slices.IndexFunc(list, func(m client.Message) bool { return m.Content.Text == "after" })
			if came < 0 || came > after {
				t.Errorf("%s shows the change at %d, the message at %d", p.ID(), came, after)
			}
		}
		eve.shows("after")
		eve.reads(0, 1)
		eve.shows("after")
	})
}

func TestHistoryGivesWhatThePolicyOfItsTimeGave(t *testing.T) {
	for mode, want := range map[groups.HistoryMode]struct{ own, new int }{
		groups.HistoryOwn: {4, 0}, groups.HistoryAll: {4, 4},
	} {
		t.Run(mode.String(), func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice, bob := h.device("alice/laptop"), h.device("bob/phone")
				c.room(alice, func(p *groups.Policy) { p.History = mode })
				alice.add("bob")
				alice.say("one", "two")
				settle()
				bob.rekey()
				bob.say("three", "four")
				settle()
				tablet := h.device("bob/tablet")
				time.Sleep(time.Minute) // bob's phone adds it
				settle()
				carol := h.device("carol/phone")
				alice.add("carol")
				tablet.reads(want.own, 0)
				report := carol.reads(want.new, 4-want.new)
				if mode == groups.HistoryOwn && !strings.Contains(report.Reasons()[0], "no member then") {
					t.Errorf("carol is told %q", report.Reasons())
				}
			})
		})
	}
	t.Run("none", func(t *testing.T) {
		simKeys(t, func(t *testing.T, h *hub, c *communities) {
			alice, bob := h.device("alice/laptop"), h.device("bob/phone")
			c.room(alice, nil)
			alice.tell(client.Text("one"))
			alice.add("bob")
			if _, err := bob.FetchPast(t.Context(), ops, nil); err == nil {
				t.Error("a gateway gives a past that the policy does not")
			}
			// What the policy gives from now on, it does not give of the time before.
			policy := c.policy(finance)
			policy.History = groups.HistoryAll
			if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
				t.Fatal(err)
			}
			settle()
			report := bob.reads(0, 1)
			if !strings.Contains(report.Reasons()[0], "nothing of that time") {
				t.Errorf("bob is told %q", report.Reasons())
			}
		})
	})
}

// errCrash is what a store says when the process is to die.
var errCrash = errors.New("crash")

// A failing store fails after so many updates.
type failing struct {
	client.Store
	left atomic.Int64
}

func (s *failing) Update(fn func(client.Tx) error) error {
	if s.left.Add(-1) < 0 {
		return errCrash
	}
	return s.Store.Update(fn)
}

func TestHistoryGoesOnAfterAnInterruption(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, everything)
		for i := range 12 {
			alice.say(fmt.Sprint(i))
			settle()
			if i%4 == 3 {
				alice.rekey()
			}
		}
		s := &failing{Store: store.NewMemory()}
		s.left.Store(1 << 30)
		h.enrol("bob/phone", s)
		bob := &phone{t: t, h: h, store: s}
		bob.start()
		alice.add("bob")
		// The gateway ends, the services end, the store ends, one after the other.
		for n := range 6 {
			s.left.Store(int64(n))
			if _, err := bob.FetchPast(t.Context(), ops, nil); n < 3 && err == nil {
				t.Fatalf("with %d updates it is done", n)
			}
			s.left.Store(1 << 30)
		}
		h.set(func() {
			h.unveil = func(d groups.DeviceID, page *devicev1.RoomEntries) { go h.cut() }
		})
		bob.FetchPast(t.Context(), ops, nil)
		h.set(func() { h.unveil = nil })
		settle()
		time.Sleep(time.Minute)
		if _, err := bob.FetchPast(t.Context(), ops, nil); err != nil {
			t.Fatal(err)
		}
		if texts := bob.texts(); len(texts) != 12 || texts[0] != "0" || texts[11] != "11" {
			t.Errorf("bob shows %q", texts)
		}
		// Only what is missing is asked for again.
		if report := bob.reads(0, 0); report.Keys != 0 {
			t.Errorf("%d keys are asked for again", report.Keys)
		}
	})
}

func TestHistoryOfARoomThatTakesAllCommunities(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, func(p *groups.Policy) { p.Mode, p.History = groups.CoIAll, groups.HistoryAll }, finance, legal)
		alice.tell(client.Text("takes two"))
		alice.add("bob")
		// One alone does not do.
		urls := c.list[legal].Unwrap
		c.set(func() { c.down[urls[0]], c.down[urls[1]] = true, true })
		report := bob.reads(0, 1)
		if !strings.Contains(report.Reasons()[0], string(legal)) {
			t.Errorf("bob is told %q", report.Reasons())
		}
		c.set(func() { clear(c.down) })
		bob.reads(1, 0)
		bob.shows("takes two")
	}, finance, legal)
}

func TestHistoryOfAPostQuantumRoom(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, func(p *groups.Policy) { p.PostQuantum, p.History = true, groups.HistoryAll }, finance, legal)
		alice.tell(client.Text("for a long time"))
		alice.add("bob")
		bob.reads(1, 0)
		bob.shows("for a long time")
	}, finance, legal)
}

// Epochs whose keys were wrapped to nobody say so; the others are read.
func TestHistoryOfEpochsWithoutARecord(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob, carol := h.device("alice/laptop"), h.device("bob/phone"), h.device("carol/phone")
		if _, err := alice.CreateRoom(t.Context(), client.RoomSpec{Room: ops}); err != nil {
			t.Fatal(err)
		}
		alice.say("to nobody")
		settle()
		policy := c.policy(finance)
		policy.History = groups.HistoryAll
		if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
			t.Fatal(err)
		}
		alice.add("bob")
		alice.say("wrapped")
		settle()
		c.set(func() { c.down["*"] = true })
		time.Sleep(2 * statusLife)
		if err := alice.Remove(t.Context(), ops, bob.User()); err != nil {
			t.Fatal(err)
		}
		alice.say("waits for a record")
		rounds()
		c.set(func() { c.down["*"] = false })
		rounds()
		alice.add("carol")
		report := carol.reads(2, 1)
		if !strings.Contains(report.Reasons()[0], "wrapped to nobody") && !strings.Contains(report.Reasons()[0], "never wrapped") {
			t.Errorf("carol is told %q", report.Reasons())
		}
	})
}

// Members come and go; each who has left was there with one who stayed.
func TestHistoryThroughAuthorsWhoHaveLeft(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, func(p *groups.Policy) {
			p.History, p.MembersMayAdd = groups.HistoryAll, true
			p.Admins = append(p.Admins, "mimi://alpha.example/u/p1", "mimi://alpha.example/u/p2", "mimi://alpha.example/u/p3", "mimi://alpha.example/u/p4", "mimi://alpha.example/u/p5")
		})
		alice.say("0")
		settle()
		before := alice
		for i := range 5 {
			name := fmt.Sprintf("p%d", i+1)
			next := h.device(name + "/phone")
			before.add(name)
			next.rekey()
			if err := next.Remove(t.Context(), ops, before.User()); err != nil {
				t.Fatal(err)
			}
			settle()
			next.say(fmt.Sprint(i + 1))
			settle()
			before = next
		}
		before.reads(5, 0)
		before.shows("0", "1", "2", "3", "4", "5")
	})
}

// A service that has heard of a room before knows an older epoch than the
// newest; one that has heard of a later one than the gateway shows tells on it.
func TestHistoryFromServicesThatKnowAnotherEpoch(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		urls := c.list[finance].Unwrap
		c.room(alice, everything)
		alice.say("one")
		settle()
		bob := h.device("bob/phone")
		alice.add("bob")
		bob.reads(1, 0) // a service knows epoch 1
		c.set(func() { c.down[urls[0]], c.down[urls[1]] = true, true })
		for range 5 {
			alice.rekey()
			alice.say("more")
			settle()
		}
		c.set(func() { clear(c.down) })
		for _, url := range urls {
			c.set(func() { clear(c.down); c.down[url] = true })
			dora := h.device("dora/phone" + url[8:10])
			alice.add("dora")
			time.Sleep(time.Minute)
			settle()
			dora.reads(6, 0)
		}
		// The gateway shows carol an old log only.
		c.set(func() { clear(c.down) })
		carol := h.device("carol/phone")
		alice.add("carol")
		upto := must(carol.Room(ops)).Seq
		h.set(func() {
			h.tamper = func(d groups.DeviceID, page *devicev1.RoomEntries) {
				if d == carol.ID() {
					page.Entries, page.Head = nil, nil
				}
			}
			h.unveil = func(d groups.DeviceID, page *devicev1.RoomEntries) {
				page.Entries = slices.DeleteFunc(page.Entries, func(b []byte) bool {
					return d == carol.ID() && must(groups.ParseEntry(b)).Seq > upto
				})
			}
		})
		for range 3 {
			alice.rekey()
		}
		report := carol.reads(0, 6)
		if !strings.Contains(report.Reasons()[0], "holds entries back") {
			t.Errorf("carol is told %q", report.Reasons())
		}
	})
}

func TestReadersReadWithoutALeaf(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, nil)
		alice.say("not for readers")
		settle()
		policy := c.policy(finance)
		policy.Readers = []groups.CoIID{finance}
		if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
			t.Fatal(err)
		}
		alice.say("for readers")
		settle()
		rita := h.device("rita/phone")
		info := must(rita.Attach(t.Context(), ops))
		if info.State != client.RoomReading {
			t.Fatalf("the room is %v", info.State)
		}
		report := rita.reads(1, 1)
		if !strings.Contains(report.Reasons()[0], "no readers") {
			t.Errorf("rita is told %q", report.Reasons())
		}
		alice.say("and more")
		settle()
		alice.rekey()
		alice.say("under another key")
		settle()
		rita.reads(2, 1)
		if texts := rita.texts(); len(texts) != 3 || texts[2] != "under another key" {
			t.Errorf("rita shows %q", texts)
		}
		if _, err := rita.Send(ops, client.Text("no")); err == nil {
			t.Error("a reader may send")
		}
		// A reader that was cut off reads no further, whatever the gateway gives it.
		must(c.list[finance].rules.Add(service.Rule{CoI: string(finance), Subject: "mimi://alpha.example/u/rita", Effect: service.Denies, By: "officer"}))
		h.set(func() { h.hostile = true })
		alice.say("after it was cut off")
		settle()
		rita.reads(0, 2)
		// One whose room has no readers any more: what it was given it has.
		rolf := h.device("rolf/phone")
		must(rolf.Attach(t.Context(), ops))
		policy.Readers = nil
		if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
			t.Fatal(err)
		}
		alice.say("not for readers again")
		settle()
		rolf.reads(4, 2)
		h.set(func() { h.hostile = false })
		settle()
		if _, err := rolf.FetchPast(t.Context(), ops, nil); err == nil {
			t.Error("the gateway gives a room without readers to one")
		}
	})
}
