package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	devicev1 "parley/api/device/v1"
	"parley/client"
	"parley/client/store"
	"parley/coi/service"
	"parley/groups"
)

// forReaders is a policy that lets devices of finance read.
func forReaders(p *groups.Policy) { p.Readers = []groups.CoIID{finance} }

// reads a room: attaches to it and reads everything.
func (p *phone) attach() {
	p.t.Helper()
	if _, err := p.Attach(p.t.Context(), ops); err != nil {
		p.t.Fatal(err)
	}
	settle()
}

// cutOff has finance's officer deny a person its keys.
func (c *communities) cutOff(user string) {
	must(c.list[finance].rules.Add(service.Rule{
		CoI: string(finance), Subject: "mimi://alpha.example/u/" + user, Effect: service.Denies, By: "officer",
	}))
}

// entriesGiven is how many entries a device was given to read.
func (h *hub) entriesGiven(d groups.DeviceID) (n int) {
	h.set(func() { n = h.given[d] })
	return n
}

// asks counts the requests for keys of a device, from now on.
func (c *communities) asks(d groups.DeviceID) (count func() int) {
	n := 0
	c.set(func() {
		c.saw = func(b []byte) {
			if q, err := groups.ParseKeyRequest(b); err == nil && q.Device == d {
				n++
			}
		}
	})
	return func() (now int) {
		c.set(func() { now = n })
		return now
	}
}

// "They tail the log through their gateway, get each epoch's key from unwrap in
// bulk, and verify every signature": 2,000 messages over 50 epochs are fetched
// once, their keys are asked for together, and after a restart it goes on from
// there.
func TestAReaderReadsEachEntryAndAsksForEachKeyOnce(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		const epochs, each = 50, 40
		alice := h.device("alice/laptop")
		c.room(alice, forReaders)
		for i := range epochs {
			if i > 0 {
				alice.rekey()
			}
			texts := make([]string, each)
			for k := range texts {
				texts[k] = fmt.Sprintf("%d of epoch %d", k, i)
			}
			alice.say(texts...)
			settle()
		}
		rita := h.device("rita/phone")
		asked := c.asks(rita.ID())
		rita.attach()
		report := rita.reads(epochs*each, 0)
		if report.Keys != epochs {
			t.Errorf("%d keys were opened for %d epochs", report.Keys, epochs)
		}
		if n := asked(); n != 1 {
			t.Errorf("unwrap services were asked %d times for %d keys", n, epochs)
		}
		want := alice.texts()
		if !slices.Equal(rita.texts(), want) || len(want) != epochs*each {
			t.Fatalf("rita shows %d messages, alice %d, or others", len(rita.texts()), len(want))
		}
		log := len(h.log(ops))
		if n := h.entriesGiven(rita.ID()); n != log {
			t.Errorf("rita was given %d entries, the log has %d", n, log)
		}
		// Again, after a while, after a lost connection, after a restart: nothing twice.
		rita.reads(0, 0)
		h.cut()
		time.Sleep(time.Minute)
		rita.stop()
		rita.start()
		alice.tell(client.Text("one more"))
		rita.reads(1, 0)
		if n := h.entriesGiven(rita.ID()); n != log+1 {
			t.Errorf("rita was given %d entries, the log has %d", n, log+1)
		}
		if last := rita.last(); last.Content.Text != "one more" {
			t.Errorf("the last message is %q", last.Content.Text)
		}
		// What it keeps does not grow with the log: nothing waits, and the journal was
		// folded into a checkpoint.
		if n := rita.rows(client.TablePast); n != 0 {
			t.Errorf("%d messages wait", n)
		}
		if n := rita.rows(client.TableReading); n == 0 || n > log/2 {
			t.Errorf("it keeps %d rows of a log of %d entries", n, log)
		}
	})
}

// What is new appears in a reader's room by itself, as it does in a member's, and
// the service is not asked for a key at each message.
func TestAReaderSeesMessagesAsTheyCome(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice, bob := h.device("alice/laptop"), h.device("bob/phone")
		c.room(alice, forReaders)
		alice.add("bob")
		rita := h.device("rita/phone")
		rita.attach()
		sub := rita.Subscribe(100)
		defer sub.Close()
		alice.tell(client.Text("first"))
		first := alice.last().ID
		asked := c.asks(rita.ID())
		for i := range 10 {
			bob.tell(client.Text(fmt.Sprint(i)))
		}
		if n := asked(); n > 1 { // its key was used up by time
			t.Errorf("the service was asked %d times while nothing changed", n)
		}
		alice.tell(client.Edit(first, "the very first"))
		bob.tell(client.React(first, "👍"))
		alice.rekey()
		bob.tell(client.Text("under another key"))
		want := alice.texts()
		if !slices.Equal(rita.texts(), want) {
			t.Errorf("rita shows %q, alice %q", rita.texts(), want)
		}
		m := must(rita.Message(ops, first))
		if !m.Edited || len(m.Reactions) != 1 {
			t.Errorf("the first message is %+v", m)
		}
		seen := 0
		for range len(sub.C) {
			if e := <-sub.C; e.Kind == client.EventMessage && e.Message.Change == nil {
				seen++
			}
		}
		if seen != 14 {
			t.Errorf("%d messages were told of as they came", seen)
		}
		info := must(rita.Room(ops))
		if info.Unread != len(want) || info.Epoch != must(alice.Room(ops)).Epoch || info.Users != 2 {
			t.Errorf("the room is %+v", info)
		}
	})
}

// "They are listed to the members as what they are": a policy's readers are in
// what members inspect before they make a key, no reader is among the members,
// and to a reader the room is one that it reads.
func TestReadersAreShownAsWhatTheyAre(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, forReaders)
		alice.say("hello")
		settle()
		rita := h.device("rita/phone")
		rita.attach()
		rita.shows("hello")
		for _, p := range []*phone{alice, rita} {
			info := must(p.Room(ops))
			if !slices.Equal(info.Policy.Readers, []groups.CoIID{finance}) || info.Devices != 1 {
				t.Errorf("%s is told of readers %v, and %d devices", p.ID(), info.Policy.Readers, info.Devices)
			}
			members := must(p.Members(ops))
			if len(members) != 1 || members[0].Device != alice.ID() || !members[0].Admin {
				t.Errorf("%s is told of members %+v", p.ID(), members)
			}
		}
		if s := must(rita.Room(ops)).State; s != client.RoomReading {
			t.Errorf("to rita the room is %v", s)
		}
		if _, err := rita.Send(ops, client.Text("no")); groups.KindOf(err) != groups.Denied {
			t.Errorf("a reader sends: %v", err)
		}
		if err := rita.Rekey(t.Context(), ops); groups.KindOf(err) != groups.Denied {
			t.Errorf("a reader makes a key: %v", err)
		}
		// When she becomes a member, she is one.
		alice.add("rita")
		alice.tell(client.Text("welcome"))
		if s := must(rita.Room(ops)).State; s != client.RoomLive {
			t.Fatalf("the room is %v", s)
		}
		rita.shows("hello", "welcome")
		rita.tell(client.Text("thanks"))
		agree(alice, rita)
	})
}

// "At no cost in any commit": what a commit is made of does not know of readers.
func TestReadersCostNothingInACommit(t *testing.T) {
	commit := func(readers int) (n int) {
		simKeys(t, func(t *testing.T, h *hub, c *communities) {
			alice := h.device("alice/laptop")
			c.room(alice, forReaders)
			for i := range readers {
				h.device(fmt.Sprintf("reader%d/phone", i)).attach()
			}
			before := len(h.log(ops))
			alice.rekey()
			log := h.log(ops)
			if len(log) != before+1 {
				t.Fatalf("a new key took %d entries", len(log)-before)
			}
			body := log[before].Body
			record := must(groups.ParseKeyRecord(must(groups.ParseCommitBundle(body)).KeyRecord))
			// An ECDSA signature is sometimes a byte shorter, and so the envelope.
			n = len(body) - len(record.Envelope)
			if len(record.Recipients) != 1 {
				t.Errorf("a key is wrapped to %d communities", len(record.Recipients))
			}
		})
		return n
	}
	if none, many := commit(0), commit(20); none != many {
		t.Errorf("a commit takes %d bytes without readers, %d with 20", none, many)
	}
}

// "A reader that lacks a key says in words why a message can not be read", and
// reads it when the reason is gone.
func TestAReaderSaysWhyAMessageCanNotBeRead(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, forReaders)
		rita := h.device("rita/phone")
		rita.attach()
		for _, url := range c.list[finance].Unwrap {
			c.set(func() { c.down[url] = true })
		}
		alice.tell(client.Text("one"))
		alice.tell(client.Text("two"))
		rita.shows()
		sealed := must(rita.Room(ops)).Sealed
		if len(sealed) != 1 || sealed["no unwrap service of "+string(finance)+" answers: try again"] != 2 {
			t.Fatalf("rita is told %v", sealed)
		}
		// It stays known over a restart, and nothing is fetched again for it.
		given := h.entriesGiven(rita.ID())
		rita.stop()
		rita.start()
		if got := must(rita.Room(ops)).Sealed; len(got) != 1 {
			t.Errorf("after a restart rita is told %v", got)
		}
		c.set(func() { clear(c.down) })
		time.Sleep(3 * time.Minute) // by itself
		rita.shows("one", "two")
		if got := must(rita.Room(ops)).Sealed; len(got) != 0 {
			t.Errorf("rita is still told %v", got)
		}
		if n := h.entriesGiven(rita.ID()); n != given {
			t.Errorf("%d entries were fetched again", n-given)
		}
	})
}

// "A revoked or cut reader reads nothing from that instant": it is given no key
// from then on, whatever the gateway hands it, and those that it has it forgets
// within a minute.
func TestAReaderThatIsCutOffReadsNothingMore(t *testing.T) {
	for name, cut := range map[string]func(*hub, *communities, *phone){
		"cut off by its community": func(_ *hub, c *communities, _ *phone) { c.cutOff("rita") },
		"revoked by its site":      func(h *hub, _ *communities, p *phone) { h.revokes(p) },
	} {
		t.Run(name, func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice := h.device("alice/laptop")
				c.room(alice, forReaders)
				rita := h.device("rita/phone")
				rita.attach()
				alice.tell(client.Text("before"))
				rita.shows("before")
				h.set(func() { h.hostile = true })
				cut(h, c, rita)
				// A new key ends at once what it was given before.
				alice.rekey()
				alice.tell(client.Text("after, at once"))
				rita.shows("before")
				time.Sleep(2 * time.Minute)
				alice.tell(client.Text("after a while"))
				rita.shows("before")
				report := rita.reads(1, 2) // the one before is what it reports
				if why := report.Reasons()[0]; !strings.Contains(why, string(finance)) {
					t.Errorf("it is told %q", why)
				}
				rita.shows("before")
			})
		})
	}
	t.Run("under the key that it has", func(t *testing.T) {
		simKeys(t, func(t *testing.T, h *hub, c *communities) {
			alice := h.device("alice/laptop")
			c.room(alice, forReaders)
			rita := h.device("rita/phone")
			rita.attach()
			alice.tell(client.Text("before"))
			c.cutOff("rita")
			time.Sleep(time.Minute)
			alice.tell(client.Text("after a minute"))
			rita.shows("before")
			rita.stop()
			rita.start()
			alice.tell(client.Text("after a restart"))
			rita.shows("before")
		})
	})
}

// readerDying runs a story in which the n-th Update kills a reader. It returns
// how many there were.
func readerDying(t *testing.T, n int, persisted bool) (updates int) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, forReaders)
		var want []string
		say := func() {
			for range 3 {
				want = append(want, fmt.Sprint("message ", len(want)))
				alice.say(want[len(want)-1])
			}
			settle()
			alice.rekey()
		}
		say()
		s := &story{memory: store.NewMemory()}
		h.enrol("rita/phone", s.memory)
		s.mortal = &mortal{Store: s.memory, left: n, persisted: persisted}
		s.phone = &phone{t: t, h: h, store: s.mortal}
		s.open()
		s.runUnlessDead(s)
		attached := func() bool {
			info, err := s.Room(ops)
			return err == nil && info.State == client.RoomReading
		}
		s.do("attach", attached, func() error { _, err := s.Attach(t.Context(), ops); return err })
		for range 2 {
			say()
			s.revive()
		}
		for range 3 {
			time.Sleep(time.Minute)
			s.revive()
		}
		s.shows(want...)
		info, hub := must(s.Room(ops)), h.log(ops)
		if last := hub[len(hub)-1]; info.Seq != last.Seq || info.Hash != last.Hash() || len(info.Alarms) > 0 {
			t.Errorf("it stands at %d %v, the log at %d; alarms %v", info.Seq, info.Hash, last.Seq, info.Alarms)
		}
		if lines := must(s.Log(ops, 0, 1000)); len(lines) != len(hub) {
			t.Errorf("its log has %d lines, the hub's %d", len(lines), len(hub))
		}
		updates = s.mortal.count()
	})
	return updates
}

func TestAReaderKilledAtAnyUpdateLosesAndRepeatsNothing(t *testing.T) {
	updates := readerDying(t, 0, false)
	if updates < 10 {
		t.Fatalf("the story has only %d updates", updates)
	}
	for n := 1; n <= updates; n++ {
		for _, persisted := range []bool{false, true} {
			t.Run(fmt.Sprintf("update %d persisted %v", n, persisted), func(t *testing.T) { readerDying(t, n, persisted) })
		}
	}
}

// The gateway lies to a reader that tails: it is seen, said with its kind, kept
// with the room, and nothing of the lie is shown; when the gateway is honest
// again, the reader goes on.
func TestAReaderSeesWhatAHostileGatewayDoes(t *testing.T) {
	type lie struct {
		kind client.AlarmKind
		do   func(h *hub, p *devicev1.RoomEntries)
	}
	for name, l := range map[string]lie{
		"an entry is dropped": {client.AlarmChain, func(_ *hub, p *devicev1.RoomEntries) {
			p.Entries = p.Entries[1:]
		}},
		"an entry is swapped": {client.AlarmChain, func(_ *hub, p *devicev1.RoomEntries) {
			e := must(groups.ParseEntry(slices.Clone(p.Entries[0])))
			e.Body = slices.Clone(e.Body)
			e.Body[len(e.Body)-1] ^= 1
			p.Entries[0] = e.Marshal()
		}},
		"two entries change places": {client.AlarmChain, func(_ *hub, p *devicev1.RoomEntries) {
			if len(p.Entries) > 1 {
				p.Entries[0], p.Entries[1] = p.Entries[1], p.Entries[0]
			}
		}},
		"another history": {client.AlarmFork, func(h *hub, p *devicev1.RoomEntries) {
			p.Entries, _ = h.rewritten(p.Entries, func(e *groups.Entry) { e.AcceptedAt++ })
		}},
		"a head of nobody": {client.AlarmHead, func(_ *hub, p *devicev1.RoomEntries) {
			p.Head = slices.Clone(p.Head)
			p.Head[len(p.Head)-1] ^= 1
		}},
	} {
		t.Run(name, func(t *testing.T) {
			simKeys(t, func(t *testing.T, h *hub, c *communities) {
				alice := h.device("alice/laptop")
				c.room(alice, forReaders)
				alice.say("one", "two")
				settle()
				rita := h.device("rita/phone")
				rita.attach()
				rita.shows("one", "two")
				h.set(func() {
					h.unveil = func(d groups.DeviceID, p *devicev1.RoomEntries) {
						if len(p.Entries) > 0 {
							l.do(h, p)
						}
					}
				})
				rita.stop() // so that the two come in one page
				alice.say("three", "four")
				settle()
				rita.open()
				rita.runQuietly(nil)
				time.Sleep(time.Minute)
				alarms := must(rita.Room(ops)).Alarms
				if len(alarms) == 0 || alarms[len(alarms)-1].Kind != l.kind {
					t.Fatalf("the alarms are %v", alarms)
				}
				rita.shows("one", "two")
				_, err := rita.FetchPast(t.Context(), ops, nil)
				if alarm, ok := errors.AsType[*client.Alarm](err); !ok || alarm.Kind != l.kind {
					t.Errorf("who fetches is told %v", err)
				}
				h.set(func() { h.unveil = nil })
				rita.stop()
				rita.start()
				time.Sleep(time.Minute)
				rita.shows("one", "two", "three", "four")
			})
		})
	}
}

// A gateway invents entries that the hub has not signed: they are not shown, and
// are gone when the hub's own come.
func TestWhatTheHubHasNotSignedIsNotShownToAReader(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, forReaders)
		alice.say("one")
		settle()
		rita := h.device("rita/phone")
		rita.attach()
		// The same message again, later in time: its chain is right, its body opens.
		h.set(func() {
			h.unveil = func(_ groups.DeviceID, p *devicev1.RoomEntries) {
				p.Entries, _ = h.rewritten(p.Entries, func(e *groups.Entry) { e.AcceptedAt++ })
				p.Head = nil
			}
		})
		alice.say("two")
		settle()
		time.Sleep(time.Minute)
		rita.shows("one")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := rita.FetchPast(ctx, ops, nil); groups.KindOf(err) != groups.Unavailable {
			t.Errorf("who fetches is told %v", err)
		}
		rita.stop()
		h.set(func() { h.unveil = nil })
		alice.say("three")
		settle()
		rita.start()
		if alarms := must(rita.Room(ops)).Alarms; len(alarms) != 1 || alarms[0].Kind != client.AlarmFork {
			t.Errorf("the alarms are %v", alarms)
		}
		rita.stop()
		rita.start()
		time.Sleep(time.Minute)
		rita.shows("one", "two", "three")
		if list := must(rita.History(ops, client.HistoryQuery{Limit: 100})); len(list) != 4 { // and the change that began it
			t.Errorf("it shows %d lines", len(list))
		}
	})
}

// A room is closed to readers and opened again: the reader is told, what it has
// stays, and it goes on by itself.
func TestAReaderIsToldThatARoomHasNoReadersAnyMore(t *testing.T) {
	simKeys(t, func(t *testing.T, h *hub, c *communities) {
		alice := h.device("alice/laptop")
		c.room(alice, forReaders)
		rita := h.device("rita/phone")
		rita.attach()
		alice.tell(client.Text("one"))
		policy := c.policy(finance)
		if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
			t.Fatal(err)
		}
		settle()
		alice.tell(client.Text("not for readers"))
		info := must(rita.Room(ops))
		if info.State != client.RoomReading || !strings.Contains(info.Why, "gives it no history") {
			t.Errorf("the room is %v, because %q", info.State, info.Why)
		}
		rita.shows("one")
		policy.Readers = []groups.CoIID{finance}
		if err := alice.SetPolicy(t.Context(), ops, *policy); err != nil {
			t.Fatal(err)
		}
		alice.tell(client.Text("two"))
		time.Sleep(3 * time.Minute)
		rita.shows("one", "two")
		info = must(rita.Room(ops))
		if info.Why != "" || info.Sealed["the room's policy had no readers of "+string(finance)+" then"] != 1 {
			t.Errorf("the room is %v, because %q; sealed are %v", info.State, info.Why, info.Sealed)
		}
		if err := rita.Detach(ops); err != nil {
			t.Fatal(err)
		}
		alice.tell(client.Text("three"))
		rita.shows("one", "two")
		if s := must(rita.Room(ops)).State; s != client.RoomClosed {
			t.Errorf("the room is %v", s)
		}
		rita.attach()
		rita.shows("one", "two", "three")
	})
}
